//! Programs for which memory is short, one for each rare turn that reclaim, swap and migration can take.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{Engine, Executed, Explorer, OpKind, Schedule};
use pagewalk_kernel::{
    AdviceCall, Antagonist, AntagonistSpec, Call, DeviceSpec, Errno, Kernel, KernelConfig, Prot,
    SwapAreaSpec, Task, Transfer,
};
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::ReleasePolicy;
use pagewalk_pages::LruList;

use crate::common::{
    Bursts, Gate, READ, Setup, call, discard, fork, load, load_all, map, map_shared, page, pages, process,
    remap, store, store_all, thread,
};
use crate::file_common::{open, transfer};

/// The marked branches that a run took, each with how often.
pub(crate) type Marks = Vec<(&'static str, u64)>;

pub(crate) fn area(pages: u32) -> SwapAreaSpec {
    let device = DeviceSpec { channels: 2, latency: 5_000, seek: 0, page: 100, synchronous: false };
    SwapAreaSpec { pages, priority: 0, device }
}

fn small(seed: u64, frames: u32, swap: u32) -> Setup {
    let config = KernelConfig { swap: vec![area(swap)], pages_min: Some(4), ..KernelConfig::default() };
    let schedule = if seed % 4 == 3 { Schedule::Random } else { Schedule::Explore };
    Setup { cpus: 3, frames, schedule, seed, config, ..Setup::default() }
}

/// Runs programs on a small machine, its actors kept going for a while each.
fn short_of_memory(seed: u64, frames: u32, swap: u32, build: impl FnOnce(&Rc<Kernel>)) -> Marks {
    let kernel = small(seed, frames, swap).run_until_memory_is_out(|kernel| {
        kernel.engine.watch_marks();
        build(kernel);
    });
    kernel.engine.marks()
}

/// Keeps a lookup that has read its slot from taking its reference, until whoever else has the last one is about to drop it.
struct HoldLookups {
    kernel: Rc<Kernel>,
    others: Bursts,
}

impl Explorer for HoldLookups {
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize> {
        let counts = |actor: usize, file: &str| {
            let op = engine.pending(actor).filter(|op| op.kind == OpKind::Rmw)?;
            let matches = op.object.class.name == "page.count" && op.location.file().ends_with(file);
            matches.then_some(Pfn(op.object.index as u32))
        };
        let actors = || (0..64_usize).filter(|actor| enabled >> actor & 1 == 1);
        let mut held = 0;
        for actor in actors() {
            let Some(page) = counts(actor, "find_get_page.rs") else { continue };
            held |= 1 << actor;
            let last = self.kernel.zone.memory.words(page).count().observe() == 1;
            if last && actors().any(|other| counts(other, "page_alloc.rs") == Some(page)) {
                return Some(actor);
            }
        }
        self.others.choose(engine, if enabled == held { enabled } else { enabled & !held })
    }

    fn executed(&mut self, _: &Engine, _: &Executed<'_>) {}
}

fn antagonists(kernel: &Rc<Kernel>, seed: u64, kinds: &[Antagonist]) {
    let busy = |&kind| AntagonistSpec { kind, rate: 100_000 };
    kernel.start_antagonists(&kinds.iter().map(busy).collect::<Vec<_>>(), seed);
}

/// Swap is full, and what is left of memory goes to two threads that bring pages back to change them: none is left for one of
/// them.
pub(crate) fn swap_is_full(seed: u64) -> Marks {
    const SWAPPED: u64 = 12;
    short_of_memory(seed, 96, SWAPPED as u32, |kernel| {
        process(kernel, 0, 1, async move |task: &Task| {
            map(task, 0, SWAPPED).await;
            for number in 0..SWAPPED {
                assert!(store(task, page(number)).await);
            }
            // A child that does nothing keeps every copy in swap wanted.
            let over = Gate::new();
            let child = Rc::clone(&over);
            fork(task, 2, 2, async move |task: &Task| child.wait(task, 1).await).await;
            map(task, 100, 200).await;
            let mut filled = 0;
            while task.kernel().swap.nr_swap_pages() > 0 {
                assert!(store(task, page(100 + filled)).await);
                filled += 1;
            }
            call(task, Call::Munmap { start: page(100), len: pages(1 + seed % 8) }).await.expect("right");
            for number in 1..3 {
                thread(task, number, 10 + u32::from(number), async move |task: &Task| {
                    for n in 0..SWAPPED / 2 {
                        assert!(store(task, page(2 * n + u64::from(number) - 1)).await);
                    }
                })
                .await;
            }
            over.open(task);
        });
    })
}

/// A page that lost its file while the file system kept its buffers, met by reclaim and by who looked it up before.
pub(crate) fn orphans_are_reclaimed(seed: u64) -> Marks {
    let programs = |kernel: &Rc<Kernel>| {
        kernel.engine.watch_marks();
        let file = open(kernel, "/a", 1);
        let writer = Rc::clone(&file);
        let over = Rc::new(Cell::new(false));
        let ended = Rc::clone(&over);
        process(kernel, 0, 1, async move |task: &Task| {
            for _ in 0..8 {
                writer.inode().mapping.release.set(ReleasePolicy::Never);
                call(task, Call::Write { file: Rc::clone(&writer), transfer: transfer(0, pages(1), None) })
                    .await
                    .expect("right");
                call(task, Call::Fsync { file: Rc::clone(&writer) }).await.expect("right");
                call(task, Call::Reclaim { pages: 4 }).await.expect("right");
                call(task, Call::PunchHole { file: Rc::clone(&writer), offset: 0, len: pages(1) })
                    .await
                    .expect("right");
                writer.inode().mapping.release.set(ReleasePolicy::Clean);
                call(task, Call::Reclaim { pages: 4 }).await.expect("right");
            }
            ended.set(true);
        });
        for number in 1..3 {
            let (file, over) = (Rc::clone(&file), Rc::clone(&over));
            process(kernel, number, u32::from(number) + 1, async move |task: &Task| {
                while !over.get() {
                    call(task, Call::Read { file: Rc::clone(&file), transfer: transfer(0, pages(1), None) })
                        .await
                        .expect("right");
                }
            });
        }
    };
    let hold = |kernel: &Rc<Kernel>| -> Box<dyn Explorer> {
        Box::new(HoldLookups { kernel: Rc::clone(kernel), others: Bursts::new(seed) })
    };
    small(seed, 64, 8).run_explored(programs, hold).engine.marks()
}

/// An address space that is going away, whose swap entry nobody can put a page in for, while the swap area is taken off. The page was
/// not written when it was swapped out: a transfer had it.
pub(crate) fn swapoff_meets_exit(seed: u64) -> Marks {
    short_of_memory(seed, 64, 16, |kernel| {
        let file = open(kernel, "/a", 1);
        let over = Rc::new(Cell::new(false));
        let ended = Rc::clone(&over);
        process(kernel, 0, 1, async move |task: &Task| {
            map(task, 0, 1).await;
            for child in 10..16 {
                assert!(store(task, page(0)).await);
                fork(task, 1, child, async |_: &Task| {}).await;
                let write = Transfer { offset: 0, len: pages(1), buffer: Some(page(0)), direct: true };
                call(task, Call::Write { file: Rc::clone(&file), transfer: write }).await.expect("right");
            }
            ended.set(true);
        });
        process(kernel, 2, 2, async move |task: &Task| {
            while !over.get() {
                call(task, Call::Reclaim { pages: 4 }).await.expect("right");
                if call(task, Call::Swapoff { area: 0 }).await.is_ok() {
                    call(task, Call::Swapon { area: 0 }).await.expect("it was taken off");
                }
            }
        });
    })
}

/// Processes that fork, protect and move pages while those are reclaimed, moved to other frames and brought back by swapoff.
pub(crate) fn pages_move_while_they_go(seed: u64) -> Marks {
    short_of_memory(seed, 72, 64, |kernel| {
        antagonists(kernel, seed, &[Antagonist::Reclaim, Antagonist::Migrate, Antagonist::Swapoff]);
        process(kernel, 0, 1, async |task: &Task| {
            map(task, 0, 16).await;
            for round in 0..8_u32 {
                for number in 0..16 {
                    store(task, page(number)).await;
                }
                if round < 4 {
                    fork(task, (round % 2) as u16 + 1, 10 + round, async move |task: &Task| {
                        for n in 0..24 {
                            load(task, page(n % 16)).await;
                            if n % 8 == 0 {
                                store(task, page(n % 16)).await;
                            }
                        }
                    })
                    .await;
                }
                let prot = if round % 2 == 0 { READ } else { Prot::RW };
                call(task, Call::Mprotect { start: page(0), len: pages(8), prot }).await.expect("right");
                let to = page(40 + u64::from(round % 2) * 20);
                let from = if round % 2 == 0 { page(8) } else { page(40) };
                let to = if round % 2 == 0 { to } else { page(8) };
                let _ = remap(task, from, pages(8), pages(8), Some(to)).await;
            }
        });
    })
}

/// Memory that parent and child share goes to swap and comes back, while it is discarded, the swap area taken off, and both end.
pub(crate) fn shared_memory_goes_to_swap(seed: u64) -> Marks {
    short_of_memory(seed, 64, [3, 16][(seed % 2) as usize], |kernel| {
        let over = Rc::new(Cell::new(0));
        let ended = Rc::clone(&over);
        process(kernel, 0, 1, async move |task: &Task| {
            for round in 0..3_u32 {
                map_shared(task, 0, 6).await;
                assert!(store_all(task, 0, 6).await);
                let last = Rc::clone(&ended);
                fork(task, 1, 10 + round, async move |task: &Task| {
                    for n in 0..12 {
                        call(
                            task,
                            Call::Madvise { start: page(n % 6), len: pages(1), advice: AdviceCall::WillNeed },
                        )
                        .await
                        .expect("right");
                        load(task, page(n % 6)).await;
                        store(task, page(n % 5)).await;
                    }
                    last.set(last.get() + 1);
                })
                .await;
                for n in 0..12 {
                    store(task, page(n % 6)).await;
                    if n % 4 == 0 {
                        call(task, discard(page(n % 6), pages(2))).await.expect("right");
                    }
                }
                call(task, Call::Munmap { start: page(0), len: pages(6) }).await.expect("right");
            }
            ended.set(ended.get() + 1);
        });
        process(kernel, 2, 2, async move |task: &Task| {
            while over.get() < 4 {
                call(task, Call::Reclaim { pages: 6 }).await.expect("right");
                if over.get() == 1 && call(task, Call::Swapoff { area: 0 }).await.is_ok() {
                    call(task, Call::Swapon { area: 0 }).await.expect("it was taken off");
                }
            }
        });
    })
}

/// Memory is full of pages that could go to swap only, and look as if they could go anywhere, when the area is to be taken off.
pub(crate) fn swapoff_finds_no_memory(seed: u64) -> Marks {
    short_of_memory(seed, 64, 16, |kernel| {
        process(kernel, 0, 1, async |task: &Task| {
            map_shared(task, 0, 100).await;
            let mut stored = 0;
            while task.kernel().swap.nr_swap_pages() > 0 {
                assert!(store(task, page(stored)).await);
                stored += 1;
            }
            assert_eq!(call(task, Call::Swapoff { area: 0 }).await, Err(Errno::Enomem));
            assert!(load_all(task, 0, stored).await, "the area is in use as before");
        });
    })
}

/// Memory is out for somebody else while a swapoff brings everything back.
pub(crate) fn swapoff_is_in_the_way(seed: u64) -> Marks {
    short_of_memory(seed, 64, 16, |kernel| {
        process(kernel, 0, 1, async |task: &Task| {
            map(task, 0, 100).await;
            assert!(store_all(task, 0, 60).await);
            call(task, discard(page(0), pages(24))).await.expect("right");
            thread(task, 1, 10, async |task: &Task| assert!(store_all(task, 60, 30).await)).await;
            call(task, Call::Swapoff { area: 0 }).await.ok();
        });
    })
}

/// What is in swap is wanted back, while the memory that is left goes to pages that swap has no room for.
pub(crate) fn swapped_pages_find_no_memory(seed: u64) -> Marks {
    short_of_memory(seed, 64, 16, |kernel| {
        process(kernel, 0, 1, async |task: &Task| {
            map(task, 0, 8).await;
            map_shared(task, 100, 100).await;
            assert!(store_all(task, 0, 8).await);
            while task.kernel().stat.pswpout.get() < 8 {
                call(task, Call::Reclaim { pages: 8 }).await.expect("right");
            }
            thread(task, 1, 10, async |task: &Task| assert!(store_all(task, 100, 100).await)).await;
            thread(task, 2, 11, async |task: &Task| {
                while task.kernel().swap.nr_swap_pages() > 0 {
                    assert!(load(task, page(0)).await);
                }
                assert!(load_all(task, 0, 8).await);
            })
            .await;
        });
    })
}

#[test]
fn shared_memory_comes_back_from_swap_for_everybody_and_by_swapoff() {
    let setup = small(3, 64, 32);
    let kernel = setup.run(|kernel| {
        process(kernel, 0, 1, async |task: &Task| {
            map_shared(task, 0, 8).await;
            assert!(store_all(task, 0, 8).await);
            fork(task, 1, 2, async |task: &Task| assert!(load_all(task, 0, 8).await)).await;
            for round in 1..3 {
                let swap = &task.kernel().swap;
                while task.kernel().stat.pswpout.get() < round * 8 {
                    call(task, Call::Reclaim { pages: 8 }).await.expect("right");
                }
                assert!(load_all(task, 0, 4).await);
                call(task, Call::Swapoff { area: 0 }).await.expect("memory has room");
                assert_eq!(swap.inuse_pages(0), 0);
                assert!(load_all(task, 0, 8).await);
                call(task, Call::Swapon { area: 0 }).await.expect("it was taken off");
            }
        });
    });
    let stat = &kernel.stat;
    assert!(stat.pswpout.get() >= 8, "{} pages went to swap", stat.pswpout.get());
    assert!(stat.fault_swap_major.get() >= 1, "{} major faults", stat.fault_swap_major.get());
    assert_eq!(kernel.drop_everything(), []);
}

/// The frames of all pages on the LRU lists, in order.
fn movable(kernel: &Kernel) -> Vec<Pfn> {
    let memory = &kernel.zone.memory;
    let lists = kernel.zone.observe_lru();
    let mut frames: Vec<Pfn> = lists
        .iter()
        .flat_map(|lru| LruList::ALL.into_iter().flat_map(|list| lru.pages(memory, list)))
        .collect();
    frames.sort_unstable();
    frames
}

#[test]
fn compaction_brings_the_free_frames_of_a_fragmented_zone_together() {
    let setup = Setup { schedule: Schedule::Timed, ..small(1, 256, 8) };
    let kernel = setup.run(|kernel| {
        process(kernel, 0, 1, async |task: &Task| {
            let kernel = task.kernel();
            map(task, 0, 100).await;
            assert!(store_all(task, 0, 100).await);
            for number in (0..100).step_by(2) {
                call(task, discard(page(number), pages(1))).await.expect("right");
            }
            let moved = call(task, Call::CompactMemory).await.expect("right");
            let frames = movable(kernel);
            assert_eq!(frames.len(), 50, "none is lost");
            assert!(moved >= 50, "{moved} pages have moved");
            // One after the other, at the top of what has ever been in use.
            let span = frames[49].0 - frames[0].0;
            assert!(span < 60, "50 pages lie in {span} frames: {frames:?}");
            for number in (1..100).step_by(2) {
                assert!(load(task, page(number)).await, "with what was stored in it");
            }
        });
    });
    assert!(kernel.stat.compact_stall.get() == 1 && kernel.stat.pgmigrate_success.get() >= 50);
}
