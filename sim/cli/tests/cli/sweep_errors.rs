//! Sweeps that cannot be, or not as a whole: what is said, and what is left.

use std::fs;
use std::path::Path;

use crate::common::{Scratch, answer, pagewalk};
use crate::sweep::{small, sweep, tree};

#[test]
fn what_cannot_be_written_or_read_is_said_and_nothing_is_left_half_done() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let blocked = scratch.file("blocked", b"a file where a directory should be");
    let refused = sweep(&scratch.path("run"), &["run", &file, "--out", &format!("{blocked}/out")]);
    assert!(refused.code == 3 && refused.stderr.contains("cannot be made"), "{}", refused.stderr);
    // Nobody, not even root, makes a directory there.
    let refused = sweep(&scratch.path("run"), &["run", &file, "--out", "/proc/self/out"]);
    assert!(refused.code == 3 && refused.stderr.contains("cannot be made"), "{}", refused.stderr);
    // A full disk, as a limit of the shell: files may have no byte.
    let script = format!("trap '' XFSZ; ulimit -f 0; exec \"$0\" sweep run '{file}' --out out --jobs 1");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_pagewalk")]).current_dir(scratch.path("run"));
    let full = answer(shell.output().expect("a shell"));
    assert!(full.code == 3 && full.stderr.contains("cannot be written"), "{}: {}", full.code, full.stderr);
    assert_eq!(tree(&Path::new(&scratch.path("run")).join("out")).len(), 0, "nothing is left");
    fs::remove_file(scratch.path("made.pwt")).expect("it was there");
    let gone = sweep(&scratch.path("run"), &["run", &file, "--out", "out"]);
    assert!(gone.code == 3 && gone.stderr.contains("made.pwt"), "{}", gone.stderr);
}

#[test]
fn what_is_wrong_with_a_sweep_is_said_with_its_place() {
    let scratch = Scratch::new();
    let right = fs::read_to_string(small(&scratch)).expect("it was written");
    // What is replaced, by what, what is said, and of which word.
    let cases = [
        ("\"20%\"", "\"lots\"", "memory: `lots`", "\"memory\""),
        ("\"cpus\": 2", "\"cpus\": 0", "cpus", "\"cpus\""),
        ("\"cpus\"", "\"cpu\"", "cpu", "\"cpu\""),
        ("Range(1, 3, 1)", "Range(1, 3, 0)", "step above 0", "\"seed\""),
        ("Range(1, 3, 1)", "Range(1, 300000, 1)", "too many values", "axes"),
        ("\"seed\"", "\"memory\"", "given twice", "\"memory\", values: L"),
        (
            "axes:",
            "zip: [[\"swap\", \"memory\"]], axes:",
            "differ in how many values",
            "\"swap\", \"memory\"]]",
        ),
        ("axes:", "zip: [[\"swap\", \"cpus\"]], axes:", "there is no axis `cpus`", "\"cpus\"]]"),
        ("axes:", "keep: [\"seed\"], axes:", "compares nothing", "\"seed\"], axes"),
        ("axes:", "keep: [\"seed > 7\"], axes:", "drop every point", "keep"),
        (
            "better: less)",
            "better: less), (path: \"x\", label: \"cycles per access\", unit: \"cycles\")",
            "two metrics",
            "\"cycles per access\", unit: \"cycles\", b",
        ),
        ("Small", "Sm\\u{7}all", "control character", "("),
        ("\"seed\"", "\"runs\"", "a replay has none", "\"runs\""),
        ("title", "titel", "titel", "titel"),
        ("Range(1, 3, 1)", "List([1, 1])", "a value comes twice", "\"seed\""),
        ("Range(1, 3, 1)", "Range(-9223372036854775808, 9223372036854775807, 1)", "too many values", "axes"),
        ("metrics:", "along: \"speed\", metrics:", "cannot be shown so", "\"speed\""),
        ("metrics:", "along: \"seed\", lines: \"seed\", metrics:", "cannot be shown so", "\"seed\", metrics"),
        ("axes:", "keep: [\"sed > 1\"], axes:", "neither sets nor varies", "\"sed > 1\""),
    ];
    for (from, to, why, word) in cases {
        let text = right.replacen(from, to, 1);
        let file = scratch.file("wrong.ron", text.as_bytes());
        let refused = pagewalk(&["sweep", "plan", &file]);
        assert!(refused.code == 3 && refused.stderr.contains(why), "{to}: {}", refused.stderr);
        let at = text.find(word).expect("the word is there");
        let (line, column) =
            (text[..at].lines().count().max(1), at - text[..at].rfind('\n').map_or(0, |end| end + 1) + 1);
        let place = format!("wrong.ron:{line}:{column}");
        assert!(refused.stderr.contains(&place), "{to}: {place} in {}", refused.stderr);
    }
}

#[test]
fn what_a_sweep_names_is_told_with_its_own_place() {
    let scratch = Scratch::new();
    let right = fs::read_to_string(small(&scratch)).expect("it was written");
    let machine = scratch.file("machine.txt", b"(\n  cpus: 300,\n)");
    let with = |machine: &str| {
        let text = right.replacen("\"cpus\": 2", &format!("\"machine\": \"{machine}\""), 1);
        pagewalk(&["sweep", "plan", &scratch.file("with.ron", text.as_bytes())])
    };
    let refused = with(&machine);
    assert!(refused.code == 3 && refused.stderr.contains("machine.txt:2:9"), "{}", refused.stderr);
    // Another machine is another point, whatever its file is called.
    let mut plans =
        ["(cpus: 2)", "(cpus: 3)"].map(|text| with(&scratch.file("machine.txt", text.as_bytes())).expect(0));
    let [one, other] = &mut plans;
    assert_ne!(
        one.lines().last().map(|line| line[..32].to_owned()),
        other.lines().last().map(|line| line[..32].to_owned())
    );
    // What is no plain file cannot be read again and again.
    let pipe = scratch.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there").success());
    for odd in ["/dev/zero", pipe.as_str()] {
        let text = right.replacen(&scratch.path("made.pwt"), odd, 1);
        let refused = pagewalk(&["sweep", "plan", &scratch.file("odd.ron", text.as_bytes())]);
        assert!(refused.code == 3 && refused.stderr.contains("no plain file"), "{}", refused.stderr);
        let refused = pagewalk(&["replay", odd]);
        assert!(refused.code == 3 && refused.stderr.contains("no plain file"), "{}", refused.stderr);
    }
}

#[test]
fn a_metric_that_no_point_has_is_told() {
    let scratch = Scratch::new();
    let right = fs::read_to_string(small(&scratch)).expect("it was written");
    let file = scratch.file("misspelt.ron", right.replacen("time.cycles", "time.cycels", 1).as_bytes());
    let told = sweep(&scratch.path("run"), &["run", &file, "--out", "out"]).expect(5);
    assert!(told.contains("no finished point has `time.cycels`; did you mean `time.cycles`?"), "{told}");
}

#[test]
fn a_point_whose_trace_is_damaged_does_not_keep_others_from_running() {
    let scratch = Scratch::new();
    let right = scratch.made("pattern: zipf, pages: 60, accesses: 4000");
    let mut bytes = fs::read(&right).expect("it was made");
    bytes[100] ^= 1;
    let damaged = scratch.file("damaged.pwt", &bytes);
    let text = format!(
        "(title: \"t\", axes: [(path: \"trace\", values: List([\"{damaged}\", \"{right}\"])), (path: \"seed\", values: List([1, 2]))],
          metrics: [(path: \"time.cycles\")])"
    );
    let file = scratch.file("mixed.ron", text.as_bytes());
    for run_now in [2, 0] {
        let run = sweep(&scratch.path("run"), &["run", &file, "--out", "out"]);
        assert_eq!(run.code, 3, "{}", run.stderr);
        assert!(run.stdout.contains(&format!("4 points · {run_now} run now")), "{}", run.stdout);
        assert!(
            run.stderr.contains("damaged.pwt") && run.stderr.contains("2 points did not run"),
            "{}",
            run.stderr
        );
        assert!(run.stdout.contains("2 of 4 points") && run.stdout.contains("report.html"), "{}", run.stdout);
    }
}
