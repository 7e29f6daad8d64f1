//! What is flushed, where, and who is interrupted for it.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{CpuId, Schedule, Stop};
use pagewalk_kernel::{Call, Kernel, KernelConfig, Task};
use pagewalk_pages::{Fix, Switches};

use crate::common::{
    Bursts, Gate, Setup, call, discard, fork, load, load_all, map, page, pages, process, store, store_all,
    thread,
};

fn tagged(cpus: u16, seed: u64) -> Setup {
    let config = KernelConfig { pcid: true, ..KernelConfig::default() };
    Setup { cpus, schedule: Schedule::Random, seed, config, ..Setup::default() }
}

/// A process whose pages two threads discard, one page each, while the third thread shares its CPU with another process.
fn flushes_cross(kernel: &Rc<Kernel>) {
    let over = Rc::new(Cell::new(false));
    let seen = Rc::clone(&over);
    process(kernel, 0, 10, async move |task: &Task| {
        map(task, 0, 4).await;
        let ended = Gate::new();
        for (number, over, ended) in [1, 2].map(|number| (number, Rc::clone(&over), Rc::clone(&ended))) {
            thread(task, number, 10 + u32::from(number), async move |task: &Task| {
                while !over.get() {
                    if number == 1 {
                        call(task, discard(page(1), pages(1))).await.expect("the call is right");
                    }
                    assert!(store_all(task, 0, 4).await && load_all(task, 0, 4).await);
                    task.yield_cpu().await;
                }
                ended.open(task);
            })
            .await;
        }
        for _ in 0..12 {
            call(task, discard(page(2), pages(1))).await.expect("the call is right");
            assert!(load_all(task, 0, 4).await);
        }
        over.set(true);
        ended.wait(task, 2).await;
    });
    process(kernel, 2, 20, async move |task: &Task| {
        map(task, 0, 4).await;
        while !seen.get() {
            assert!(store_all(task, 0, 2).await);
            task.yield_cpu().await;
        }
    });
}

#[test]
fn a_cpu_that_comes_back_to_an_address_space_uses_nothing_flushed_meanwhile() {
    let mut kept = 0;
    for seed in 0..120 {
        kept += tagged(3, seed).run(flushes_cross).stat.mm_switches_kept.get();
    }
    assert!(kept > 120, "translations were kept over {kept} switches");
}

/// An address space known to CPU 1, which idles now, and what CPU 0 then does to it.
fn with_an_idle_cpu(body: impl AsyncFnOnce(&Task) + 'static) -> Rc<Kernel> {
    Setup { cpus: 2, ..Setup::default() }.run(|kernel| {
        process(kernel, 0, 10, async move |task: &Task| {
            map(task, 0, 8).await;
            let (loaded, go) = (Gate::new(), Gate::new());
            let (theirs, end) = (Rc::clone(&loaded), Rc::clone(&go));
            thread(task, 1, 11, async move |task: &Task| {
                assert!(store_all(task, 0, 8).await);
                theirs.open(task);
                end.wait(task, 1).await;
                assert!(load(task, page(7)).await);
            })
            .await;
            loaded.wait(task, 1).await;
            body(task).await;
            go.open(task);
        });
    })
}

#[test]
fn an_idle_cpu_is_interrupted_once_and_then_left_alone() {
    let kernel = with_an_idle_cpu(async |task: &Task| {
        let stat = &task.kernel().stat;
        let others = || (stat.nr_tlb_remote_flush.get(), stat.nr_tlb_remote_flush_received.get());
        assert!(task.kernel().hw.core(CpuId(1)).root().is_some(), "lazy: it keeps the address space");
        call(task, Call::Munmap { start: page(0), len: pages(1) }).await.expect("the call is right");
        assert_eq!((others(), stat.tlb_lazy_leaves.get()), ((1, 1), 1));
        assert!(task.kernel().hw.core(CpuId(1)).root().is_none());
        call(task, Call::Munmap { start: page(1), len: pages(2) }).await.expect("the call is right");
        call(task, discard(page(3), pages(2))).await.expect("the call is right");
        assert_eq!((others(), stat.tlb_lazy_leaves.get()), ((1, 1), 1));
    });
    assert!(kernel.stat.nr_tlb_remote_flush_received.get() <= 2, "but for the end of the address space");
}

#[test]
fn up_to_the_ceiling_pages_are_flushed_one_by_one_and_beyond_it_all_at_once() {
    for (count, one_by_one, whole) in [(1, 1, 0), (33, 33, 0), (34, 0, 1), (40, 0, 1)] {
        Setup::default().run(|kernel| {
            process(kernel, 0, 10, async move |task: &Task| {
                map(task, 0, 40).await;
                assert!(store_all(task, 0, 40).await);
                let stat = &task.kernel().stat;
                let before = (stat.nr_tlb_local_flush_one.get(), stat.nr_tlb_local_flush_all.get());
                call(task, discard(page(0), pages(count))).await.expect("the call is right");
                let after = (stat.nr_tlb_local_flush_one.get(), stat.nr_tlb_local_flush_all.get());
                assert_eq!(after, (before.0 + one_by_one, before.1 + whole), "{count} pages");
            });
        });
    }
}

#[test]
fn nothing_is_flushed_where_nothing_was_mapped() {
    Setup::default().run(|kernel| {
        process(kernel, 0, 10, async |task: &Task| {
            map(task, 0, 40).await;
            assert!(load(task, page(39)).await);
            let requests = task.kernel().stat.flush_requests.get();
            call(task, discard(page(0), pages(30))).await.expect("the call is right");
            call(task, Call::Munmap { start: page(0), len: pages(20) }).await.expect("the call is right");
            assert_eq!(task.kernel().stat.flush_requests.get(), requests);
        });
    });
}

#[test]
fn a_full_batch_is_flushed_and_freed_before_it_grows() {
    for (batch, flushes) in [(506, 1), (20, 2), (7, 6), (1, 40)] {
        let config = KernelConfig { gather_batch: batch, ..KernelConfig::default() };
        Setup { config, ..Setup::default() }.run(|kernel| {
            process(kernel, 0, 10, async move |task: &Task| {
                map(task, 0, 40).await;
                assert!(store_all(task, 0, 40).await);
                let requests = task.kernel().stat.flush_requests.get();
                call(task, discard(page(0), pages(40))).await.expect("the call is right");
                assert_eq!(task.kernel().stat.flush_requests.get() - requests, flushes, "batches of {batch}");
                assert_eq!(task.kernel().stat.pages_zapped.get(), 40);
            });
        });
    }
}

/// Invariants that some seed breaks.
fn broken(switches: Switches, build: impl Fn(&Rc<Kernel>)) -> Vec<&'static str> {
    let mut broken = Vec::new();
    for seed in 0..150 {
        let setup = Setup { cpus: 8, schedule: Schedule::Explore, seed, ..Setup::default() };
        let config = KernelConfig { switches, ..setup.config.clone() };
        let kernel = Setup { config, ..setup }.boot();
        build(&kernel);
        let stop = kernel.engine.explore(&mut Bursts::new(seed));
        assert!(stop == Stop::Finished || !kernel.engine.violations().is_empty(), "{stop:?}, seed {seed}");
        broken.extend(kernel.engine.violations().iter().map(|violation| violation.invariant));
    }
    broken.sort_unstable();
    broken.dedup();
    broken
}

/// Threads that discard the same page, so that one finds nothing to flush while the other's flush is pending.
fn discards_meet(kernel: &Rc<Kernel>) {
    process(kernel, 0, 10, async |task: &Task| {
        map(task, 0, 2).await;
        for number in 1..4 {
            thread(task, number, 10 + u32::from(number), async |task: &Task| {
                for _ in 0..6 {
                    assert!(store_all(task, 0, 2).await);
                    call(task, discard(page(0), pages(1))).await.expect("the call is right");
                    assert!(load_all(task, 0, 2).await);
                }
            })
            .await;
        }
    });
}

#[test]
fn a_discard_that_another_has_begun_is_flushed_by_both_and_was_not_in_2_6_27() {
    assert_eq!(broken(Switches::FIXED, discards_meet), [""; 0]);
    let released = Switches::FIXED.without(Fix::FlushNested);
    assert!(!broken(released, discards_meet).is_empty());
}

/// A process of which one thread reads what another writes first, while a child that shares the page writes it too.
fn copies_meet(kernel: &Rc<Kernel>) {
    process(kernel, 0, 10, async |task: &Task| {
        map(task, 0, 1).await;
        assert!(store(task, page(0)).await);
        let over = Rc::new(Cell::new(false));
        // Many readers, so that the last is told of a flush long after the first.
        for number in 2..8 {
            let over = Rc::clone(&over);
            thread(task, number, 10 + u32::from(number), async move |task: &Task| {
                while !over.get() {
                    assert!(load(task, page(0)).await);
                }
            })
            .await;
        }
        for child in 0..6 {
            fork(task, 1, 20 + child, async |task: &Task| {
                assert!(load(task, page(0)).await && store(task, page(0)).await);
            })
            .await;
            assert!(load(task, page(0)).await && store(task, page(0)).await);
        }
        over.set(true);
    });
}

#[test]
fn a_copied_page_looks_unmapped_only_when_it_is_flushed() {
    // Where the map count decides who may write, the order of flush and reverse mapping is all that protects.
    let by_mapcount = Switches::FIXED.without(Fix::ReuseByCount);
    assert_eq!(broken(by_mapcount, copies_meet), [""; 0]);
    assert_eq!(broken(Switches::FIXED, copies_meet), [""; 0]);
}

/// A process that discards pages which another thread still reads, while a child that shares them writes.
fn a_discard_meets_a_write(kernel: &Rc<Kernel>) {
    process(kernel, 0, 10, async |task: &Task| {
        map(task, 0, 4).await;
        assert!(store_all(task, 0, 4).await);
        thread(task, 1, 11, async |task: &Task| {
            for _ in 0..30 {
                assert!(load_all(task, 0, 4).await);
            }
        })
        .await;
        fork(task, 2, 20, async |task: &Task| {
            assert!(load_all(task, 0, 4).await && load_all(task, 0, 4).await);
            assert!(store_all(task, 0, 4).await);
        })
        .await;
        call(task, discard(page(0), pages(4))).await.expect("the call is right");
    });
}

#[test]
fn a_discarded_page_is_not_written_before_its_flush_and_was_in_2_6_27() {
    assert_eq!(broken(Switches::FIXED, a_discard_meets_a_write), [""; 0]);
    let released = Switches::FIXED.without(Fix::ReuseByCount);
    assert_eq!(broken(released, a_discard_meets_a_write), ["I14"]);
}

/// Two processes that take turns on one CPU while another CPU frees pages of the first.
fn a_switch_meets_a_flush(kernel: &Rc<Kernel>) {
    process(kernel, 0, 10, async |task: &Task| {
        map(task, 0, 16).await;
        thread(task, 1, 11, async |task: &Task| {
            for _ in 0..20 {
                assert!(load_all(task, 0, 16).await);
                task.yield_cpu().await;
            }
        })
        .await;
        for _ in 0..20 {
            assert!(load_all(task, 0, 16).await);
            call(task, discard(page(0), pages(16))).await.expect("the call is right");
        }
    });
    process(kernel, 1, 20, async |task: &Task| {
        map(task, 0, 16).await;
        for _ in 0..20 {
            assert!(load_all(task, 0, 16).await);
            task.yield_cpu().await;
        }
    });
}

#[test]
fn no_flush_passes_over_a_cpu_that_has_the_old_tables_and_did_in_2_6_27() {
    assert_eq!(broken(Switches::FIXED, a_switch_meets_a_flush), [""; 0]);
    let released = Switches::FIXED.without(Fix::LeaveMaskLast);
    // Whether the translation is still there when somebody looks (I20), too, is chance.
    assert!(broken(released, a_switch_meets_a_flush).contains(&"I19"));
}
