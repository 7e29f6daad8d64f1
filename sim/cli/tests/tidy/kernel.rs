//! The rules of kernel text: who looks at what, and what observers are told.

use std::collections::BTreeMap;

use super::{code, nothing_wrong, rust_files, without_tests};

/// Whether a source file is an observer's, or a test's: the whole of it may look at shared words.
fn observes(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "check" | "check.rs"))
}

/// The documentation of the function that line `number` (from 0) is in, the lines of its comment joined.
fn documentation_at(lines: &[&str], number: usize) -> String {
    let is_function = |line: &&str| {
        let words = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        ["fn ", "async fn ", "const fn "].iter().any(|start| words.starts_with(start))
    };
    let function = (0..=number).rev().find(|&at| is_function(&lines[at])).unwrap_or(0);
    let comment = lines[..function].iter().rev().map(|line| line.trim_start());
    let comment = comment.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut comment: Vec<&str> = comment.collect();
    comment.reverse();
    comment.join(" ")
}

/// A kernel path that looks at a shared word without a step sees what no schedule shows it seeing.
#[test]
fn only_observers_look_at_shared_words_without_a_step() {
    // The words themselves and their waits.
    const HOMES: &[&str] = &["sim/engine/src/word.rs", "sim/engine/src/bit_wait.rs"];
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, text) in rust_files() {
        if observes(&path) || HOMES.contains(&path.as_str()) {
            continue;
        }
        let text = without_tests(&text);
        let set_up = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .any(|line| line.contains("outside a run"));
        let lines: Vec<&str> = text.lines().collect();
        for (number, _) in code(text).filter(|(_, line)| line.contains(".observe()")) {
            seen += 1;
            let told = documentation_at(&lines, number - 1);
            let may = ["observers", "heuristics", "Outside a run"].iter().any(|word| told.contains(word));
            if !may && !set_up {
                wrong.push(format!(
                    "{path}:{number}: a look without a step, in a function that is not for observers"
                ));
            }
        }
    }
    assert!(seen > 10, "the search finds the observers");
    nothing_wrong("one-step", &wrong);
}

/// A kernel path tells a probe what happens; it does not ask for an observer.
#[test]
fn kernel_paths_know_no_observer() {
    const HOMES: &[&str] = &[
        "sim/kernel/src/check/",
        "sim/kernel/src/probe.rs",
        "sim/kernel/src/kernel.rs",
        "sim/kernel/src/observe.rs",
    ];
    let mut wrong = Vec::new();
    let kernel =
        |path: &str| path.starts_with("sim/kernel/src/") && !HOMES.iter().any(|home| path.starts_with(home));
    for (path, text) in rust_files().into_iter().filter(|(path, _)| kernel(path)) {
        for (number, line) in code(without_tests(&text)) {
            for asked in ["oracle()", ".oracle", "observer()", "shadow"] {
                if line.contains(asked) {
                    wrong.push(format!("{path}:{number}: {asked}: a path tells `Kernel::probe`"));
                }
            }
        }
    }
    nothing_wrong("watched", &wrong);
}

/// Packages and directories of kernel paths, whose text is there to be read beside Linux's.
const KERNEL_TEXT: &[&str] = &[
    "pagecache/src/",
    "swap/src/",
    "sim/kernel/src/fs/",
    "sim/kernel/src/migrate/",
    "sim/kernel/src/paths/",
    "sim/kernel/src/shmem/",
    "sim/kernel/src/swap/",
    "sim/kernel/src/vmscan/",
];

/// Percent of the lines of kernel text that are comments, at least.
const COMMENTS: usize = 22;

/// A line of kernel text says what happens; why in this order, and what other CPUs may do meanwhile, only a comment says.
#[test]
fn kernel_paths_say_why() {
    let (mut lines, mut comments) = (0, 0);
    for (path, text) in rust_files() {
        let inside =
            KERNEL_TEXT.iter().any(|place| path.strip_prefix(place).is_some_and(|f| !f.contains('/')));
        let told = without_tests(&text).lines().map(str::trim).filter(|line| !line.is_empty() && inside);
        for line in told {
            lines += 1;
            comments += usize::from(line.starts_with("//"));
        }
    }
    assert!(lines > 5_000, "the search finds the kernel paths: {lines} lines");
    let share = comments * 100 / lines;
    assert!(
        share >= COMMENTS,
        "{comments} of {lines} lines of kernel text are comments: {share} %, not {COMMENTS}"
    );
}

/// Two classes of one number would be one to the engine.
#[test]
fn every_class_of_objects_has_a_number_and_a_name_of_its_own() {
    let (mut seen, mut wrong) = (BTreeMap::new(), Vec::new());
    for (path, text) in
        rust_files().into_iter().filter(|(path, _)| !observes(path) || path.contains("/check/"))
    {
        for (number, line) in
            code(without_tests(&text)).filter(|(_, line)| line.contains(": Class = Class::"))
        {
            let (_, told) = line.split_once(": Class = Class::").expect("it is there");
            let (id, rest) =
                told.split_once('(').and_then(|(_, told)| told.split_once(',')).expect("a number");
            let name = rest.split('"').nth(1).unwrap_or_default();
            for key in [id.trim().to_owned(), format!("\"{name}\"")] {
                if let Some(other) = seen.insert(key.clone(), format!("{path}:{number}")) {
                    wrong.push(format!("{path}:{number}: {key} is taken by {other}"));
                }
            }
        }
    }
    assert!(seen.len() > 100, "the search finds the classes: {}", seen.len());
    nothing_wrong("classes", &wrong);
}
