//! Help fits on a screen, and its examples are commands that work.

use crate::common::{Scratch, answer, command, pagewalk};

/// Lines and columns of a terminal window that is neither small nor large.
const SCREEN: (usize, usize) = (60, 100);

#[test]
fn short_help_of_every_command_fits_on_a_screen() {
    let commands: [&[&str]; 10] = [
        &[],
        &["replay"],
        &["diff"],
        &["trace"],
        &["trace", "import"],
        &["trace", "info"],
        &["trace", "make"],
        &["config"],
        &["config", "show"],
        &["completions"],
    ];
    for words in commands {
        let help = pagewalk(&[words, &["-h"]].concat()).expect(0);
        assert!(help.lines().count() <= SCREEN.0, "{words:?} -h has {} lines", help.lines().count());
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(SCREEN.1), "{words:?} -h has a line of {widest:?} columns");
    }
}

/// The examples at the end of a help text, as words.
fn examples(help: &str) -> Vec<Vec<String>> {
    let lines = help.lines().filter_map(|line| line.strip_prefix("  pagewalk "));
    lines.map(|line| line.replace('\'', "").split(' ').map(str::to_owned).collect()).collect()
}

#[test]
fn examples_of_replay_and_info_run() {
    for words in [&["-h"][..], &["replay", "-h"]] {
        let examples = examples(&pagewalk(words).expect(0));
        assert!(examples.len() >= 3, "{words:?} shows examples");
        for mut example in examples {
            if example[0] == "replay" {
                // The traces are long; that they are found and the options understood is what counts here.
                example.extend(["--max".to_owned(), "2000".to_owned()]);
            }
            answer(command(&example).output().expect("the program starts")).expect(0);
        }
    }
}

#[test]
fn the_example_of_trace_make_makes_a_trace() {
    let help = pagewalk(&["trace", "make", "-h"]).expect(0);
    let spec = help
        .split("trace make '")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .expect("an example with parameters in quotes");
    let scratch = Scratch::new();
    let path = scratch.path("zipf.pwt");
    let told = pagewalk(&["trace", "make", &spec.replace("1000000", "1000"), "-o", &path]).expect(0);
    assert!(told.contains("accesses   1000 "), "{told}");
}

#[test]
fn completions_and_the_manual_page_name_every_command() {
    for words in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let text = pagewalk(words).expect(0);
        for name in ["replay", "diff", "trace", "config", "completions", "man"] {
            assert!(text.contains(name), "{words:?} does not mention {name}");
        }
    }
}
