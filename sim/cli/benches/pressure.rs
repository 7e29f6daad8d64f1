//! What too little memory costs the host: major faults and reclaimed pages a second, and whole replays beside the same with enough.
//! `cargo bench --bench pressure`.
//!
//! Every figure is the best of several rounds, the things compared taking turns. Finding out how much memory a percentage is costs a replay of
//! its own, which is not counted.

use std::sync::Arc;
use std::time::Instant;

use pagewalk_engine::Stop;
use pagewalk_machine::Machine;
use pagewalk_replay::footprint::set_memory;
use pagewalk_replay::{Finished, Replay, ReplayOptions, RunOptions, Shared};
use pagewalk_trace::{GeneratorSpec, Pattern, TraceWriter, generate};

const ROUNDS: usize = 5;
/// Shipped traces: of a program with a small working set, one that reads files, and one that uses most of its memory all the time.
const TRACES: [&str; 4] = ["gzip", "sqlite", "tcc", "sort"];
/// Memory, in percent of what the trace uses; none: as much as the default machine has.
const MEMORY: [Option<&str>; 4] = [None, Some("100%"), Some("50%"), Some("10%")];

fn options() -> ReplayOptions {
    ReplayOptions::whole(RunOptions::default())
}

fn machine(trace: &str, memory: Option<&str>) -> Machine {
    let mut machine = Machine::default();
    machine.set_all(&["cpus=1"]).expect("a right option");
    if let Some(memory) = memory {
        let (memory, shared) = (memory.parse().expect("a right size"), Arc::new(Shared::default()));
        set_memory(&mut machine, &[trace.to_owned()], memory, &options(), &shared).expect("a right trace");
    }
    machine
}

/// Seconds of one replay, and the replay.
fn time(machine: &Machine, trace: &str) -> (f64, Finished) {
    let traces = [trace.to_owned()];
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures wall-clock time")]
    let began = Instant::now();
    let finished =
        Replay::run(machine, &traces, options(), Arc::new(Shared::default())).expect("a right trace");
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(finished.stop, Stop::Finished, "{trace}");
    (seconds, finished)
}

/// A loop over pages of which half fit: each page is gone when it is wanted again.
fn major_faults() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut spec = GeneratorSpec::new(Pattern::Strided);
    (spec.pages, spec.accesses, spec.write_per_mille) = (1 << 13, 1 << 17, 500);
    let mut writer = TraceWriter::create(file.path(), 3).expect("a temporary trace");
    generate(&spec, &mut writer).expect("a right specification");
    writer.finish().expect("a whole trace");
    let trace = file.path().display().to_string();
    let mut machine = machine(&trace, Some("50%"));
    machine.set_all(&["kernel.page_cluster=0"]).expect("a right option");
    let (mut best, mut counts) = (f64::INFINITY, (0, 0, 0));
    for _ in 0..ROUNDS {
        let (seconds, finished) = time(&machine, &trace);
        best = best.min(seconds);
        let stat = &finished.replay.kernel.stat;
        let stolen = stat.pgsteal_kswapd.get() + stat.pgsteal_direct.get();
        let scanned = stat.pgscan_kswapd.get() + stat.pgscan_direct.get();
        counts = (stat.pgmajfault.get(), stolen, scanned);
    }
    let rate = |count: u64| count as f64 / best;
    println!("a loop over {} pages, half of which fit; {:.2} s", spec.pages, best);
    println!(
        "  major faults      {:>9.0} a second, {:.2} µs each with what they reclaim",
        rate(counts.0),
        1e6 / rate(counts.0)
    );
    println!("  pages reclaimed   {:>9.0} a second", rate(counts.1));
    println!("  pages scanned     {:>9.0} a second", rate(counts.2));
}

fn whole_traces() {
    println!("\nwhole replays, 1 CPU; seconds and as a ratio to no pressure");
    println!("  {:<8}{:>18}{:>18}{:>18}{:>18}", "", "512 MiB", "100 %", "50 %", "10 %");
    for name in TRACES {
        let trace = format!("{}/../../traces/{name}.pwt", env!("CARGO_MANIFEST_DIR"));
        let machines = MEMORY.map(|memory| machine(&trace, memory));
        let mut best = [f64::INFINITY; MEMORY.len()];
        for _ in 0..ROUNDS {
            for (best, machine) in best.iter_mut().zip(&machines) {
                *best = best.min(time(machine, &trace).0);
            }
        }
        let cells = best.map(|seconds| format!("{seconds:>10.3} {:>6.2}x", seconds / best[0]));
        println!("  {name:<8}{}", cells.concat());
    }
}

fn main() {
    // `cargo test --benches` runs this with `--test`: nothing to test here.
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    major_faults();
    whole_traces();
}
