//! The recorded order of threads and processes: what is kept, and what is refused because nobody could keep it.

use std::fmt::Write;

use crate::common::{Scratch, pagewalk};

/// The native trace of these records, hand-written in the text format.
fn trace(scratch: &Scratch, records: &str) -> String {
    let text = format!("pagewalk-trace 1\nsource \"hand\"\ncommand \"\"\n{records}");
    let log = scratch.file("hand.txt", text.as_bytes());
    let path = scratch.path("hand.pwt");
    pagewalk(&["trace", "import", "--format", "text", &log, "-o", &path]).expect(0);
    path
}

const MAP: &str = "map 1000 1000 rw- private anonymous\nS 1000,8\n";

#[test]
fn traces_that_nobody_could_have_recorded_are_refused_before_anything_runs() {
    let scratch = Scratch::new();
    let cases = [
        ("thread 7 7\nS 1000,8\nclone 7\nS 1000,8\n", "created after its first record"),
        ("thread 7 7\nfork 8 8\nfork 8 9\n", "forked while it exists"),
        ("thread 7 7\nclone 8\nclone 8\n", "created a second time"),
        ("thread 7 7\nclone 9\nS 1000,8\nthread 8 9\nS 1000,8\n", "created in process 7"),
        ("thread 7 7\nwait 99\n", "process 99, which nothing before it starts"),
        ("thread 7 7\nclone 8\nexit-thread\nclone 9\nthread 7 8\nS 1000,8\n", "exits and goes on"),
    ];
    for (records, reason) in cases {
        let answer = pagewalk(&["replay", &trace(&scratch, records)]);
        assert_eq!((answer.code, answer.stdout.as_str()), (3, ""), "{records}");
        assert!(answer.stderr.contains(reason), "{records}: {}", answer.stderr);
        assert!(answer.stderr.contains("record "), "names the record: {}", answer.stderr);
    }
}

#[test]
fn a_process_number_can_be_used_again_after_its_process_has_ended() {
    let scratch = Scratch::new();
    let records = format!(
        "thread 7 7\n{MAP}fork 8 8\nthread 8 8\nS 1000,8\nexit-process 0\nthread 7 7\nwait 8\nfork 8 9\n\
         thread 8 9\nS 1000,8\nS 1000,8\nexit-process 0\nthread 7 7\nwait 8\nS 1000,8\nexit-process 0\n"
    );
    let report = pagewalk(&["replay", &trace(&scratch, &records), "--verify", "--format", "json"]).json(0);
    assert_eq!(report["accesses"]["total"], 5);
    assert_eq!(report["kernel"]["forks"], 2);
}

#[test]
fn nothing_happens_in_a_process_that_has_exited() {
    let scratch = Scratch::new();
    let records = format!(
        "thread 7 7\n{MAP}clone 8\nthread 7 8\nS 1000,8\nthread 7 7\nexit-process 0\nthread 7 8\nfork 9 9\n\
         thread 9 9\nS 1000,8\n"
    );
    let report = pagewalk(&["replay", &trace(&scratch, &records), "--format", "json"]).json(0);
    assert_eq!(report["kernel"]["forks"], 0);
}

/// Two threads of 3,000 accesses each, taking turns; with an event in the first that concerns nobody else.
fn two_threads(scratch: &Scratch, event: &str) -> String {
    let mut records = "thread 7 7\nmap 100000 100000 rw- private anonymous\nclone 8\n".to_owned();
    for round in 0..30 {
        for tid in [7, 8] {
            writeln!(records, "thread 7 {tid}").expect("a string");
            if (round, tid) == (1, 7) {
                records.push_str(event);
            }
            (0..100).for_each(|n| writeln!(records, "S {:x},8", 0x10_0000 + n * 64).expect("a string"));
        }
    }
    trace(scratch, &records)
}

#[test]
fn an_event_holds_up_no_thread_that_it_does_not_concern() {
    let scratch = Scratch::new();
    let cycles = |event: &str| {
        let trace = two_threads(&scratch, event);
        let report = pagewalk(&["replay", &trace, "--set", "cpus=2", "--format", "json"]).json(0);
        report["time"]["cycles"].as_u64().expect("a number")
    };
    let (alone, with_event) = (cycles(""), cycles("map 10000000 1000 rw- private anonymous\n"));
    assert!(with_event < alone + alone / 2, "{alone} cycles without the event, {with_event} with it");
}

#[test]
fn an_access_waits_for_the_event_that_maps_its_page() {
    let scratch = Scratch::new();
    // Thread 8 has nothing to do but touch what thread 7 maps after a long time.
    let mut records = "thread 7 7\nmap 100000 100000 rw- private anonymous\nclone 8\n".to_owned();
    (0..2000).for_each(|n| writeln!(records, "S {:x},8", 0x10_0000 + n * 64).expect("a string"));
    records.push_str("map 10000000 1000 rw- private anonymous\nthread 7 8\nS 10000000,8\n");
    let trace = trace(&scratch, &records);
    for schedule in ["timed", "random"] {
        let args = ["replay", &trace, "--set", "cpus=2", "--schedule", schedule, "--format", "json"];
        let report = pagewalk(&args).json(0);
        assert_eq!(report["segv"]["count"], 0, "{schedule}");
    }
}

#[test]
fn an_address_beyond_the_lower_half_is_no_alias_of_one_inside() {
    let scratch = Scratch::new();
    let trace = trace(&scratch, &format!("thread 7 7\n{MAP}L 1000000001000,8\nL 800000001000,8\n"));
    let report = pagewalk(&["replay", &trace, "--verify", "--format", "json"]).json(0);
    assert_eq!((&report["segv"]["count"], &report["accesses"]["total"]), (&2.into(), &1.into()));
    let five = pagewalk(&["replay", &trace, "--set", "paging.levels=5", "--format", "json"]).json(0);
    assert_eq!(five["segv"]["count"], 2, "mapped in neither");
}

#[test]
fn calls_that_the_kernel_refuses_are_told() {
    let scratch = Scratch::new();
    let records = format!("thread 7 7\n{MAP}protect 1000 5000 r--\n");
    let trace = trace(&scratch, &records);
    let report = pagewalk(&["replay", &trace, "--format", "json"]).json(0);
    assert_eq!(report["refusals"]["first"][0], "record 2: protect returned ENOMEM");
    assert!(pagewalk(&["replay", &trace]).expect(0).contains("calls refused"));
}

#[test]
fn the_ends_of_ranges_of_records_and_seeds_are_ends() {
    let scratch = Scratch::new();
    let trace = trace(&scratch, &format!("thread 7 7\n{MAP}"));
    let none = pagewalk(&["replay", &trace, "--max", "0", "--format", "json"]).json(0);
    assert_eq!(
        (&none["accesses"]["total"], &none["kernel"]["syscalls"][0]["name"]),
        (&0.into(), &"exit".into())
    );
    let last = format!("{}..{}", u64::MAX - 2, u64::MAX);
    let seeds = pagewalk(&["replay", &trace, "--seeds", &last, "--jobs", "2", "--format", "json"]).json(0);
    assert_eq!(seeds["seeds"].as_array().map(Vec::len), Some(2));
}
