//! Searches by state: which one is made, who takes part, and where it goes on from.

use crate::common::{Answer, Scratch, pagewalk};

const TREE: &str = "configs/scenarios/shrinking-tree.ron";

/// What the program says when it refuses with `code`.
fn refused(answer: Answer, code: i32) -> String {
    assert_eq!(answer.code, code, "{}", answer.stderr);
    answer.stderr
}

/// More than 20 000 classes, and few states.
const CROWDED: &str = r#"(
    about: "A page that is taken out and put back twice, and two lookups.",
    files: [(name: "a", pages: 1, cached: [0])],
    cpus: [
        [Reinsert(file: "a", page: 0), Reinsert(file: "a", page: 0)],
        [LookupLocked(file: "a", page: 0), Lookup(file: "a", page: 0)],
    ],
)"#;

#[test]
fn the_answer_does_not_depend_on_the_number_of_threads() {
    let answers = ["1", "2", "7"].map(|jobs| {
        let words = ["explore", TREE, "--mutant", "node-zeroed-before-grace", "--strategy", "states"];
        let mut answer = pagewalk(&[&words[..], &["--jobs", jobs, "--format", "json"]].concat()).json(1);
        let command = answer.as_object_mut().and_then(|answer| answer.remove("command"));
        assert!(command.is_some_and(|command| command.to_string().contains(jobs)));
        answer.to_string()
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[test]
fn both_exhaustive_searches_break_the_same() {
    for mutant in ["skip-recheck", "plain-inc", "set-count-clobber"] {
        let broken = ["dpor", "states"].map(|strategy| {
            let words = ["explore", "configs/scenarios/lookup-and-reuse.ron", "--mutant", mutant];
            let answer =
                pagewalk(&[&words[..], &["--strategy", strategy, "--format", "json"]].concat()).json(1);
            let broken = answer["broken"].as_array().expect("a list").iter();
            let mut names: Vec<_> = broken.map(|broken| broken["invariant"].to_string()).collect();
            names.sort();
            names
        });
        assert_eq!(broken[0], broken[1], "{mutant}");
    }
}

#[test]
fn too_many_classes_are_searched_by_state() {
    let scratch = Scratch::new();
    let scenario = scratch.file("s.ron", CROWDED.as_bytes());
    let answer = pagewalk(&["explore", &scenario, "--format", "json"]).json(0);
    assert_eq!(answer["strategy"], "states");
    assert!(answer["states"]["states"].as_u64().is_some_and(|states| states > 1_000), "{answer}");
    let few = pagewalk(&["explore", TREE, "--format", "json"]).json(0);
    assert_eq!((&few["strategy"], &few["states"]), (&"dpor".into(), &serde_json::Value::Null));
    // Who says how many runs gets no others.
    let words = ["explore", &scenario, "--runs", "50", "--format", "json"];
    assert_eq!(pagewalk(&words).json(5)["strategy"], "dpor");
}

#[test]
fn a_checkpoint_is_of_one_scenario_and_one_kernel() {
    let scratch = Scratch::new();
    let file = scratch.path("tree.states");
    let words = ["explore", TREE, "--checkpoint", &file, "--format", "json"];
    let first = pagewalk(&words).json(0);
    let written = std::fs::read(&file).expect("it was written");
    assert_eq!(pagewalk(&words).json(0), first);
    assert_eq!(std::fs::read(&file).expect("it is there"), written);
    let other = pagewalk(&[&words[..], &["--mutant", "skip-recheck"]].concat());
    assert!(refused(other, 3).contains("another scenario, kernel or version"));
    assert_eq!(std::fs::read(&file).expect("it is there"), written, "it is left alone");
    std::fs::write(&file, &written[..written.len() / 2]).expect("a scratch file");
    assert!(refused(pagewalk(&words), 3).contains("damaged, or not whole"));
    let random = pagewalk(&[&words[..], &["--strategy", "random"]].concat());
    assert!(refused(random, 2).contains("states"));
}
