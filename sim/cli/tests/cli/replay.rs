//! What the options of `replay` do to a run.

use serde_json::Value;

use crate::common::{STRESS, Scratch, command, pagewalk};

fn replay(words: &[&str]) -> Value {
    pagewalk(&[&["replay", "--format", "json"], words].concat()).json(0)
}

fn count(answer: &Value, pointer: &str) -> u64 {
    answer.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {pointer}"))
}

#[test]
fn every_shipped_trace_replays_and_keeps_its_counts() {
    for trace in ["gzip", "sort", "perl-hash", "sqlite"] {
        let file = format!("traces/{trace}.pwt");
        let answer = replay(&[&file, "--verify"]);
        let info = pagewalk(&["trace", "info", &file, "--format", "json"]).json(0);
        for kind in ["fetches", "loads", "stores", "modifies"] {
            assert_eq!(count(&answer, &format!("/accesses/{kind}")), count(&info, &format!("/{kind}")));
        }
        assert_eq!(count(&answer, "/accesses/total"), count(&info, "/accesses"));
        // Every page is touched first exactly once, and everything is given back.
        assert_eq!(
            count(&answer, "/faults/first_touch"),
            count(&answer, "/memory/peak_nr_anon_pages"),
            "{trace}"
        );
        assert_eq!(count(&answer, "/kernel/pgalloc"), count(&answer, "/kernel/pgfree"));
        assert_eq!(answer["verify"]["violations"].as_array().map(Vec::len), Some(0));
        assert_eq!(count(&answer, "/segv/count"), 0);
    }
}

#[test]
fn skipping_and_stopping_cut_the_trace_without_overlap() {
    let total = |words: &[&str]| count(&replay(&[&["traces/sqlite.pwt"], words].concat()), "/accesses/total");
    let (first, second) = (total(&["--max", "3000"]), total(&["--skip", "3000", "--max", "2000"]));
    assert_eq!(first + second, total(&["--max", "5000"]));
    assert!(second > 0 && second <= 2000, "{second}");
    assert_eq!(total(&["--max", "0"]), 0);
    assert_eq!(total(&["--skip", "18446744073709551615"]), 0);
}

#[test]
fn traces_given_together_run_as_programs_of_their_own() {
    let alone = |trace: &str| count(&replay(&[trace, "--max", "4000"]), "/faults/first_touch");
    let together = replay(&["traces/gzip.pwt", "traces/sort.pwt", "traces/gzip.pwt", "--max", "4000"]);
    assert_eq!(together["processes"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        count(&together, "/faults/first_touch"),
        2 * alone("traces/gzip.pwt") + alone("traces/sort.pwt")
    );
}

#[test]
fn placement_decides_which_cpus_are_busy() {
    let busy = |place: &str| -> Vec<bool> {
        let words =
            ["traces/gzip.pwt", "traces/sort.pwt", "--max", "2000", "--set", "cpus=3", "--place", place];
        let answer = replay(&words);
        let cpus = answer.pointer("/time/per_cpu").and_then(Value::as_array).expect("a row a CPU").clone();
        cpus.iter().map(|cpu| count(cpu, "/user") > 0).collect()
    };
    assert_eq!(busy("spread"), [true, true, false]);
    assert_eq!(busy("2"), [false, false, true]);
    assert_eq!(busy("2,0"), [true, false, true]);
}

#[test]
fn a_machine_with_a_smaller_tlb_misses_more() {
    let walks = |set: &str| {
        count(&replay(&["traces/sqlite.pwt", "--max", "200000", "--set", set]), "/translation/walks")
    };
    let none = "tlb.l2=[]";
    assert!(walks(none) > walks("tlb.l2[0].entries=1536"), "no second level means more walks");
}

#[test]
fn running_out_of_memory_ends_the_run_with_an_account() {
    let words = ["replay", "traces/gzip.pwt", "--memory", "64", "--swap", "none", "--format", "json"];
    let answer = pagewalk(&words).json(5);
    assert_eq!(answer["incomplete"], "out of memory");
    assert!(answer.pointer("/kernel/out_of_memory/who").is_some_and(Value::is_string));
    assert!(count(&answer, "/memory/nr_free_pages") <= 32, "what is kept back is free");
    let text = pagewalk(&words[..6]).expect(5);
    assert!(text.contains("incomplete   out of memory"), "{text}");
}

#[test]
fn the_last_steps_are_told_on_standard_error() {
    let answer = pagewalk(&["replay", "traces/gzip.pwt", "--max", "100", "--record", "7"]);
    assert_eq!(answer.stderr.lines().count(), 7, "{}", answer.stderr);
    assert!(answer.stderr.lines().all(|line| line.contains("CPU ")), "{}", answer.stderr);
    answer.expect(0);
}

#[test]
fn stress_holds_every_promise_under_both_schedules_and_orders() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    for schedule in ["timed", "random"] {
        for order in ["recorded", "free"] {
            for cpus in ["cpus=1", "cpus=2", "cpus=8"] {
                let answer = replay(&[
                    &trace,
                    "--verify",
                    "--schedule",
                    schedule,
                    "--order",
                    order,
                    "--set",
                    cpus,
                    "--seeds",
                    "1..6",
                ]);
                assert_eq!(answer["seeds"].as_array().map(Vec::len), Some(5));
            }
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let scratch = Scratch::new();
    let trace = scratch.made("pattern: uniform, accesses: 50000");
    for words in
        [&["trace", "info", &trace, "--format", "records"][..], &["config", "explain"], &["replay", &trace]]
    {
        let mut child =
            command(words).stdout(std::process::Stdio::piped()).spawn().expect("the program starts");
        drop(child.stdout.take());
        assert!(child.wait().expect("it ends").success(), "{words:?}");
    }
}

#[test]
fn checks_find_the_latent_bugs_of_the_kernel_as_released_and_none_with_every_fix() {
    let scratch = Scratch::new();
    let trace = scratch.made("pattern: stress, pages: 8, accesses: 20000, processes: 2, threads: 4, seed: 5");
    let run = |kernel| {
        let words = [
            "--kernel",
            kernel,
            "--set",
            "cpus=2",
            "--schedule",
            "random",
            "--seeds",
            "1..101",
            "--jobs",
            "2",
        ];
        pagewalk(&[&["replay", &trace, "--verify", "--format", "json"][..], &words].concat())
    };
    let found = run("linux-2.6.27");
    assert!(found.stderr.contains("✘ broken"), "the account of a broken run is told:\n{}", found.stderr);
    let rows = found.json(1)["seeds"].as_array().expect("a row a seed").clone();
    let broken = rows.iter().filter(|row| count(row, "/violations") > 0).count();
    assert!((1..rows.len()).contains(&broken), "{broken} of {} seeds", rows.len());
    run("fixed").json(0);
}
