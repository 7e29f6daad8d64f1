//! Ctrl-C ends a run early and keeps what was finished. Needs signals and `/proc`.
#![cfg(target_os = "linux")]

use std::process::{Child, Command, Stdio};

use crate::common::{Answer, STRESS, Scratch, answer, command, pagewalk};
use crate::explore::ENDLESS;

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

/// What the program answers if it is interrupted soon after it has begun.
fn interrupted(words: &[&str]) -> Answer {
    let mut child =
        command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    wait_for_handler(&mut child);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill exists").success());
    answer(child.wait_with_output().expect("it ends"))
}

#[test]
fn an_interrupted_run_answers_with_what_is_finished() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    let words = ["replay", &trace, "--seeds", "1..1000000", "--format", "json"];
    let answer = interrupted(&words);
    assert_eq!(answer.code, 130, "{}", answer.stderr);
    assert!(
        answer.stdout.is_empty() || answer.stdout.contains("pagewalk.replay-seeds/1"),
        "{}",
        answer.stdout
    );
}

#[test]
fn an_interrupted_search_answers_and_keeps_the_schedule_that_failed() {
    let scratch = Scratch::new();
    let (scenario, case) = (scratch.file("s.ron", ENDLESS.as_bytes()), scratch.path("case.json"));
    let words = ["explore", &scenario, "--mutant", "freeze-leak-dirty", "--save", &case];
    let text = interrupted(&words).expect(130);
    assert!(text.contains("interrupted: ") && text.contains("not all"), "{text}");
    assert!(text.contains("break an invariant") && text.contains("It is saved"), "{text}");
    assert!(pagewalk(&["explain", &case]).expect(0).contains("I6"));
}

#[test]
fn an_interrupted_search_that_found_nothing_is_no_proof() {
    let scratch = Scratch::new();
    let scenario = scratch.file("s.ron", ENDLESS.as_bytes());
    let random = ["--strategy", "random", "--runs", "1000000000"];
    for more in [&[][..], &random] {
        let words = [&["explore", &scenario, "--format", "json"], more].concat();
        let answer = interrupted(&words).json(130);
        assert_eq!((&answer["complete"], &answer["ended"]), (&false.into(), &"interrupted".into()));
    }
}
