//! The catalogue of races can be asked for by number, and what it says shows a race shows it.

use pagewalk_explore::{RaceInfo, race, races};
use pagewalk_pages::Fix;

use crate::common::{pagewalk, root};

/// The invariants that break in every class or state of the race's scenario, on the kernel of these options.
fn broken(info: &RaceInfo, kernel: &[&str]) -> Vec<String> {
    let file = format!("configs/scenarios/{}.ron", info.scenario.expect("a scenario"));
    let answer = pagewalk(&[&["explore", &file, "--format", "json"], kernel].concat());
    let code = answer.code;
    let answer = answer.json(code);
    assert_eq!(answer["complete"], true, "{}: {answer}", info.number);
    let broken = answer["broken"].as_array().expect("a list").iter();
    broken.map(|broken| broken["invariant"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_scenario_shows_its_race_with_each_mutant_of_it() {
    let mut shown = 0;
    for info in races().filter(|info| info.scenario.is_some()) {
        for mutant in info.mutants() {
            let found = broken(info, &["--mutant", mutant.info().name]);
            assert!(
                info.invariants.iter().any(|name| found.iter().any(|found| found == name)),
                "{mutant}: {found:?}"
            );
            shown += 1;
        }
    }
    assert!(shown >= 12, "only {shown} were tried");
}

#[test]
fn a_scenario_shows_a_latent_race_without_its_fix_and_not_with_it() {
    let mut shown = 0;
    for info in races().filter(|info| info.scenario.is_some() && info.latent) {
        let own: Vec<Fix> = info.fixes().collect();
        let mut kernel = vec!["--kernel", "linux-2.6.27"];
        for fix in Fix::ALL.into_iter().filter(|fix| !own.contains(fix)) {
            kernel.extend(["--fix", fix.info().name]);
        }
        let found = broken(info, &kernel);
        assert!(
            info.invariants.iter().any(|name| found.iter().any(|found| found == name)),
            "{}: {found:?}",
            info.number
        );
        kernel.extend(own.iter().flat_map(|fix| ["--fix", fix.info().name]));
        assert!(broken(info, &kernel).is_empty(), "{}", info.number);
        shown += 1;
    }
    assert!(shown >= 3, "only {shown} were tried");
}

#[test]
fn races_are_explained_by_number_and_by_name() {
    for info in races() {
        assert!(
            info.scenario.is_none_or(|name| root().join(format!("configs/scenarios/{name}.ron")).exists()),
            "{}",
            info.number
        );
        let text = pagewalk(&["config", "explain", info.number]).expect(0);
        assert!(text.starts_with(&format!("{} {} ", info.number, info.name)), "{text}");
        assert_eq!(text.contains("not shown yet: "), info.missing.is_some(), "{text}");
        assert_eq!(text.contains("  see      pagewalk "), info.missing.is_none(), "{text}");
        assert_eq!(text.contains("latent in Linux 2.6.27"), info.latent, "{text}");
        // A mutant has the name of its race, and is what is meant.
        let by_name = pagewalk(&["config", "explain", info.name]).expect(0);
        assert!(
            by_name == text || by_name.starts_with(&format!("kernel.mutants.{}", info.name)),
            "{by_name}"
        );
    }
    let text = pagewalk(&["config", "explain", "r08b"]).expect(0);
    assert_eq!(text, pagewalk(&["config", "explain", "races.R08b"]).expect(0));
    assert!(text.contains(
        "see      pagewalk explore configs/scenarios/shrinking-tree.ron --mutant stale-slot-wrong-page"
    ));
    let swapped = pagewalk(&["config", "explain", "R48"]).expect(0);
    assert!(swapped.contains("--kernel linux-2.6.27 --fix reuse_by_count --verify"), "{swapped}");
}

#[test]
fn all_races_are_told_as_a_list_and_as_a_table() {
    let all = pagewalk(&["config", "explain", "races", "--format", "json"]).json(0);
    let rows = all["races"].as_array().expect("a list");
    assert_eq!(rows.len(), races().count());
    let row = rows.iter().find(|row| row["number"] == "R62").expect("in the list");
    assert_eq!(row["mutants"][0], "check-then-remove");
    assert_eq!(row["about"], race("R62").expect("in the catalogue").what);
    let table = pagewalk(&["config", "explain", "races", "--format", "markdown"]).expect(0);
    assert_eq!(table.lines().count(), races().count() + 2);
    assert!(
        table.lines().all(|line| line.matches(" | ").count() == 3 || line.starts_with("|---")),
        "{table}"
    );
}

#[test]
fn a_number_that_no_race_has_is_told_with_its_nearest() {
    for (typed, near) in [("R9", "R09"), ("R08c", "R08"), ("dirty-cwo", "dirty-cow"), ("I09", "I9")] {
        let answer = pagewalk(&["config", "explain", typed]);
        assert_eq!(answer.code, 2);
        assert!(answer.stderr.contains(&format!("did you mean `{near}`?")), "{}", answer.stderr);
    }
}
