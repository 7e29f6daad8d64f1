//! What the program refuses, and how: the exit code, the place, the cause, and nothing written.

use crate::common::{Answer, STRESS, Scratch, pagewalk};

/// Asserts that a run was refused with `code`, that its message holds every one of `words`, and that there was no
/// answer.
#[track_caller]
fn refused(answer: &Answer, code: i32, words: &[&str]) {
    assert_eq!(answer.code, code, "{}", answer.stderr);
    for word in words {
        assert!(answer.stderr.contains(word), "{word:?} is not in:\n{}", answer.stderr);
    }
    assert!(answer.stdout.is_empty(), "a refusal has no answer:\n{}", answer.stdout);
}

fn some_trace() -> Vec<u8> {
    let scratch = Scratch::new();
    std::fs::read(scratch.made(STRESS)).expect("the trace that was made")
}

#[test]
fn files_that_are_no_traces_are_refused_with_their_name() {
    let scratch = Scratch::new();
    let wrong = [
        (scratch.path("missing.pwt"), "cannot be read"),
        (scratch.file("empty.pwt", b""), "expected a Pagewalk trace"),
        (scratch.file("garbage.pwt", &[0xA5; 5000]), "magic number"),
        ("traces/README.md".to_owned(), "magic number"),
        ("traces".to_owned(), "cannot be read"),
    ];
    for (file, why) in &wrong {
        refused(&pagewalk(&["replay", file]), 3, &[file, why]);
        refused(&pagewalk(&["trace", "info", file]), 3, &[file, why]);
    }
}

#[test]
fn a_trace_cut_short_anywhere_is_refused() {
    let whole = some_trace();
    let scratch = Scratch::new();
    for eighths in 0..8 {
        let file = scratch.file("cut.pwt", &whole[..whole.len() * eighths / 8]);
        refused(&pagewalk(&["replay", &file]), 3, &[&file, "byte"]);
    }
    let file = scratch.file("cut.pwt", &whole[..whole.len() - 1]);
    refused(&pagewalk(&["replay", &file]), 3, &[&file, "byte"]);
}

#[test]
fn a_damaged_trace_is_refused_where_the_damage_is() {
    let whole = some_trace();
    let scratch = Scratch::new();
    for at in (100..whole.len() - 40).step_by(whole.len() / 12) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let file = scratch.file("damaged.pwt", &damaged);
        refused(&pagewalk(&["replay", &file, "--verify"]), 3, &[&file, "byte"]);
    }
}

#[test]
fn a_refusal_can_be_had_as_json() {
    let answer = pagewalk(&["replay", "traces/README.md", "--format", "json"]).json(3);
    assert_eq!(answer["schema"], "pagewalk.diagnostic/1");
    assert_eq!(answer["exit_code"], 3);
    assert_eq!(answer["place"]["file"], "traces/README.md");
}

#[test]
fn machine_files_are_refused_with_line_and_column() {
    let scratch = Scratch::new();
    let wrong = [
        ("(\n  cpu: 4,\n)", ":2:3", "no parameter `cpu`"),
        ("(\n  cpus: \"many\",\n)", ":2:9", "expected an integer"),
        ("(memory: (frames: 99999999999999999999))", ":1:19", "expected a number of frames"),
        ("(cpus: 0)", ":1:8", "from 1 to 256"),
        ("(tlb: (l1d: [(entries: 65, ways: 4)]))", ":1:", "multiple"),
        ("(cpus: 4", ":1:", "expected"),
    ];
    for (text, position, why) in wrong {
        let file = scratch.file("m.ron", text.as_bytes());
        let place = format!("{file}{position}");
        refused(&pagewalk(&["replay", "traces/gzip.pwt", "--machine", &file]), 3, &[&place, why]);
        refused(&pagewalk(&["config", "show", &file]), 3, &[&place, why]);
    }
    refused(&pagewalk(&["replay", "traces/gzip.pwt", "-m", "zen3"]), 3, &["zen3", "did you mean `zen2`"]);
    let binary = scratch.file("m.ron", &[0xFF, 0xFE, 0, 1]);
    refused(&pagewalk(&["config", "show", &binary]), 3, &[&binary, "UTF-8"]);
}

#[test]
fn wrong_options_are_wrong_usage() {
    let wrong: [(&[&str], &str); 14] = [
        (&[], "<TRACE>"),
        (&["traces/gzip.pwt", "--sed", "1"], "--sed"),
        (&["traces/gzip.pwt", "--seed", "-1"], "-1"),
        (&["traces/gzip.pwt", "--seed", "99999999999999999999"], "99999999999999999999"),
        (&["traces/gzip.pwt", "--seeds", "5..5"], "A below B"),
        (&["traces/gzip.pwt", "--seeds", "1..2", "--seed", "3"], "cannot be used with"),
        (&["traces/gzip.pwt", "--jobs", "0"], "1..=256"),
        (&["traces/gzip.pwt", "--set", "cpus"], "expected path=value"),
        (&["traces/gzip.pwt", "--set", "cpus=257"], "from 1 to 256"),
        (&["traces/gzip.pwt", "--set", "cpu=2"], "there is no parameter `cpu`"),
        (&["traces/gzip.pwt", "--place", "9"], "there is no CPU 9"),
        (&["traces/gzip.pwt", "--place", "here"], "expected `spread`"),
        (&["traces/gzip.pwt", "--record", "100000001"], "100000001"),
        (&["traces/gzip.pwt", "--schedule", "fair"], "timed"),
    ];
    for (words, why) in wrong {
        refused(&pagewalk(&[&["replay"], words].concat()), 2, &[why]);
    }
    refused(&pagewalk(&["play"]), 2, &["play"]);
}

#[test]
fn generator_parameters_are_refused_and_nothing_is_written() {
    let scratch = Scratch::new();
    let wrong = [
        ("pattern: fractal", 3, "expected one of"),
        ("pages: 3", 3, "pattern"),
        ("pattern: zipf, page: 3", 3, "page"),
        ("pattern: zipf, pages: 0", 3, "1 to 4194304"),
        ("pattern: zipf, pages: 3.5", 3, "SPEC:1:"),
        ("pattern: zipf, threads: 1000000000", 3, "1 to 256"),
        ("nowhere.ron", 3, "nowhere.ron"),
    ];
    for (spec, code, why) in wrong {
        refused(&pagewalk(&["trace", "make", spec, "-o", &scratch.path("x.pwt")]), code, &[why]);
    }
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn logs_are_refused_with_their_line_and_nothing_is_written() {
    let scratch = Scratch::new();
    let logs: [(&str, &[u8], &str); 4] = [
        ("lackey", b"I  04000000,3\nnonsense\n", ":2:1"),
        ("lackey", b"I  04000000,3\n L zz,8\n", ":2:"),
        ("text", b"pagewalk-trace 1\nthread 1 1\nmap zz 1000 rw- private anonymous\n", ":3:"),
        ("text", b"\x00\x01\x02", ":1:1"),
    ];
    for (format, log, position) in logs {
        let file = scratch.file("log", log);
        let place = format!("{file}{position}");
        let words = ["trace", "import", "--format", format, &file, "-o", &scratch.path("x.pwt")];
        refused(&pagewalk(&words), 3, &[&place, "expected"]);
    }
    let unwritable = scratch.path("no/such/directory/x.pwt");
    refused(
        &pagewalk(&["trace", "make", "pattern: zipf, accesses: 10", "-o", &unwritable]),
        3,
        &[&unwritable],
    );
    assert_eq!(scratch.names(), ["log"]);
}
