//! Captures of real programs under Valgrind, which must be installed: `cargo test -p pagewalk-cli --features valgrind-tests`.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output};

use pagewalk_trace::{Event, TraceFile};

fn capture(directory: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagewalk"));
    command.current_dir(directory).args(["trace", "capture", "-o", "out.pwt"]).args(words);
    command.output().expect("the program starts")
}

fn events(directory: &Path) -> Vec<Event> {
    let file = TraceFile::open(directory.join("out.pwt")).expect("a whole trace");
    file.verify().expect("a whole trace");
    let mut cursor = file.events();
    let mut events = Vec::new();
    while let Some(record) = cursor.next().expect("verified") {
        events.push(record.event);
    }
    events
}

#[test]
fn a_shell_its_children_and_their_files_are_in_the_trace() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("input"), "b\na\n").expect("a file");
    let output = capture(directory.path(), &["--", "sh", "-c", "cat input > copy; exit 3"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("sh ended with exit status: 3"), "{said}");
    assert!(said.contains("processes  2") && output.stdout.is_empty(), "standard output is the command's");
    let events = events(directory.path());
    let exit =
        |wanted: i32| events.iter().any(|e| matches!(e, Event::ExitProcess { status } if *status == wanted));
    assert!(exit(0) && exit(3));
    // The copy is opened between fork and exec, where a log by itself would be overwritten.
    let file = |name: &str| {
        let number = events.iter().find_map(|event| match event {
            Event::File { file, path, .. } if path.ends_with(name) => Some(*file),
            _ => None,
        });
        number.expect("the file is used")
    };
    let (input, copy) = (file("/input"), file("/copy"));
    assert!(events.iter().any(|e| matches!(e, Event::Read { file, len: 4, .. } if *file == input)));
    assert!(events.iter().any(|e| matches!(e, Event::Write { file, len: 4, .. } if *file == copy)));
    assert!(events.iter().any(|e| matches!(e, Event::Exec { path } if path.ends_with("/cat"))));
}

#[test]
fn what_children_do_before_they_execute_a_program_is_in_the_trace_every_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do env true > out$n; done";
    let output = capture(directory.path(), &["--", "sh", "-c", script]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = TraceFile::open(directory.path().join("out.pwt")).expect("a whole trace");
    let notes = format!("{:?}", file.summary());
    assert!(!notes.contains("between fork and exec"), "{notes}");
    let events = events(directory.path());
    let count = |wanted: &dyn Fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    // The file is opened between fork and exec.
    let opened = |event: &Event| matches!(event, Event::File { path, .. } if path.contains("/out"));
    assert_eq!(count(&opened), 20);
    assert_eq!(count(&|event| matches!(event, Event::Fork { .. })), 20);
    assert_eq!(count(&|event| matches!(event, Event::Wait { .. })), 20);
    // `env` and `true` each time, in the same process.
    assert_eq!(count(&|event| matches!(event, Event::Exec { path } if path.ends_with("/true"))), 20);
    assert_eq!(count(&|event| matches!(event, Event::Exec { .. })), 40);
}

#[test]
fn a_limit_ends_the_capture_and_the_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = capture(directory.path(), &["--max", "1000", "--", "sleep", "1000"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = TraceFile::open(directory.path().join("out.pwt")).expect("a whole trace");
    assert_eq!(file.summary().accesses(), 1000);
}

#[test]
fn what_cannot_be_started_leaves_no_trace() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = capture(directory.path(), &["--", "./no-such-program"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(!directory.path().join("out.pwt").exists());
    let mut without = Command::new(env!("CARGO_BIN_EXE_pagewalk"));
    without.env("PATH", directory.path()).current_dir(directory.path());
    let output = without.args(["trace", "capture", "--", "true"]).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && said.contains("install Valgrind"), "{said}");
}
