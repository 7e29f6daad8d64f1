//! The catalogue of invariants is what the program reports, and can be asked for by name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pagewalk_kernel::{INVARIANTS, invariant};
use pagewalk_pages::{Fix, Mutant};

use crate::common::{pagewalk, root};

fn sources(directory: &Path, found: &mut String) {
    for entry in fs::read_dir(directory).expect("a directory of the repository") {
        let path = entry.expect("an entry of the directory").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("check/catalogue.rs") {
            let text = fs::read_to_string(&path).expect("a text file of the repository");
            found.push_str(text.split("\n#[cfg(test)]\nmod ").next().expect("the part before the tests"));
        }
    }
}

/// The names after which something is reported in the sources.
fn reported() -> BTreeSet<String> {
    let mut text = String::new();
    for package in ["sim/engine", "mmu", "sim/pages", "pagecache", "swap", "sim/kernel", "sim/explore"] {
        sources(&root().join(package).join("src"), &mut text);
    }
    let after = |lead: &'static str| text.split(lead).skip(1).map(str::trim_start);
    let names = after("violation(").chain(after("invariant: "));
    let quoted = names.filter_map(|rest| rest.strip_prefix('"')?.split('"').next().map(str::to_owned));
    quoted.collect()
}

#[test]
fn every_invariant_that_is_reported_is_in_the_catalogue_and_those_observed_are_reported() {
    let reported = reported();
    assert!(reported.len() > 30, "{reported:?}");
    let observed: BTreeSet<String> =
        INVARIANTS.iter().filter(|info| info.observed).map(|info| info.name.to_owned()).collect();
    assert_eq!(observed, reported);
    for number in 1..=34 {
        assert!(invariant(&format!("I{number}")).is_some(), "I{number}");
    }
    let named = Mutant::ALL.iter().flat_map(|mutant| mutant.info().invariants);
    assert!(
        named.copied().all(|name| invariant(name).is_some()),
        "mutants break invariants of the catalogue"
    );
}

#[test]
fn what_shows_an_invariant_broken_shows_it() {
    for info in &INVARIANTS {
        let Some((scenario, mutant)) = info.shown else { continue };
        let file = format!("configs/scenarios/{scenario}.ron");
        let mut words = vec!["explore", &file, "--format", "json"];
        words.extend(mutant.iter().flat_map(|mutant| ["--mutant", mutant]));
        let answer = pagewalk(&words).json(1);
        let broken = answer["broken"].as_array().expect("a list");
        assert!(broken.iter().any(|broken| broken["invariant"] == info.name), "{}: {answer}", info.name);
    }
}

#[test]
fn invariants_and_switches_are_explained_by_their_names_alone() {
    for info in &INVARIANTS {
        let text = pagewalk(&["config", "explain", info.name]).expect(0);
        assert!(text.starts_with(info.name), "{text}");
        assert_eq!(text.contains("not observed by this version"), !info.observed, "{text}");
    }
    assert_eq!(
        pagewalk(&["config", "explain", "i9"]).expect(0),
        pagewalk(&["config", "explain", "I9"]).expect(0)
    );
    for mutant in Mutant::ALL {
        let text = pagewalk(&["config", "explain", mutant.info().name]).expect(0);
        assert!(text.starts_with(&format!("kernel.mutants.{mutant}")), "{text}");
    }
    let fix = Fix::ALL[0];
    assert!(pagewalk(&["config", "explain", fix.info().name]).expect(0).starts_with("kernel.fixes."));
    let all = pagewalk(&["config", "explain", "invariants", "--format", "json"]).json(0);
    assert_eq!(all["invariants"].as_array().map(Vec::len), Some(INVARIANTS.len()));
}

#[test]
fn a_name_that_nothing_has_is_told_with_its_nearest() {
    for (typed, near) in [("I99", "I9"), ("skip-rechek", "skip-recheck"), ("lost_lock", "lost-lock")] {
        let answer = pagewalk(&["config", "explain", typed]);
        assert_eq!(answer.code, 2);
        assert!(answer.stderr.contains(&format!("did you mean `{near}`?")), "{}", answer.stderr);
    }
}
