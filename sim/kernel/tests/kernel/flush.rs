//! What is flushed, where, and who is interrupted for it.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{CpuId, Schedule};
use pagewalk_kernel::{Fixes, Kernel, KernelConfig, Task, sys_madvise_dontneed, sys_munmap};

use crate::common::{Gate, Setup, load, load_all, map, page, pages, process, store_all, thread};

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
                        sys_madvise_dontneed(task, page(1), pages(1)).await.unwrap();
                    }
                    assert!(store_all(task, 0, 4).await && load_all(task, 0, 4).await);
                    task.yield_cpu().await;
                }
                ended.open(task);
            })
            .await;
        }
        for _ in 0..12 {
            sys_madvise_dontneed(task, page(2), pages(1)).await.unwrap();
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
        sys_munmap(task, page(0), pages(1)).await.unwrap();
        assert_eq!((others(), stat.tlb_lazy_leaves.get()), ((1, 1), 1));
        assert!(task.kernel().hw.core(CpuId(1)).root().is_none());
        sys_munmap(task, page(1), pages(2)).await.unwrap();
        sys_madvise_dontneed(task, page(3), pages(2)).await.unwrap();
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
                sys_madvise_dontneed(task, page(0), pages(count)).await.unwrap();
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
            sys_madvise_dontneed(task, page(0), pages(30)).await.unwrap();
            sys_munmap(task, page(0), pages(20)).await.unwrap();
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
                sys_madvise_dontneed(task, page(0), pages(40)).await.unwrap();
                assert_eq!(task.kernel().stat.flush_requests.get() - requests, flushes, "batches of {batch}");
                assert_eq!(task.kernel().stat.pages_zapped.get(), 40);
            });
        });
    }
}

/// Invariants that some seed breaks.
fn broken(fixes: Fixes, build: impl Fn(&Rc<Kernel>)) -> Vec<&'static str> {
    let mut broken = Vec::new();
    for seed in 0..200 {
        let setup = Setup { cpus: 4, schedule: Schedule::Random, seed, ..Setup::default() };
        let config = KernelConfig { fixes, ..KernelConfig::default() };
        let kernel = Setup { config, ..setup }.boot();
        build(&kernel);
        kernel.engine.run();
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
                    sys_madvise_dontneed(task, page(0), pages(1)).await.unwrap();
                    assert!(load_all(task, 0, 2).await);
                }
            })
            .await;
        }
    });
}

#[test]
fn a_discard_that_another_has_begun_is_flushed_by_both_and_was_not_in_2_6_27() {
    assert_eq!(broken(Fixes::FIXED, discards_meet), [""; 0]);
    let released = Fixes { flush_nested: false, ..Fixes::FIXED };
    assert!(!broken(released, discards_meet).is_empty());
}
