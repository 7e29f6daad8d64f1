//! `trace import`: which importer an input gets, what is asked of it, and what is refused.

use std::fs;

use pagewalk_trace::IMPORTERS;

use crate::common::{Answer, Scratch, pagewalk};

const TEXT: &str = "pagewalk-trace 1\nsource \"hand\"\nthread 1 1\nmap 1000 1000 rw- private anonymous\n\
                    L 1000,8\nS 1008,8\nL 1010,8\nS 1018,8\n";
const LACKEY: &str = "==42== Command: x\nI  00401000,3\n L 00500000,8\n S 00500008,8\n";

/// Imports files with these options; the answer, and the trace as text if there is one.
fn import(scratch: &Scratch, words: &[&str]) -> (Answer, Option<String>) {
    let out = scratch.path("out.pwt");
    let _ = fs::remove_file(&out);
    let answer = pagewalk(&[&["trace", "import", "-o", &out], words].concat());
    let told = fs::exists(&out)
        .expect("its directory can be read")
        .then(|| pagewalk(&["trace", "info", &out, "--format", "records"]).expect(0));
    (answer, told)
}

/// The lines of accesses in a trace as text.
fn accesses(records: &str) -> usize {
    records.lines().filter(|line| ["I ", "L ", "S ", "M "].iter().any(|op| line.starts_with(op))).count()
}

#[track_caller]
fn refused((answer, told): (Answer, Option<String>), code: i32, words: &[&str]) {
    assert_eq!((answer.code, told), (code, None), "{}", answer.stderr);
    for word in words {
        assert!(answer.stderr.contains(word), "{word:?} is not in:\n{}", answer.stderr);
    }
}

#[test]
fn an_input_gets_the_importer_of_what_it_is_unless_one_is_named() {
    let scratch = Scratch::new();
    let text = scratch.file("text", TEXT.as_bytes());
    let log = scratch.file("log", LACKEY.as_bytes());
    for words in [&[text.as_str()][..], &[&text, "--format", "text"]] {
        let records = import(&scratch, words).1.expect("a trace");
        assert!(records.contains("source \"hand\"") && accesses(&records) == 4, "{records}");
    }
    for words in [&[log.as_str()][..], &[&log, "--format", "lackey"]] {
        let records = import(&scratch, words).1.expect("a trace");
        assert!(records.contains("source \"lackey\"") && accesses(&records) == 3, "{records}");
    }
    refused(import(&scratch, &[&text, "--format", "lackey"]), 3, &[":1:1", "does not follow the grammar"]);
    refused(import(&scratch, &[&log, "--format", "text"]), 3, &[":1:1", "pagewalk-trace 1"]);
}

#[test]
fn an_empty_log_is_one_of_a_program_that_did_nothing() {
    let scratch = Scratch::new();
    let records = import(&scratch, &[&scratch.file("log", b"\n")]).1.expect("a trace");
    assert_eq!(accesses(&records), 0, "{records}");
}

#[test]
fn a_format_that_makes_a_trace_of_one_input_refuses_several() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.file("one", TEXT.as_bytes()), scratch.file("two", TEXT.as_bytes()));
    for words in [&[one.as_str(), &two][..], &[&one, &two, "--format", "text"]] {
        refused(import(&scratch, words), 3, &[&two, "found 2 inputs", "expected one input of format text"]);
    }
}

#[test]
fn inputs_of_different_formats_are_refused() {
    let scratch = Scratch::new();
    let (text, log) = (scratch.file("text", TEXT.as_bytes()), scratch.file("log", LACKEY.as_bytes()));
    refused(
        import(&scratch, &[&log, &text]),
        3,
        &[&text, "format text", "expected format lackey, like", &log],
    );
}

#[test]
fn the_limit_of_accesses_holds_for_every_format() {
    let scratch = Scratch::new();
    let text = scratch.file("text", TEXT.as_bytes());
    let log = scratch.file("log", LACKEY.as_bytes());
    for (file, all) in [(&text, 4), (&log, 3)] {
        for max in 0..6 {
            let records = import(&scratch, &[file, "--max", &max.to_string()]).1.expect("a trace");
            assert_eq!(accesses(&records), all.min(max), "{records}");
        }
    }
}

/// Mappings of a log without system calls come before all accesses, with a limit as without one.
#[test]
fn a_limit_does_not_change_how_a_log_is_read() {
    let scratch = Scratch::new();
    let log = scratch.file("log", LACKEY.as_bytes());
    let whole = import(&scratch, &[&log]).1.expect("a trace");
    assert_eq!(import(&scratch, &[&log, "--max", "3"]).1.as_ref(), Some(&whole));
    assert_eq!(import(&scratch, &[&log, "--max", "9"]).1, Some(whole));
}

#[test]
fn the_list_of_formats_is_what_help_and_refusals_tell() {
    let scratch = Scratch::new();
    let names: Vec<&str> = IMPORTERS.iter().map(|importer| importer.name()).collect();
    let help =
        pagewalk(&["trace", "import", "--help"]).expect(0).split_whitespace().collect::<Vec<_>>().join(" ");
    for importer in IMPORTERS {
        assert!(help.contains(&format!("- {}: {}", importer.name(), importer.about())), "{help}");
    }
    let garbage = scratch.file("garbage", &[0xA5; 100]);
    let every = names.join(", ");
    refused(import(&scratch, &[&garbage]), 3, &[&garbage, &format!("expected one of {every}"), "--format"]);
    let named = import(&scratch, &[&garbage, "--format", "nothing"]);
    refused(named, 2, &[&format!("[possible values: {every}]")]);
}
