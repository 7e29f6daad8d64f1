//! The workload: threads that read a file which is in memory, on as many CPUs, under one kernel and machine.

use std::cell::RefCell;
use std::rc::Rc;

use pagewalk_engine::{CpuId, Stop};
use pagewalk_kernel::{Call, File, Inode, Kernel, Mm, Task, Transfer};
use pagewalk_machine::{Machine, Parts};
use pagewalk_mmu::BASE_PAGE_BYTES;
use pagewalk_pages::Switches;
use pagewalk_replay::RunOptions;

/// Pages that each reader reads.
pub(crate) const PAGES: u64 = 64;
/// Reads of each reader, of one page each.
pub(crate) const READS: u64 = 256;

/// Which pages the readers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Each reader a part of the file of its own: they share the tree and nothing else.
    OwnPages,
    /// All the same pages, each beginning at another.
    SamePages,
}

/// One measurement's machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Simulated CPUs, a reader on each.
    pub(crate) cpus: u64,
    /// Cycles of a cache line's transfer.
    pub(crate) line_transfer: u64,
    /// Whether transfers of one line wait for each other.
    pub(crate) line_queue: bool,
    /// What is read.
    pub(crate) pattern: Pattern,
}

impl Setup {
    /// The default machine, but that transfers of a line wait for each other.
    pub(crate) fn usual(cpus: u64, pattern: Pattern) -> Self {
        let line_transfer = Machine::default().costs.line_transfer.get();
        Self { cpus, line_transfer, line_queue: true, pattern }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Reads per microsecond, all readers together.
    pub(crate) rate: f64,
    /// The share of the readers' time that went into waiting for `tree_lock`, 0 to 1.
    pub(crate) waiting: f64,
}

/// The kernel whose lookups take the lock, and the one whose lookups do not.
pub(crate) fn both(setup: Setup) -> [Point; 2] {
    [measure(Switches::LINUX_2_6_22, setup), measure(Switches::FIXED, setup)]
}

/// A row of the page's tables.
pub(crate) fn row(cpus: u64, [locked, lockless]: &[Point; 2]) -> String {
    format!(
        "| {cpus} | {:.2} | {:.0} % | {:.2} | {:.2}× |\n",
        locked.rate,
        100.0 * locked.waiting,
        lockless.rate,
        lockless.rate / locked.rate
    )
}

/// Runs the workload under one kernel.
fn measure(kernel: Switches, setup: Setup) -> Point {
    let mut machine = Machine::default();
    let options = [
        format!("cpus={}", setup.cpus),
        "memory.frames=65536".to_owned(),
        format!("costs.line_transfer={}", setup.line_transfer),
        format!("costs.line_queue={}", setup.line_queue),
    ];
    machine.set_all(&options).expect("valid options");
    let run = RunOptions { switches: kernel, ..RunOptions::default() };
    let Parts { engine, hardware, kernel } = run.parts(&machine);
    let kernel = Kernel::new(engine, &hardware, kernel).expect("a possible machine");
    let inode = kernel.open_inode("/data", setup.cpus * PAGES * BASE_PAGE_BYTES);
    let spent: Rc<RefCell<Vec<u64>>> = Rc::default();
    let readers = (Rc::clone(&inode), Rc::clone(&spent));
    start(&kernel, 0, async move |task| {
        // The file comes into memory first; then the readers start together.
        // Read several times, its pages are active and marked as used: reading them again changes nothing.
        let file = File::open(&readers.0);
        for _ in 0..3 {
            read(task, &file, 0, setup.cpus * PAGES).await;
            task.kernel().zone.lru_add_drain(task).await;
        }
        for cpu in 0..setup.cpus {
            let (inode, spent) = (Rc::clone(&readers.0), Rc::clone(&readers.1));
            start(task.kernel(), cpu as u16, async move |task| {
                let began = task.cpu().clock();
                reader(task, &inode, cpu, setup.pattern).await;
                spent.borrow_mut().push(task.cpu().clock() - began);
            });
        }
    });
    assert_eq!(kernel.engine.run(), Stop::Finished);
    let spent = spent.borrow();
    let mhz = machine.frequency_mhz.get() as f64;
    let waits = kernel.engine.waits();
    let waited =
        waits.iter().find(|wait| wait.class.name == "mapping->tree_lock").map_or(0, |wait| wait.cycles);
    Point {
        rate: spent.iter().map(|&cycles| READS as f64 * mhz / cycles as f64).sum(),
        waiting: waited as f64 / spent.iter().sum::<u64>() as f64,
    }
}

/// A process on a CPU.
fn start(kernel: &Rc<Kernel>, cpu: u16, body: impl AsyncFnOnce(&Task) + 'static) {
    let shared = Rc::clone(kernel);
    let pid = u32::from(cpu) + 1;
    kernel.engine.spawn(CpuId(cpu), async move |cx| {
        let mm = Mm::alloc(&shared, &cx).await;
        let task = Task::new(cx, shared, mm, pid, pid);
        body(&task).await;
        task.call(Call::Exit).await.expect("the call is right");
    });
}

/// Reads `pages` pages from page `first` on, one by one.
async fn read(task: &Task, file: &Rc<File>, first: u64, pages: u64) {
    for page in first..first + pages {
        let transfer =
            Transfer { offset: page * BASE_PAGE_BYTES, len: BASE_PAGE_BYTES, buffer: None, direct: false };
        let read = task.call(Call::Read { file: Rc::clone(file), transfer }).await.expect("a right call");
        assert_eq!(read.number(), BASE_PAGE_BYTES);
    }
}

async fn reader(task: &Task, inode: &Rc<Inode>, cpu: u64, pattern: Pattern) {
    let file = File::open(inode);
    for n in 0..READS {
        let page = match pattern {
            Pattern::OwnPages => cpu * PAGES + n % PAGES,
            Pattern::SamePages => (cpu * 7 + n) % PAGES,
        };
        read(task, &file, page, 1).await;
    }
}
