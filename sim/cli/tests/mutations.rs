//! No text makes the readers of machines, sweeps and scenarios panic, and what they refuse has a place in the text.

use std::fs;

use pagewalk_cli::diagnostic::Diagnostic;
use pagewalk_cli::style::Paint;
use pagewalk_explore::parse_scenario_str;
use pagewalk_input::{Place, Refusal};
use pagewalk_machine::{PRESETS, parse_machine_str};
use pagewalk_sweep::parse_sweep_str;

type Reader = fn(&str) -> Option<Refusal>;

const MACHINE: Reader = |text| parse_machine_str("mutant", text).err();
const SWEEP: Reader = |text| parse_sweep_str("mutant", text).err();
const SCENARIO: Reader = |text| parse_scenario_str("mutant", text).err();

/// Whatever comes back must be renderable, and its place must lie within the text.
fn survives(read: Reader, text: &str) {
    let Some(problem) = read(text) else { return };
    assert!(!problem.to_text(Paint::PLAIN).is_empty() && !problem.to_json().is_empty());
    let Place::Text { line, .. } = &*problem.place else { panic!("no place: {problem}") };
    assert!(*line <= text.matches('\n').count() + 1);
}

/// A text cut at every character, and with a sign in place of it and before it.
fn mutate(read: Reader, text: &str) {
    assert!(read(text).is_none(), "{text}");
    let signs = ["", "(", ")", "[", "]", "\"", ",", ":", "-", "9", "/*", "\\", "é", "r#\"", "\n", "\u{0}"];
    for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        survives(read, &text[..at]);
        let next = at + text[at..].chars().next().expect("before the end").len_utf8();
        let sign = signs[at % signs.len()];
        survives(read, &format!("{}{sign}{}", &text[..at], &text[next..]));
        survives(read, &format!("{}{sign}{}", &text[..at], &text[at..]));
    }
}

fn shipped(directory: &str) -> Vec<String> {
    let path = format!("{}/../../{directory}", env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(path).expect("it is shipped").map(|entry| entry.expect("an entry").path());
    let texts: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "ron"))
        .map(|path| fs::read_to_string(path).expect("text"))
        .collect();
    assert!(!texts.is_empty(), "{directory}");
    texts
}

#[test]
fn no_mutation_of_a_machine_makes_the_reader_panic() {
    let tiny = PRESETS.iter().find(|preset| preset.name == "tiny").expect("it is shipped");
    mutate(MACHINE, tiny.text);
}

#[test]
fn no_mutation_of_a_sweep_makes_the_reader_panic() {
    shipped("configs/sweeps").iter().for_each(|text| mutate(SWEEP, text));
    // What no shipped sweep has.
    mutate(
        SWEEP,
        "(title: \"é\", axes: [(path: \"a\\u{e9}\", values: Range(1, 9, 2)), (path: \"b\", values: List([1, true, \"é\", 0, 2]))],
          zip: [[\"aé\", \"b\"]], keep: [\"b <= 4\", \"aé != b\"], metrics: [(path: \"é\", per: Some(\"x\"), better: more)])",
    );
}

#[test]
fn no_mutation_of_a_scenario_makes_the_reader_panic() {
    shipped("configs/scenarios").iter().for_each(|text| mutate(SCENARIO, text));
}

#[test]
fn deep_nesting_is_refused_on_a_small_stack() {
    let nests = [
        "(",
        "[",
        "{",
        "/*",
        "Some(",
        "(a:",
        "(a:[",
        "(a:(",
        "(a:Some(",
        "{\"a\":",
        "List([",
        "(tlb:(l1d:[(",
    ];
    let machine = ["", "(description: ", "(cpus: ", "(tlb: (l1d: "];
    let sweep = ["", "(title: ", "(set: {\"a\": ", "(axes: [(path: \"a\", values: ", "(zip: ", "(metrics: "];
    let scenario = ["", "(about: ", "(files: ", "(files: [(name: ", "(cpus: [["];
    let check = move || {
        let readers: [(Reader, &[&str]); 3] = [(MACHINE, &machine), (SWEEP, &sweep), (SCENARIO, &scenario)];
        for nest in nests.map(|nest| nest.repeat(20_000)) {
            for (read, prefixes) in readers {
                for prefix in prefixes {
                    assert!(read(&format!("{prefix}{nest}")).is_some(), "{prefix}{}", &nest[..10]);
                }
            }
        }
    };
    let small = std::thread::Builder::new().stack_size(512 << 10).spawn(check);
    small.expect("a thread").join().expect("no stack overflows");
}
