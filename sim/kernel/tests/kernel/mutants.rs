//! Mutants whose races need more than the page cache: each breaks what the catalogue says under some of many random schedules, and
//! the kernel without it breaks nothing under as many.

use std::rc::Rc;

use pagewalk_engine::{Engine, Executed, Explorer, Purpose, Random, Schedule, Stop, Violation};
use pagewalk_kernel::{Call, Kernel, KernelConfig, Task};
use pagewalk_pages::{Mutant, Switches};

use crate::common::{
    Bursts, Gate, Setup, call, discard, fork, load, load_all, map, page, pages, process, store_all, thread,
};
use crate::file_common::{open, write_pages};
use crate::pressure::area;

/// Schedules tried.
const MOST: u64 = 400;

/// The invariants that the first of the schedules that breaks any breaks.
fn broken(switches: Switches, scenario: fn(&Rc<Kernel>)) -> Option<Vec<&'static str>> {
    (0..MOST).find_map(|seed| {
        let (kernel, _) = explored(&setup(seed, switches), scenario);
        let broken: Vec<_> = kernel.engine.violations().iter().map(|violation| violation.invariant).collect();
        (!broken.is_empty()).then_some(broken)
    })
}

fn setup(seed: u64, switches: Switches) -> Setup {
    let config = KernelConfig {
        pages_min: Some(0),
        pcid: true,
        swap: vec![area(64)],
        switches,
        ..KernelConfig::default()
    };
    Setup { cpus: 3, schedule: Schedule::Explore, seed, config, ..Setup::default() }
}

/// The machine after the scenario, and how that ended.
fn explored(setup: &Setup, scenario: fn(&Rc<Kernel>)) -> (Rc<Kernel>, Stop) {
    let kernel = setup.boot();
    scenario(&kernel);
    let stop = kernel.engine.explore(&mut RareInterrupts {
        random: Random::new(setup.seed + 1, Purpose::Workload),
        others: Bursts::new(setup.seed),
    });
    (kernel, stop)
}

/// Between two steps of an interrupt the programs come far.
struct RareInterrupts {
    random: Random,
    others: Bursts,
}

impl Explorer for RareInterrupts {
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize> {
        let programs = enabled & ((1 << engine.cpus().len()) - 1);
        let chosen = if programs == 0 || self.random.below(64) == 0 { enabled } else { programs };
        self.others.choose(engine, chosen)
    }

    fn executed(&mut self, _: &Engine, _: &Executed<'_>) {}
}

#[track_caller]
fn caught(mutant: Mutant, scenario: fn(&Rc<Kernel>)) {
    let expected = mutant.info().invariants;
    let broken_by_it = broken(Switches::FIXED.with_mutant(mutant), scenario).expect("something is broken");
    assert!(broken_by_it.iter().any(|found| expected.contains(found)), "{broken_by_it:?}, not {expected:?}");
    assert_eq!(broken(Switches::FIXED, scenario), None, "the kernel without {mutant}");
}

/// Pages are unmapped, and freed, while reclaim takes the oldest pages off the lists.
fn unmapping_beside_reclaim(kernel: &Rc<Kernel>) {
    process(kernel, 0, 10, async |task: &Task| {
        map(task, 0, 40).await;
        store_all(task, 0, 40).await;
        call(task, Call::Munmap { start: page(0), len: pages(40) }).await.expect("the call is right");
    });
    process(kernel, 1, 20, async |task: &Task| {
        for _ in 0..3 {
            call(task, Call::Reclaim { pages: 40 }).await.expect("the call is right");
        }
    });
}

/// A thread comes back to a CPU on which another process was, while its sibling discards what the TLB has kept.
fn discard_beside_a_switch(kernel: &Rc<Kernel>) {
    process(kernel, 0, 10, async |task: &Task| {
        map(task, 0, 2).await;
        let over = Gate::new();
        let ended = Rc::clone(&over);
        thread(task, 1, 11, async move |task: &Task| {
            for _ in 0..6 {
                load(task, page(0)).await;
                task.yield_cpu().await;
            }
            ended.open(task);
        })
        .await;
        for _ in 0..6 {
            store_all(task, 0, 1).await;
            call(task, discard(page(0), pages(1))).await.expect("the call is right");
        }
        over.wait(task, 1).await;
    });
    process(kernel, 1, 20, async |task: &Task| {
        map(task, 0, 1).await;
        for _ in 0..6 {
            load(task, page(0)).await;
            task.yield_cpu().await;
        }
    });
}

/// A page is written back twice while others truncate the file: the wake of one writeback may come when the next has begun.
fn truncation_beside_two_writebacks(kernel: &Rc<Kernel>) {
    for cpu in 0..3 {
        process(kernel, cpu, 10 + u32::from(cpu), async move |task: &Task| {
            let file = open(task.kernel(), "data", 1);
            if cpu == 2 {
                call(task, Call::Truncate { file, size: 0 }).await.expect("the call is right");
                return;
            }
            write_pages(task, &file, 0, 1).await;
            call(task, Call::Fsync { file }).await.expect("the call is right");
        });
    }
}

/// A child has entries in swap that its parent has given up, and the area is taken off.
fn swapoff_after_a_fork(kernel: &Rc<Kernel>) {
    process(kernel, 0, 10, async |task: &Task| {
        map(task, 0, 4).await;
        store_all(task, 0, 4).await;
        call(task, Call::Reclaim { pages: 4 }).await.expect("the call is right");
        let over = Gate::new();
        let may_end = Rc::clone(&over);
        fork(task, 1, 20, async move |task: &Task| {
            may_end.wait(task, 1).await;
            load_all(task, 0, 4).await;
        })
        .await;
        task.kernel().check_machine();
        if task.engine().violations().is_empty() {
            call(task, Call::Munmap { start: page(0), len: pages(4) }).await.expect("the call is right");
            call(task, Call::Swapoff { area: 0 }).await.expect("memory for everything");
        }
        over.open(task);
    });
}

#[test]
fn a_page_that_is_being_freed_is_taken_off_the_lists() {
    caught(Mutant::LruIsolatePlainInc, unmapping_beside_reclaim);
}

#[test]
fn a_cpu_that_joins_the_mask_late_uses_a_translation_of_a_page_that_is_freed() {
    caught(Mutant::SwitchMmBitLate, discard_beside_a_switch);
}

#[test]
fn who_does_not_look_again_when_woken_meets_the_next_writeback() {
    caught(Mutant::WritebackWakeOnce, truncation_beside_two_writebacks);
}

#[test]
fn a_child_that_is_not_on_mmlist_is_passed_over() {
    caught(Mutant::SwapoffMissesMm, swapoff_after_a_fork);
}

#[test]
fn a_page_that_is_freed_twice_is_a_bug_that_ends_the_run_without_a_panic() {
    // Nobody checks on the way, and a frame is free for all as soon as it is free: the page allocator itself finds it there.
    let ends = |switches| {
        let end = move |seed| {
            let unchecked = Setup { checks: false, pcp: (1, 1), ..setup(seed, switches) };
            let (kernel, stop) = explored(&unchecked, unmapping_beside_reclaim);
            (kernel.engine.violations(), stop)
        };
        (0..MOST).map(end).find(|(violations, _)| !violations.is_empty())
    };
    let (violations, stop) =
        ends(Switches::FIXED.with_mutant(Mutant::LruIsolatePlainInc)).expect("it is found");
    let Some(Violation { invariant: "panic", message }) = violations.last() else { panic!("{violations:?}") };
    assert!(message.starts_with("BUG at page_alloc:") && message.ends_with(" is free already"), "{message}");
    assert_eq!(stop, Stop::Stopped(format!("panic: {message}")));
    assert!(ends(Switches::FIXED).is_none(), "the kernel without the mutant");
}
