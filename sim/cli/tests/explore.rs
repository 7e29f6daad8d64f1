//! The shipped scenarios: the kernel with every fix breaks nothing in any schedule, and a failing schedule can be saved and told.
//! That every mutant is caught by what it breaks is shown beside the catalogue of races.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pagewalk(words: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_pagewalk")).args(words).current_dir(root()).output();
    run.expect("the program starts")
}

fn explore(scenario: &str, more: &[&str]) -> (i32, Value) {
    let file = format!("configs/scenarios/{scenario}.ron");
    let run = pagewalk(&[&["explore", &file, "--format", "json"], more].concat());
    let answer = serde_json::from_slice(&run.stdout).expect("the answer is JSON");
    (run.status.code().expect("it exits"), answer)
}

fn invariants(answer: &Value) -> Vec<&str> {
    let broken = answer["broken"].as_array().expect("a list");
    broken.iter().map(|broken| broken["invariant"].as_str().expect("a name")).collect()
}

/// Scenarios whose every class of schedules is visited in no time.
const EXHAUSTED: [&str; 11] = [
    "fault-and-truncate",
    "lookup-and-reclaim",
    "lookup-and-reuse",
    "dirty-page",
    "shrinking-tree",
    "gang-lookup",
    "node-and-reuse",
    "insertion",
    "reinsertion",
    "count-after-a-grace-period",
    "discard-and-reuse",
];

#[test]
fn the_fixed_kernel_breaks_nothing_in_any_schedule() {
    for scenario in EXHAUSTED {
        let (exit, answer) = explore(scenario, &[]);
        assert_eq!(
            (exit, &answer["complete"], &answer["failing"]),
            (0, &true.into(), &0.into()),
            "{scenario}"
        );
        assert_eq!(answer["schema"], "pagewalk.explore/1");
    }
}

#[test]
fn latent_bugs_of_2_6_27_show_without_a_mutant_and_go_with_their_fix() {
    // The gang lookup has another livelock, which would hide the difference: the value of the slot, read once.
    let tree: [&str; 2] = ["--kernel", "linux-2.6.27"];
    let gang = [&tree[..], &["--fix", "reread_slot"]].concat();
    for (scenario, kernel, invariant) in [("gang-lookup", &gang[..], "I27"), ("shrinking-tree", &tree, "I9")]
    {
        let (exit, answer) = explore(scenario, &tree);
        assert!(exit == 1 && invariants(&answer).contains(&invariant), "{scenario}");
        let (exit, answer) = explore(scenario, kernel);
        assert!(exit == 1 && invariants(&answer).contains(&invariant), "{scenario}");
        let (exit, answer) = explore(scenario, &[kernel, &["--fix", "retired_slot_retry"]].concat());
        let broken = invariants(&answer);
        assert_eq!((exit, &answer["complete"]), (0, &true.into()), "{scenario}: {broken:?}");
    }
}

/// What a row of a table of the document must say: of a scenario, or of a mutant on one. `None` if the line is no such row.
fn true_row(line: &str) -> Option<String> {
    let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
    match cells[..] {
        [scenario, classes, ..]
            if cells.len() == 6 && classes.starts_with(|first: char| first.is_ascii_digit()) =>
        {
            let (_, answer) = explore(scenario, &[]);
            let (_, by_state) = explore(scenario, &["--strategy", "states"]);
            let counts = [&answer["finished"], &answer["runs"], &answer["steps"]];
            let states = [&by_state["states"]["states"], &by_state["states"]["transitions"]];
            let cells: Vec<_> = counts.into_iter().chain(states).map(spaced).collect();
            Some(format!("| {scenario} | {} |", cells.join(" | ")))
        }
        [race, mutant, scenario, invariant, _] if race.starts_with('R') => {
            let (_, answer) = explore(scenario, &["--mutant", mutant]);
            let broken = answer["broken"].as_array().expect("a list");
            let found = broken.iter().find(|found| found["invariant"] == invariant)?;
            let classes = format!("{} of {}", spaced(&found["runs"]), spaced(&answer["finished"]));
            Some(format!("| {race} | {mutant} | {scenario} | {invariant} | {classes} |"))
        }
        _ => None,
    }
}

/// A number as the documents write it.
fn spaced(number: &Value) -> String {
    let digits = number.as_u64().expect("a number").to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(" ")
}

#[test]
fn the_tables_of_the_document_are_true() {
    let path = root().join("docs/explore.md");
    let text = std::fs::read_to_string(&path).expect("the document is there");
    let rows: Vec<_> = text.lines().map(true_row).collect();
    assert_eq!(rows.iter().flatten().count(), 12 + 11, "a row for each scenario and each mutant");
    let lines =
        rows.into_iter().zip(text.lines()).map(|(row, line)| row.unwrap_or_else(|| line.into()) + "\n");
    let truth: String = lines.collect();
    if std::env::var_os("PAGEWALK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, truth).expect("the document can be written");
    } else {
        assert_eq!(text, truth, "PAGEWALK_UPDATE_DOCS=1 writes what is true");
    }
}

#[test]
fn before_the_lockless_lookup_there_was_nothing_to_find() {
    for scenario in ["lookup-and-reclaim", "lookup-and-reuse", "shrinking-tree"] {
        let (exit, answer) = explore(scenario, &["--kernel", "linux-2.6.22"]);
        assert_eq!((exit, &answer["complete"]), (0, &true.into()), "{scenario}");
    }
}

#[test]
fn the_count_of_a_new_page_is_exact_only_after_a_grace_period() {
    let (exit, answer) = explore("count-of-a-new-page", &[]);
    assert_eq!((exit, invariants(&answer)), (1, vec!["count-is-exact"]));
}

#[test]
fn too_few_runs_are_an_incomplete_answer() {
    let (exit, answer) = explore("lookup-and-reuse", &["--runs", "3"]);
    assert_eq!((exit, &answer["complete"]), (5, &false.into()));
}

#[test]
fn random_schedules_repeat_by_their_seed() {
    let words = ["--strategy", "random", "--runs", "2000", "--mutant", "skip-recheck"];
    let run = |seed| explore("lookup-and-reuse", &[&words[..], &["--seed", seed]].concat()).1;
    let (one, other) = (run("1"), run("2"));
    assert_eq!(one["failing"], run("1")["failing"]);
    assert_eq!(one["steps"], run("1")["steps"]);
    assert_ne!(one["steps"], other["steps"]);
}

#[test]
fn a_saved_schedule_is_told_and_notices_that_it_is_another() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("case.json");
    let name = file.to_str().expect("a path of letters");
    explore("lookup-and-reuse", &["--mutant", "skip-recheck", "--save", name]);
    let told = pagewalk(&["explain", name]);
    let text = String::from_utf8(told.stdout).expect("answers are UTF-8");
    assert!(
        told.status.success() && text.contains("✘ I9") && text.contains("(step\n3), root of a is empty"),
        "{text}"
    );
    let json = pagewalk(&["explain", name, "--format", "json"]);
    let story: Value = serde_json::from_slice(&json.stdout).expect("the answer is JSON");
    assert_eq!(story["schema"], "pagewalk.explain/1");
    assert!(story["switches"].as_u64().expect("a number") >= 1);
    let steps = story["steps"].as_array().expect("a list");
    let freezes = steps.iter().find(|step| step["protocol"] == "A").expect("a removal freezes");
    assert_eq!(
        (&freezes["path"], &freezes["step"]),
        (&"page_freeze_refs".into(), &"page 9 count 2 → 0".into())
    );
    assert!(freezes["line"].as_str().expect("a line").contains("cmpxchg"), "{freezes}");
    let saved = std::fs::read_to_string(&file).expect("it was written");
    std::fs::write(&file, saved.replace("page 9 count", "page 10 count")).expect("it can be written");
    let refused = pagewalk(&["explain", name]);
    let why = String::from_utf8(refused.stderr).expect("messages are UTF-8");
    assert!(refused.status.code() == Some(3) && why.contains("when the case was saved"), "{why}");
}

#[test]
fn what_is_wrong_with_a_scenario_is_told_with_its_place() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("s.ron");
    let told = |text: &str| {
        std::fs::write(&file, text).expect("it can be written");
        let run = pagewalk(&["explore", file.to_str().expect("a path of letters"), "--format", "json"]);
        assert_eq!(run.status.code(), Some(3), "{text}");
        let problem: Value = serde_json::from_slice(&run.stderr).expect("a diagnostic is JSON");
        (
            problem["place"]["line"].as_u64(),
            problem["place"]["column"].as_u64(),
            problem["message"].to_string(),
        )
    };
    let (line, column, message) = told("(about: \"\",\n files: [(name: \"a\", page: 1)],\n cpus: [])");
    assert!(
        line == Some(2) && column == Some(22) && message.contains("page"),
        "{line:?}:{column:?} {message}"
    );
    let (line, column, message) =
        told("(about: \"\", files: [(name: \"a\", pages: 1)],\ncpus: [[Lookup(file: \"zz\", page: 0)]])");
    assert!(
        (line, column) == (Some(2), Some(23)) && message.contains("no file is named"),
        "{line:?}:{column:?} {message}"
    );
    let (.., message) =
        told("(about: \"\", files: [(name: \"a\", pages: 1)], cpus: [[Reclaim(file: \"a\", page: 0)]])");
    assert!(message.contains("not cached"), "{message}");
}
