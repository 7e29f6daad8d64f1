//! Ctrl-C ends a run early and keeps what was finished. Needs signals and `/proc`.
#![cfg(target_os = "linux")]

use std::process::{Child, Command, Stdio};

use crate::common::{STRESS, Scratch, answer, command};

/// The bit of SIGINT, which is signal 2, in a mask of `/proc/PID/status`.
const SIGINT_BIT: u64 = 1 << 1;

/// Waits until the child catches SIGINT.
fn wait_for_handler(child: &mut Child) {
    loop {
        assert_eq!(child.try_wait().expect("a child"), None, "the run is long enough to be interrupted");
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        if mask & SIGINT_BIT != 0 {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn an_interrupted_run_answers_with_what_is_finished() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    let words = ["replay", &trace, "--seeds", "1..1000000", "--format", "json"];
    let mut child =
        command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    wait_for_handler(&mut child);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill exists").success());
    let answer = answer(child.wait_with_output().expect("it ends"));
    assert_eq!(answer.code, 130, "{}", answer.stderr);
    assert!(
        answer.stdout.is_empty() || answer.stdout.contains("pagewalk.replay-seeds/1"),
        "{}",
        answer.stdout
    );
}
