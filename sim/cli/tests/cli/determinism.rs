//! The same configuration, trace, seed and version give the same answer, whatever else is asked for.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::{STRESS, Scratch, pagewalk};

fn replay(trace: &str, more: &[&str]) -> Value {
    pagewalk(&[&["replay", trace, "--format", "json"], more].concat()).json(0)
}

fn digest(trace: &str, more: &[&str]) -> String {
    replay(trace, more)["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn a_command_repeated_gives_the_same_answer_to_the_byte() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    for schedule in ["timed", "random"] {
        for format in ["text", "json"] {
            let run = || {
                let words = ["replay", &trace, "--schedule", schedule, "--seed", "7", "--format", format];
                pagewalk(&words).expect(0)
            };
            assert_eq!(run(), run(), "{schedule} {format}");
        }
    }
}

#[test]
fn watching_and_recording_change_nothing() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    for schedule in ["timed", "random"] {
        let plain = digest(&trace, &["--schedule", schedule]);
        for more in [&["--verify"][..], &["--record", "100"], &["--verify", "--record", "3"]] {
            assert_eq!(
                digest(&trace, &[&["--schedule", schedule], more].concat()),
                plain,
                "{schedule} {more:?}"
            );
        }
    }
}

#[test]
fn host_threads_change_nothing() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    for schedule in ["timed", "random"] {
        let run = |jobs| {
            let mut answer = replay(&trace, &["--schedule", schedule, "--seeds", "3..9", "--jobs", jobs]);
            // The command repeats the number of threads; everything else must agree.
            answer["command"].take();
            answer
        };
        assert_eq!(run("1"), run("2"), "{schedule}");
    }
}

#[test]
fn a_run_among_several_seeds_is_the_run_of_that_seed_alone() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    let all = replay(&trace, &["--schedule", "random", "--seeds", "4..7"]);
    let digests: Vec<&str> = all["seeds"]
        .as_array()
        .expect("a row a seed")
        .iter()
        .map(|row| row["digest"].as_str().unwrap())
        .collect();
    let alone: Vec<String> =
        ["4", "5", "6"].map(|seed| digest(&trace, &["--schedule", "random", "--seed", seed])).into();
    assert_eq!(digests, alone);
}

#[test]
fn another_seed_or_machine_gives_another_digest() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    let runs: [&[&str]; 6] = [
        &["--schedule", "random", "--seed", "1"],
        &["--schedule", "random", "--seed", "2"],
        &["--seed", "1"],
        &["--seed", "2"],
        &["--machine", "tiny", "--set", "memory.frames=4096"],
        &["--set", "cpus=3"],
    ];
    let digests: BTreeSet<String> = runs.iter().map(|more| digest(&trace, more)).collect();
    assert_eq!(digests.len(), runs.len());
}

#[test]
fn the_command_in_the_answer_repeats_it() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    let first = replay(&trace, &["--set", "name=\"my machine\"", "--schedule", "random", "--seed", "9"]);
    let command = first["command"].as_str().expect("a command").to_owned();
    assert!(command.contains("'name=\"my machine\"'"), "{command} is quoted for a shell");
}
