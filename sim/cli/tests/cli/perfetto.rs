//! The structure of the trace for Perfetto: slices nest, time runs forward, arrows have two ends, and it is bounded.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::{Answer, STRESS, Scratch, pagewalk};

/// A track: process and thread.
type TrackId = (u64, u64);

/// A slice: where, its name, when it begins and ends (in nanoseconds), and the arguments it ended with.
struct Slice {
    track: TrackId,
    name: String,
    began: u64,
    ended: u64,
    args: Value,
}

fn number(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap_or_else(|| panic!("no {key} in {event}"))
}

fn nanoseconds(event: &Value) -> u64 {
    let text = event["ts"].to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
    whole.parse::<u64>().expect("digits") * 1000 + format!("{part:0<3}").parse::<u64>().expect("digits")
}

/// The slices of a trace, which are balanced and whose times do not run backwards on a track.
fn slices(events: &[Value]) -> Vec<Slice> {
    let mut open: BTreeMap<TrackId, Vec<(String, u64)>> = BTreeMap::new();
    let mut last: BTreeMap<TrackId, u64> = BTreeMap::new();
    let mut slices = Vec::new();
    for event in events.iter().filter(|event| event["ph"] == "B" || event["ph"] == "E") {
        let (track, at) = ((number(event, "pid"), number(event, "tid")), nanoseconds(event));
        let before = last.insert(track, at).unwrap_or(0);
        assert!(before <= at, "time runs backwards at {event}");
        let stack = open.entry(track).or_default();
        if event["ph"] == "B" {
            stack.push((event["name"].as_str().expect("a name").to_owned(), at));
        } else {
            let (name, began) = stack.pop().unwrap_or_else(|| panic!("nothing is open at {event}"));
            slices.push(Slice { track, name, began, ended: at, args: event["args"].clone() });
        }
    }
    assert!(open.values().all(Vec::is_empty), "every slice ends");
    slices
}

/// Runs a trace of many shootdowns with some words more; the answer, and the events.
fn traced(words: &[&str]) -> (Answer, Vec<Value>) {
    let scratch = Scratch::new();
    let (trace, file) = (scratch.made(STRESS), scratch.path("run.json"));
    let answer = pagewalk(&[&["replay", &trace, "--format", "json", "--perfetto", &file], words].concat());
    let text = std::fs::read_to_string(&file).expect("the trace was written");
    let value: Value = serde_json::from_str(&text).expect("the trace is JSON");
    assert_eq!(scratch.names(), ["made.pwt", "run.json"], "nothing else is left");
    let events = value["traceEvents"].as_array().expect("a list of events").clone();
    (answer, events)
}

#[test]
fn slices_nest_on_every_cpu_and_are_the_faults_and_calls_of_the_account() {
    for words in [&["--set", "cpus=3"][..], &["--set", "cpus=2", "--schedule", "random", "--order", "free"]] {
        let (answer, events) = traced(words);
        let account = answer.json(0);
        let slices = slices(&events);
        // A path that sleeps is continued in another slice; only its last one tells how it ended.
        let ended = |name: &str, key: &str| {
            slices.iter().filter(|slice| slice.name == name && !slice.args[key].is_null()).count() as u64
        };
        let faults = number(&account["faults"], "pgfault") + number(&account["segv"], "count");
        assert_eq!(ended("page fault", "kind"), faults);
        assert!(faults > 100);
        let munmaps = account["kernel"]["syscalls"]
            .as_array()
            .and_then(|calls| calls.iter().find(|c| c["name"] == "munmap"));
        assert_eq!(ended("munmap", "pages"), number(munmaps.expect("the program unmaps"), "count"));
        let cpus: Vec<&str> = events
            .iter()
            .filter(|event| event["name"] == "thread_name")
            .filter_map(|event| event["args"]["name"].as_str())
            .collect();
        assert_eq!(cpus.len() as u64, number(&account, "cpus"));
        assert!(
            slices.iter().any(|slice| slice.name.starts_with("program ") && slice.name.contains(" thread "))
        );
    }
}

#[test]
fn every_arrow_leads_from_a_shootdown_to_a_flush() {
    let (answer, events) = traced(&["--set", "cpus=4"]);
    let account = answer.json(0);
    let slices = slices(&events);
    let mut arrows: BTreeMap<u64, [Option<&Value>; 2]> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "s" || event["ph"] == "f") {
        let end = &mut arrows.entry(number(event, "id")).or_default()[usize::from(event["ph"] == "f")];
        assert!(end.replace(event).is_none(), "an end twice: {event}");
    }
    assert_eq!(arrows.len() as u64, number(&account["kernel"], "nr_tlb_remote_flush_received"));
    assert!(arrows.len() > 10);
    let inside = |event: &Value, name: &str| {
        let (track, at) = ((number(event, "pid"), number(event, "tid")), nanoseconds(event));
        slices.iter().any(|slice| {
            slice.track == track && slice.name == name && (slice.began..=slice.ended).contains(&at)
        })
    };
    for ends in arrows.values() {
        let [Some(from), Some(to)] = ends else { panic!("an arrow with one end") };
        assert!(nanoseconds(from) <= nanoseconds(to));
        assert!(inside(from, "TLB shootdown") && inside(to, "flush TLB"), "{from} {to}");
    }
}

#[test]
fn counters_are_the_timeline_of_the_account() {
    let (answer, events) = traced(&[]);
    let timeline = &answer.json(0)["timeline"];
    for (counter, series) in [("TLB misses an epoch", "tlb_misses"), ("anonymous pages", "nr_anon_pages")] {
        let values: Vec<&Value> =
            events.iter().filter(|event| event["ph"] == "C" && event["name"] == counter).collect();
        assert!(values.is_sorted_by_key(|event| nanoseconds(event)));
        let told = values.iter().map(|event| &event["args"]["value"]);
        let series = timeline[series].as_array().expect("a series");
        assert!(told.take(series.len()).eq(series) && values.len() == series.len() + 1);
    }
}

#[test]
fn a_trace_that_is_cut_says_so_and_is_still_whole() {
    for limit in ["0", "1", "100", "1000"] {
        let (answer, events) = traced(&["--perfetto-limit", limit]);
        assert!(answer.stderr.contains("--perfetto-limit raises that"), "{}", answer.stderr);
        let account = answer.json(0);
        let slices = slices(&events);
        let most = limit.parse::<usize>().expect("a number") / 2 + 32;
        assert!(slices.len() <= most, "{} slices with a limit of {limit}", slices.len());
        assert!(events.iter().any(|event| event["ph"] == "C"), "counters tell the whole run");
        assert_eq!(number(&account["accesses"], "total"), 3000);
    }
}

#[test]
fn tracing_changes_nothing_and_a_file_that_cannot_be_written_is_refused_first() {
    let scratch = Scratch::new();
    let trace = scratch.made(STRESS);
    let run = |words: &[&str]| {
        pagewalk(&[&["replay", &trace, "--format", "json"], words].concat()).json(0)["digest"].clone()
    };
    assert_eq!(run(&[]), run(&["--perfetto", &scratch.path("run.json")]));
    let answer = pagewalk(&["replay", &trace, "--perfetto", &scratch.path("no/such.json")]);
    assert_eq!((answer.code, answer.stdout.as_str()), (3, ""));
    assert_eq!(pagewalk(&["replay", &trace, "--perfetto", "x.json", "--seeds", "1..3"]).code, 2);
}
