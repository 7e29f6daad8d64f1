//! Random processes and threads over the same few files, by mapping and by system call: whatever they do, every load and
//! read finds what it ought to, and every invariant holds.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use pagewalk_engine::{Purpose, Random, Schedule};
use pagewalk_kernel::{
    Antagonist, AntagonistSpec, Call, DeviceSpec, File, KernelConfig, MapRequest, Prot, SwapAreaSpec, Task,
    VmaKind,
};

use crate::common::{
    READ, Setup, address_space, call, cpu, discard, load, page, pages, process, remap, start, store,
};
use crate::file_common::{map_file, open, transfer};

/// Pages that the larger file begins with.
const PAGES: u64 = 6;

struct Run {
    seed: u64,
    operations: u32,
    started: Cell<u32>,
    files: [Rc<File>; 2],
    scans: Cell<u32>,
}

impl Run {
    fn file(&self, number: u64) -> &Rc<File> {
        &self.files[(number % 2) as usize]
    }
}

/// The mappings that every process begins with.
async fn map_all(run: &Run, task: &Task) {
    map_file(task, &run.files[0], (0, PAGES), 0, Prot::RW, true).await;
    map_file(task, &run.files[0], (8, PAGES), 0, Prot::RW, false).await;
    map_file(task, &run.files[1], (16, 3), 0, Prot::RW, true).await;
    let anonymous = |first, count, shared| MapRequest {
        address: Some(page(first)),
        len: pages(count),
        prot: Prot::RW,
        kind: VmaKind::Anonymous,
        shared,
        pgoff: 0,
    };
    call(task, Call::Mmap(anonymous(20, 4, false))).await.expect("there is room");
    call(task, Call::Mmap(anonymous(24, 2, true))).await.expect("there is room");
}

fn live<'a>(run: &'a Rc<Run>, task: &'a Task) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        let mut random = Random::new(run.seed << 8 | u64::from(task.tid()), Purpose::Workload);
        for _ in 0..run.operations {
            operate(run, task, &mut random).await;
            if random.below(4) == 0 {
                task.yield_cpu().await;
            }
            if task.kernel().is_quiescent() {
                task.kernel().check_machine();
                run.scans.set(run.scans.get() + 1);
            }
        }
    })
}

/// One operation. What is refused is refused: the machine must be right all the same.
async fn operate(run: &Rc<Run>, task: &Task, random: &mut Random) {
    let what = random.below(64);
    let mut below = |n| u64::from(random.below(n));
    let (at, count, other) = (below(27), 1 + below(4), below(1 << 20));
    let file = run.file(other);
    let place = other % pages(PAGES + 1);
    match what {
        0..14 => drop(load(task, page(at)).await),
        14..28 => drop(store(task, page(at)).await),
        28..34 => {
            let buffer = other.is_multiple_of(3).then(|| page(at));
            let transfer = transfer(place, pages(count) - 40, buffer);
            let _ = call(task, Call::Read { file: Rc::clone(file), transfer }).await;
        }
        34..40 => {
            let buffer = other.is_multiple_of(3).then(|| page(at));
            let (offset, len) = match other % 5 {
                0 => (place & !0xfff, pages(1)),
                _ => (place, 1 + other % 9000),
            };
            let transfer = transfer(offset, len, buffer);
            let _ = call(task, Call::Write { file: Rc::clone(file), transfer }).await;
        }
        40..44 => drop(call(task, Call::Truncate { file: Rc::clone(file), size: place }).await),
        44..46 => drop(call(task, Call::Fsync { file: Rc::clone(file) }).await),
        46 => drop(call(task, Call::Msync { start: page(at), len: pages(count), sync: true }).await),
        47 => drop(call(task, Call::Sync).await),
        48..50 => drop(call(task, Call::DropCaches).await),
        50 => {
            let whole = Call::Invalidate { file: Rc::clone(file), offset: 0, len: pages(PAGES) };
            let _ = call(task, whole).await;
        }
        51..54 => drop(call(task, discard(page(at), pages(count))).await),
        54 => drop(call(task, Call::Munmap { start: page(at), len: pages(count) }).await),
        55 | 56 => {
            let prot = if other.is_multiple_of(3) { READ } else { Prot::RW };
            let _ = call(task, Call::Mprotect { start: page(at), len: pages(count), prot }).await;
        }
        57 => {
            let new_start = Some(page(30 + other % 8));
            let _ = remap(task, page(at), pages(count), pages(1 + other % 4), new_start).await;
        }
        58 | 59 => {
            map_file(task, file, (at, count), other % PAGES, Prot::RW, what == 58).await;
        }
        _ => begin(run, task, what < 62).await,
    }
}

/// A child or a thread more.
async fn begin(run: &Rc<Run>, task: &Task, thread: bool) {
    let number = run.started.get() + 1;
    if number > 8 {
        return;
    }
    run.started.set(number);
    let mm = address_space(task, if thread { Call::Clone } else { Call::Fork }).await;
    let pid = if thread { task.pid() } else { number };
    let shared = Rc::clone(run);
    start(task.kernel(), cpu(task, number as u16), mm, pid, number, async move |task: &Task| {
        live(&shared, task).await;
    });
}

fn setup(seed: u64, pressure: bool) -> Setup {
    let area = |priority, latency, synchronous| SwapAreaSpec {
        pages: 96,
        priority,
        device: DeviceSpec { channels: 2, latency, seek: 0, page: 100, synchronous },
    };
    let (frames, pages_min) = if pressure { ([46, 56, 72][(seed % 3) as usize], 4) } else { (1024, 0) };
    let config = KernelConfig {
        pcid: seed % 2 == 1,
        gather_batch: if seed.is_multiple_of(3) { 3 } else { 506 },
        fault_around_pages: [0, 0, 8, 16][(seed % 4) as usize],
        readahead_pages: [0, 4, 32][(seed % 3) as usize],
        swap: if pressure { vec![area(0, 20_000, false), area(-1, 300, true)] } else { Vec::new() },
        page_cluster: (seed % 4) as u32,
        pages_min: Some(pages_min),
        writeback_interval: [0, 0, 20_000][(seed / 3 % 3) as usize],
        ..KernelConfig::default()
    };
    let schedule = match seed % 8 {
        0 => Schedule::Timed,
        2 | 5 if pressure => Schedule::Explore,
        _ => Schedule::Random,
    };
    let cpus = [1, 2, 2, 3, 4, 4, 8][(seed % 7) as usize];
    Setup { cpus, frames, schedule, seed, config, ..Setup::default() }
}

fn stress(seed: u64) -> u32 {
    stress_watched(seed, false).0
}

/// The same, with the marked branches it took.
pub(crate) fn stress_watched(seed: u64, pressure: bool) -> (u32, Vec<(&'static str, u64)>) {
    let setup = setup(seed, pressure);
    let scans = Rc::new(Cell::new(0));
    let of_run = Rc::clone(&scans);
    let kernel = setup.run_until_memory_is_out(move |kernel| {
        kernel.engine.watch_marks();
        if pressure && !seed.is_multiple_of(4) {
            let all = Antagonist::ALL.map(|kind| AntagonistSpec { kind, rate: 20_000 });
            kernel.start_antagonists(&all, seed);
        }
        let files = [open(kernel, "/a", PAGES), open(kernel, "/b", 3)];
        let run = Run {
            seed,
            operations: if pressure { 80 } else { 24 },
            started: Cell::new(2),
            files,
            scans: Cell::new(0),
        };
        let run = Rc::new(run);
        for pid in 1..=2 {
            let (run, scans) = (Rc::clone(&run), Rc::clone(&of_run));
            process(kernel, pid as u16 % setup_cpus(kernel), pid, async move |task: &Task| {
                map_all(&run, task).await;
                begin(&run, task, true).await;
                live(&run, task).await;
                scans.set(run.scans.get());
            });
        }
    });
    assert!(pressure || kernel.oom().is_none(), "seed {seed}");
    (scans.get(), kernel.engine.marks())
}

fn setup_cpus(kernel: &pagewalk_kernel::Kernel) -> u16 {
    kernel.engine.cpus().len() as u16
}

#[test]
fn random_programs_over_files_find_what_they_ought_to() {
    let seeds = std::env::var("PAGEWALK_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let first = std::env::var("PAGEWALK_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let scans: u32 = (first..seeds).map(stress).sum();
    assert!(scans > seeds as u32, "the machine was quiescent only {scans} times");
}

#[test]
fn random_programs_find_what_they_ought_to_also_where_memory_is_short() {
    let seeds = std::env::var("PAGEWALK_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let first = std::env::var("PAGEWALK_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let scans: u32 = (first..seeds).map(|seed| stress_watched(seed, true).0).sum();
    assert!(scans > 0, "the machine was never quiescent");
}
