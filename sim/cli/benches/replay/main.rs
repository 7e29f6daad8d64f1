//! How fast a replay is, beside two floors measured in the same run. `cargo bench --bench replay`.
//!
//! Every figure is the best of several rounds, the things compared taking turns, so that a noisy machine disturbs all of
//! them alike. Ratios are what counts; see `docs/performance.md`.

mod floor;

use std::sync::Arc;
use std::time::Instant;

use floor::Floor;
use pagewalk_engine::{Class, CpuId, Engine, EngineConfig, ObjectId, Schedule, Word};
use pagewalk_machine::Machine;
use pagewalk_mmu::{Access, Asid, PageSize, Pfn, Position, RunEnd, TlbEntry, TlbHierarchy, run_hits};
use pagewalk_replay::RunOptions;
use pagewalk_replay::{Replay, ReplayOptions, Shared, access};
use pagewalk_trace::{GeneratorSpec, Pattern, TraceFile, TraceWriter, generate};

const ROUNDS: usize = 7;

fn trace_path(name: &str) -> String {
    format!("{}/../../traces/{name}.pwt", env!("CARGO_MANIFEST_DIR"))
}

/// Nanoseconds that `work` takes.
fn time(work: impl FnOnce()) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures wall-clock time")]
    let began = Instant::now();
    work();
    began.elapsed().as_nanos() as f64
}

/// Decodes the whole trace a block at a time and hands each block to `each`.
fn decode(path: &str, mut each: impl FnMut(&[Access])) {
    let file = TraceFile::open(path).expect("a shipped trace");
    let (mut block, mut runs) = (Vec::new(), Vec::new());
    for thread in file.threads() {
        let mut cursor = file.accesses(thread.tid);
        while cursor.next_block(&mut block, &mut runs, access).expect("an undamaged trace") {
            each(&block);
            block.clear();
            runs.clear();
        }
    }
}

fn replay(traces: &[String], cpus: u64, verify: bool) {
    let mut machine = Machine::default();
    let options = [format!("cpus={cpus}"), "memory.frames=\"8 GiB\"".to_owned()];
    machine.set_all(&options).expect("valid options");
    let options = ReplayOptions::whole(RunOptions { verify, ..RunOptions::default() });
    let finished = Replay::run(&machine, traces, options, Arc::new(Shared::default()))
        .expect("a trace that can be replayed");
    assert!(finished.replay.kernel.engine.violations().is_empty(), "a clean run");
}

/// The simulator's own hit loop and TLBs, with misses filled at once.
fn own_loop(hierarchy: &mut TlbHierarchy, clock: &mut u64, accesses: &[Access]) {
    let asid = Asid::default();
    let mut at = Position::default();
    loop {
        match run_hits(hierarchy, asid, accesses, &mut at, clock, u64::MAX, 4, &mut ()) {
            RunEnd::Done | RunEnd::Limit => break,
            RunEnd::Miss { vaddr, kind } => {
                let entry = TlbEntry {
                    frame: Pfn(vaddr.vpn().0 as u32),
                    size: PageSize::BASE,
                    writable: true,
                    user: true,
                    executable: true,
                    dirty: kind.is_write(),
                    global: false,
                };
                hierarchy.fill(vaddr, asid, kind, &entry);
            }
        }
    }
}

struct Row {
    name: &'static str,
    per_access: f64,
}

/// Something to time, and its name.
type Candidate<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// Best of the rounds, in nanoseconds per access, the candidates taking turns.
fn compare(accesses: &[f64], candidates: &mut [Candidate<'_>]) -> Vec<Row> {
    let mut best = vec![f64::INFINITY; candidates.len()];
    for _ in 0..ROUNDS {
        for (index, (_, work)) in candidates.iter_mut().enumerate() {
            best[index] = best[index].min(time(work));
        }
    }
    let per_access = |index: usize| best[index] / accesses[index];
    candidates.iter().enumerate().map(|(n, (name, _))| Row { name, per_access: per_access(n) }).collect()
}

fn replay_against_floors(name: &str) {
    let path = trace_path(name);
    let one = vec![path.clone()];
    let four = vec![path.clone(); 4];
    let mut decoded = Vec::new();
    decode(&path, |block| decoded.extend_from_slice(block));
    let n = decoded.len() as f64;
    let spec = Machine::default().tlb.spec();
    let hierarchy = || TlbHierarchy::new(&spec).expect("the default machine");
    let mut candidates: Vec<Candidate<'_>> = vec![
        (
            "decode alone",
            Box::new(|| {
                decode(&path, |block| {
                    std::hint::black_box(block);
                });
            }),
        ),
        (
            "floor 1: bare loop, decode included",
            Box::new(|| {
                let mut floor = Floor::new();
                decode(&path, |block| floor.run(block));
                std::hint::black_box(floor.counters);
            }),
        ),
        (
            "floor 2: bare loop over the decoded array",
            Box::new(|| {
                let mut floor = Floor::new();
                floor.run(&decoded);
                std::hint::black_box(floor.counters);
            }),
        ),
        (
            "own TLBs over the decoded array",
            Box::new(|| {
                let (mut own, mut clock) = (hierarchy(), 0);
                own_loop(&mut own, &mut clock, &decoded);
                std::hint::black_box(clock);
            }),
        ),
        ("replay, 1 CPU", Box::new(|| replay(&one, 1, false))),
        ("replay, 4 CPUs, 4 copies", Box::new(|| replay(&four, 4, false))),
        ("replay --verify, 1 CPU", Box::new(|| replay(&one, 1, true))),
        ("replay --verify, 4 CPUs, 4 copies", Box::new(|| replay(&four, 4, true))),
    ];
    let counts = [n, n, n, n, n, 4.0 * n, n, 4.0 * n];
    let rows = compare(&counts, &mut candidates);
    println!("\n{name}: {n} accesses");
    println!("  {:<44}{:>10}{:>14}{:>10}{:>10}", "", "ns/access", "M accesses/s", "/floor 1", "/floor 2");
    for row in &rows {
        let (one, two) = (row.per_access / rows[1].per_access, row.per_access / rows[2].per_access);
        println!(
            "  {:<44}{:>10.2}{:>14.1}{one:>10.2}{two:>10.2}",
            row.name,
            row.per_access,
            1e3 / row.per_access
        );
    }
    println!("  four CPUs against one, per access: {:.2}", rows[5].per_access / rows[4].per_access);
}

/// A trace whose every access is the first touch of its page.
fn first_touches(pages: u64) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut spec = GeneratorSpec::new(Pattern::Sequential);
    (spec.pages, spec.accesses, spec.write_per_mille) = (pages, pages, 1000);
    spec.pattern = Pattern::Strided;
    let mut writer = TraceWriter::create(file.path(), 3).expect("a temporary trace");
    generate(&spec, &mut writer).expect("a valid generator");
    writer.finish().expect("a whole trace");
    file
}

fn faults() {
    let pages = 1 << 18;
    let file = first_touches(pages);
    let traces = vec![file.path().display().to_string()];
    let best = (0..ROUNDS).map(|_| time(|| replay(&traces, 1, false))).fold(f64::INFINITY, f64::min);
    println!(
        "\nminor faults: {:.0} ns each, {:.2} million a second",
        best / pages as f64,
        pages as f64 * 1e3 / best
    );
}

static BENCH: Class = Class::new(200, "bench word");

fn steps() {
    const STEPS: u64 = 2_000_000;
    println!("\nsteps (one load of a shared word)");
    for (name, schedule, cpus) in [
        ("timed, inside the horizon, 1 CPU", Schedule::Timed, 1),
        ("timed, 2 CPUs in turn", Schedule::Timed, 2),
        ("random, 2 CPUs", Schedule::Random, 2),
        ("random, 4 CPUs", Schedule::Random, 4),
    ] {
        let best = (0..ROUNDS).map(|_| run_steps(schedule, cpus, STEPS)).fold(f64::INFINITY, f64::min);
        println!("  {name:<44}{:>10.2} ns", best / STEPS as f64);
    }
}

fn run_steps(schedule: Schedule, cpus: u16, steps: u64) -> f64 {
    let engine = Engine::new(EngineConfig { cpus, schedule, ..EngineConfig::default() });
    for cpu in 0..cpus {
        engine.spawn(CpuId(cpu), move |cx| async move {
            let cell = std::cell::Cell::new(u64::from(cpu));
            let word = Word::new(&cell, ObjectId::new(&BENCH, u64::from(cpu)));
            let mut sum = 0;
            for _ in 0..steps / u64::from(cpus) {
                sum += word.read_once(&cx).await;
            }
            std::hint::black_box(sum);
        });
    }
    time(|| drop(engine.run()))
}

fn main() {
    // `cargo test --benches` runs this with `--test`: nothing to test here.
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    replay_against_floors("gzip");
    replay_against_floors("sqlite");
    faults();
    steps();
}
