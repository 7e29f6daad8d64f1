//! Random processes with random threads over the same few pages, free-running: whatever they do, every invariant holds.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use pagewalk_engine::{Purpose, Random, Schedule};
use pagewalk_kernel::{Call, Kernel, KernelConfig, Task};

use crate::common::{Setup, address_space, call, cpu, map, process, start};
use crate::op::{Op, Raw};

/// Tasks that one run starts.
const MOST_TASKS: u32 = 14;

/// What a run may still start, and what its machine was asked.
struct Run {
    seed: u64,
    started: Cell<u32>,
    scans: Cell<u32>,
}

impl Run {
    /// The number of a new task, if there may be one more.
    fn next_task(&self) -> Option<u32> {
        let number = self.started.get() + 1;
        (number <= MOST_TASKS).then(|| self.started.set(number)).map(|()| number)
    }
}

/// A task's life, boxed because tasks start tasks.
fn live<'a>(run: &'a Rc<Run>, task: &'a Task) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(async move {
        let mut random = Random::new(run.seed << 8 | u64::from(task.tid()), Purpose::Workload);
        for _ in 0..24 {
            let raw: Raw = [(); 5].map(|()| random.below(256) as u8);
            match Op::decode(raw) {
                Op::Fork => begin(run, task, raw[1].is_multiple_of(2)).await,
                Op::Exec if raw[2].is_multiple_of(2) => {
                    call(task, Call::Execve).await.expect("the call is right");
                    map(task, 0, 12).await;
                }
                Op::Exec => {}
                Op::Exit => return,
                // What is refused is refused: the machine must be right all the same.
                op => drop(op.perform(task).await),
            }
            if raw[3].is_multiple_of(4) {
                task.yield_cpu().await;
            }
            scan(run, task.kernel());
        }
    })
}

/// A child or a thread more.
async fn begin(run: &Rc<Run>, task: &Task, thread: bool) {
    let Some(number) = run.next_task() else { return };
    let mm = address_space(task, if thread { Call::Clone } else { Call::Fork }).await;
    let pid = if thread { task.pid() } else { number };
    let shared = Rc::clone(run);
    start(task.kernel(), cpu(task, number as u16), mm, pid, number, async move |task: &Task| {
        live(&shared, task).await;
    });
}

fn scan(run: &Run, kernel: &Kernel) {
    if kernel.is_quiescent() {
        kernel.check_machine();
        run.scans.set(run.scans.get() + 1);
    }
}

fn stress(seed: u64) -> Rc<Run> {
    let config = KernelConfig {
        pcid: seed % 2 == 1,
        gather_batch: if seed.is_multiple_of(3) { 3 } else { 506 },
        tlb_flush_ceiling: if seed.is_multiple_of(5) { 2 } else { 33 },
        ..KernelConfig::default()
    };
    let schedule = if seed.is_multiple_of(8) { Schedule::Timed } else { Schedule::Random };
    let cpus = [1, 2, 2, 3, 4, 4, 8][(seed % 7) as usize];
    let run = Rc::new(Run { seed, started: Cell::new(2), scans: Cell::new(0) });
    Setup { cpus, schedule, seed, config, ..Setup::default() }.run(|kernel| {
        for pid in 1..=2 {
            let run = Rc::clone(&run);
            process(kernel, pid as u16 % cpus, pid, async move |task: &Task| {
                map(task, 0, 12).await;
                begin(&run, task, true).await;
                live(&run, task).await;
            });
        }
    });
    run
}

#[test]
fn random_processes_and_threads_keep_every_invariant() {
    let (mut tasks, mut scans) = (0, 0);
    for seed in 0..400 {
        let run = stress(seed);
        tasks += run.started.get();
        scans += run.scans.get();
    }
    assert!(tasks > 400 * 6, "{tasks} tasks were started");
    assert!(scans > 400 * 4, "the machine was quiescent only {scans} times");
}
