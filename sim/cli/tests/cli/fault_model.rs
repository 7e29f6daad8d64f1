//! Page faults against an independent model: what the replay counts as `pgfault` and `pgmajfault` follows from the trace.
//!
//! The model shares no code with the kernel. It reads the trace and keeps, for each process, its areas and the pages mapped
//! in them with their write permission; how many entries map each anonymous page; and one set of cached file pages with
//! the readahead that fills it. It has no time, no TLB, no page tables, no locks and no references. It assumes:
//!
//! * One CPU, and one thread that runs at a time, in the recorded order.
//! * A fault is major if its page was not cached, so that it had to ask the disk. (In Linux 2.6.27 faults under
//!   `MADV_RANDOM`, and those after a hundred misses, are not counted as major, though they read.)
//! * What was asked for has arrived when the next fault on the file comes. That matters only to fault-around, which maps
//!   no page that is still being read; the runs therefore use a disk without latency where fault-around is on.
//! * Memory never runs out: nothing is reclaimed. The periodic flusher is off.

mod cache;
mod files;
mod generate;
mod mapping;
mod space;
mod touch;
mod world;

use pagewalk_trace::{EventRecord, RawAccess, SeqRun, TraceFile};
use serde_json::Value;

use crate::common::{Scratch, pagewalk, root};
use generate::random_program;
use world::{Faults, World};

/// A thread's accesses, read block by block.
struct Stream {
    pid: u32,
    cursor: pagewalk_trace::AccessCursor,
    accesses: Vec<RawAccess>,
    runs: Vec<SeqRun>,
}

impl Stream {
    /// The sequence number of the first access of the block that is loaded, if there is one.
    fn first(&mut self) -> Option<u64> {
        if self.runs.is_empty() {
            self.accesses.clear();
            self.cursor
                .next_block(&mut self.accesses, &mut self.runs, |access| access)
                .expect("a good trace");
        }
        self.runs.first().map(|run| run.first_seq)
    }
}

/// What the model counts for a trace.
fn model(path: &str, window: u64, around: u64) -> Faults {
    let file = TraceFile::open(path).expect("a good trace");
    let mut events: Vec<EventRecord> = Vec::new();
    let mut cursor = file.events();
    while let Some(record) = cursor.next().expect("a good trace") {
        events.push(record);
    }
    let mut world = World::new(window, around, &events);
    let mut streams: Vec<Stream> = file
        .threads()
        .iter()
        .map(|thread| Stream {
            pid: thread.pid,
            cursor: file.accesses(thread.tid),
            accesses: Vec::new(),
            runs: Vec::new(),
        })
        .collect();
    let mut events = events.iter().peekable();
    loop {
        let next = streams
            .iter_mut()
            .filter_map(|stream| stream.first().map(|seq| (seq, stream)))
            .min_by_key(|next| next.0);
        let seq = next.as_ref().map_or(u64::MAX, |&(seq, _)| seq);
        if let Some(record) = events.next_if(|record| record.seq < seq) {
            world.event(record);
        } else if let Some((_, stream)) = next {
            // A run is without gaps: nothing else comes between.
            let run = stream.runs.remove(0);
            for access in &stream.accesses[run.start as usize..][..run.len as usize] {
                world.access(stream.pid, access.addr, u64::from(access.len), access.op);
            }
        } else {
            return world.faults;
        }
    }
}

/// What the replay counts, on one CPU without a flusher.
fn replayed(path: &str, window: u64, around: u64, sets: &[&str]) -> Faults {
    let (window, around) = (format!("kernel.readahead={window}"), format!("kernel.fault_around={around}"));
    let mut words = vec!["replay", path, "--format", "json"];
    for set in ["cpus=1", "kernel.writeback_interval=0", &window, &around].iter().chain(sets) {
        words.extend(["--set", set]);
    }
    let answer: Value = serde_json::from_str(&pagewalk(&words).stdout).expect("json");
    let count = |pointer: &str| {
        answer.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {pointer}"))
    };
    Faults {
        pgfault: count("/faults/pgfault"),
        pgmajfault: count("/faults/pgmajfault"),
        refused: count("/segv/count"),
    }
}

/// A disk on which everything is there at once.
const INSTANT: [&str; 2] = ["disk.latency=0", "disk.page=0"];

fn shipped() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("traces"))
        .expect("traces are shipped")
        .map(|entry| entry.expect("an entry of the directory").path().display().to_string())
        .filter(|path| path.ends_with(".pwt"))
        .collect();
    names.sort();
    names
}

/// Whether threads or processes of the trace run at the same time: then who is first to fault is a matter of time.
fn is_concurrent(path: &str) -> bool {
    TraceFile::open(path).expect("a good trace").threads().len() > 1
}

#[test]
fn shipped_traces_fault_as_the_model_does() {
    let mut compared = 0;
    for path in shipped().iter().filter(|path| !is_concurrent(path)) {
        assert_eq!(replayed(path, 32, 1, &[]), model(path, 32, 1), "{path}");
        assert_eq!(replayed(path, 32, 16, &INSTANT), model(path, 32, 16), "{path} with fault-around");
        compared += 1;
    }
    assert!(compared >= 4, "{compared} traces");
}

/// Generated traces, each with one thread, and how much readahead and fault-around they are replayed with.
const MADE: [&str; 5] = [
    "pattern: file_stream, pages: 100, accesses: 6000, files: 3, seed: 1",
    "pattern: file_share, pages: 150, accesses: 6000, files: 2, seed: 2",
    "pattern: file_share, pages: 30000, accesses: 6000, files: 1, write_per_mille: 0, seed: 3",
    "pattern: map_churn, pages: 200, accesses: 6000, seed: 4",
    "pattern: hot_scan, pages: 600, accesses: 6000, seed: 5",
];
const WINDOWS: [(u64, u64); 5] = [(32, 0), (32, 16), (8, 0), (0, 4), (128, 64)];

#[test]
fn generated_programs_fault_as_the_model_does() {
    let scratch = Scratch::new();
    for (number, spec) in MADE.iter().enumerate() {
        let trace = scratch.path(&format!("{number}.pwt"));
        pagewalk(&["trace", "make", spec, "-o", &trace]).expect(0);
        assert!(!is_concurrent(&trace), "{spec}");
        for (window, around) in WINDOWS {
            let expected = model(&trace, window, around);
            assert_eq!(replayed(&trace, window, around, &INSTANT), expected, "{spec}: {window}, {around}");
        }
    }
}

#[test]
fn random_programs_fault_as_the_model_does() {
    let scratch = Scratch::new();
    let (mut faults, mut majors) = (0, 0);
    for seed in 0..100 {
        let text = scratch.file("random.pwt.txt", random_program(seed, 150).as_bytes());
        let trace = scratch.path(&format!("{seed}.pwt"));
        pagewalk(&["trace", "import", "--format", "text", &text, "-o", &trace]).expect(0);
        for (window, around) in WINDOWS {
            let expected = model(&trace, window, around);
            let found = replayed(&trace, window, around, &INSTANT);
            assert_eq!(found, expected, "seed {seed}, readahead {window}, fault-around {around}");
            faults += found.pgfault;
            majors += found.pgmajfault;
        }
    }
    assert!(
        majors > 2000 && faults > 2 * majors,
        "{faults} faults, {majors} of them major: they try something"
    );
}
