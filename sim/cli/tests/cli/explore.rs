//! Long searches: their limits, what is told of a mutant that does nothing, and of the kernel's own `BUG_ON`.

use crate::common::{Scratch, pagewalk};

/// More classes of schedules than anybody waits for. The first ones leave a dirty page frozen, if the kernel has that mutant.
pub(crate) const ENDLESS: &str = r#"(
    about: "A dirty page that is reclaimed, and many who look it up.",
    files: [(name: "a", pages: 2, cached: [0, 1], dirty: [0])],
    cpus: [
        [Reclaim(file: "a", page: 0), Reclaim(file: "a", page: 1)],
        [Lookup(file: "a", page: 0), Lookup(file: "a", page: 1), LookupLocked(file: "a", page: 0)],
        [Lookup(file: "a", page: 0), Lookup(file: "a", page: 1), LookupLocked(file: "a", page: 1)],
        [Lookup(file: "a", page: 1), Lookup(file: "a", page: 0)],
    ],
)"#;

const REUSE: &str = "configs/scenarios/lookup-and-reuse.ron";

#[test]
fn a_mutant_that_no_run_reaches_is_not_called_clean() {
    for strategy in [&["--strategy", "dpor"][..], &["--strategy", "random", "--runs", "200"]] {
        let words = [&["explore", REUSE, "--mutant", "swap-pte-before-dup"], strategy].concat();
        let text = pagewalk(&words).expect(5);
        assert!(
            text.contains("mutant swap-pte-before-dup was not reached by any run") && !text.contains('●'),
            "{text}"
        );
        let answer = pagewalk(&[&words[..], &["--format", "json"]].concat()).json(5);
        assert_eq!(answer["mutants_not_reached"], serde_json::json!(["swap-pte-before-dup"]));
    }
}

#[test]
fn a_mutant_that_breaks_something_beside_one_that_is_not_reached_is_told_as_broken() {
    let words =
        ["explore", REUSE, "--mutant", "skip-recheck", "--mutant", "zap-drop-dirty", "--format", "json"];
    let answer = pagewalk(&words).json(1);
    assert_eq!(answer["mutants_not_reached"], serde_json::json!(["zap-drop-dirty"]));
}

#[test]
fn what_brings_the_world_to_its_beginning_reaches_no_mutant() {
    // Pages are put into the cache before the run, and none in it.
    let scratch = Scratch::new();
    let scenario = scratch.file(
        "s.ron",
        br#"(about: "", files: [(name: "a", pages: 1, cached: [0])], cpus: [[Lookup(file: "a", page: 0)]])"#,
    );
    let answer =
        pagewalk(&["explore", &scenario, "--mutant", "publish-before-init", "--format", "json"]).json(5);
    assert_eq!(answer["mutants_not_reached"], serde_json::json!(["publish-before-init"]));
    assert_eq!((&answer["complete"], &answer["ended"]), (&true.into(), &"complete".into()));
}

#[test]
fn a_budget_ends_a_search_with_what_it_has() {
    let scratch = Scratch::new();
    let scenario = scratch.file("s.ron", ENDLESS.as_bytes());
    let text = pagewalk(&["explore", &scenario, "--budget", "1s"]).expect(5);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("not all (--budget 1s is used up)"), "{text}");
    let random = ["--strategy", "random", "--runs", "1000000000"];
    let words = [&["explore", &scenario, "--budget", "1s", "--format", "json"], &random[..]].concat();
    let answer = pagewalk(&words).json(5);
    assert_eq!((&answer["ended"], &answer["budget"]), (&"budget".into(), &"1s".into()));
    let failing = pagewalk(&["explore", &scenario, "--budget", "1s", "--mutant", "freeze-leak-dirty"]);
    assert!(failing.expect(1).contains("I6"));
}

#[test]
fn a_budget_that_is_enough_changes_nothing() {
    let run = |more: &[&str]| pagewalk(&[&["explore", REUSE, "--format", "json"], more].concat()).json(0);
    let (with, without) = (run(&["--budget", "1h"]), run(&[]));
    assert_eq!((&with["complete"], &with["finished"]), (&true.into(), &without["finished"]));
}

#[test]
fn a_wrong_budget_is_told_what_a_time_looks_like() {
    for (budget, why) in [("10", "needs a unit"), ("soon", "whole number"), ("0s", "1s to 8760h")] {
        let answer = pagewalk(&["explore", REUSE, "--budget", budget]);
        assert!(answer.code == 2 && answer.stderr.contains(why), "{}", answer.stderr);
    }
}

#[test]
fn a_kernel_that_goes_wrong_everywhere_prints_nothing_but_the_answer() {
    let scenario = "configs/scenarios/node-and-reuse.ron";
    let random = ["--strategy", "random", "--runs", "300"];
    let words = [&["explore", scenario, "--mutant", "plain-inc", "--format", "json"], &random[..]].concat();
    let answer = pagewalk(&words);
    assert_eq!(answer.stderr, "");
    let answer = answer.json(1);
    let broken = answer["broken"].as_array().expect("a list");
    let told = |invariant: &str| broken.iter().any(|broken| broken["invariant"] == invariant);
    assert!(told("I2") && told("I4"), "{broken:?}");
}

#[test]
fn frames_that_cannot_hold_the_scenario_are_refused_where_they_are_said() {
    let scratch = Scratch::new();
    let pages: Vec<String> = (0..16).map(|page| page.to_string()).collect();
    let file = |n| format!("(name: \"f{n}\", pages: 16, cached: [{}])", pages.join(", "));
    let files: Vec<String> = (0..8).map(file).collect();
    let text = |frames: &str| {
        format!("(about: \"\",\n{frames}\nfiles: [{}],\ncpus: [[DropCaches]])", files.join(",\n"))
    };
    for (frames, line) in [("frames: 100,", 2), ("", 10)] {
        let scenario = scratch.file("s.ron", text(frames).as_bytes());
        let answer = pagewalk(&["explore", &scenario, "--format", "json"]);
        assert_eq!(answer.code, 3, "{}", answer.stderr);
        let problem: serde_json::Value = serde_json::from_str(&answer.stderr).expect("a diagnostic is JSON");
        assert_eq!(problem["place"]["line"], line, "{problem}");
    }
}

#[test]
fn what_is_broken_is_told_in_the_words_of_the_scenario() {
    for (scenario, mutant, told) in [
        ("lookup-and-reuse", "skip-recheck", "a lookup of index 0 of a returns page 9: expected"),
        ("lookup-and-reuse", "plain-inc", "all expected to be 0"),
        ("dirty-page", "freeze-leak-dirty", "expected to be unfrozen"),
        ("insertion", "publish-before-init", "expected to say so"),
    ] {
        let file = format!("configs/scenarios/{scenario}.ron");
        let text = pagewalk(&["explore", &file, "--mutant", mutant]).expect(1);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(told), "{mutant}: {text}");
        assert!(!words.contains("Pfn(") && !words.contains("of mapping"), "{mutant}: {text}");
    }
}
