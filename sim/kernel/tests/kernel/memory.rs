//! Frames and page tables: where they come from, when they go back, and what happens when there are none.

use std::rc::Rc;

use pagewalk_engine::{Schedule, Stop};
use pagewalk_kernel::{Call, Kernel, Task};
use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr};

use crate::common::{
    Gate, Setup, call, fixed, load, load_all, map, page, pages, process, store, store_all, thread,
};
use pagewalk_kernel::{Errno, Prot};

/// A program that touches more pages than the machine has frames.
fn too_much(kernel: &Rc<Kernel>) {
    process(kernel, 0, 10, async |task: &Task| {
        map(task, 0, 400).await;
        store_all(task, 0, 400).await;
        panic!("there is not so much memory");
    });
}

#[test]
fn a_run_without_a_free_frame_ends_with_a_report_and_no_violation() {
    for schedule in [Schedule::Timed, Schedule::Random] {
        let kernel = Setup { frames: 128, schedule, ..Setup::default() }.boot();
        too_much(&kernel);
        assert_eq!(kernel.engine.run(), Stop::Stopped("out of memory".to_owned()));
        assert_eq!(kernel.engine.violations(), []);
        let report = kernel.oom().expect("a report");
        assert_eq!((report.purpose, report.frames), ("anonymous memory", 128));
        // Every frame but frame 0 is a page or a table: nothing was given up early.
        assert_eq!(report.anon_pages + report.page_table_pages, 127);
        assert_eq!(kernel.zone.free_frames(), 0);
    }
}

#[test]
fn frames_on_the_lists_of_other_cpus_are_used_before_memory_is_out() {
    for seed in 0..24 {
        let schedule = if seed == 0 { Schedule::Timed } else { Schedule::Random };
        let setup = Setup { cpus: 4, frames: 256, schedule, seed, pcp: (16, 64), ..Setup::default() };
        let kernel = setup.boot();
        process(&kernel, 0, 10, async |task: &Task| {
            map(task, 0, 120).await;
            let ended = Gate::new();
            for number in 1..4 {
                let ended = Rc::clone(&ended);
                thread(task, number, 10 + u32::from(number), async move |task: &Task| {
                    let first = u64::from(number) * 30;
                    assert!(store_all(task, first, 30).await);
                    call(task, Call::Munmap { start: page(first), len: pages(30) }).await.unwrap();
                    ended.open(task);
                })
                .await;
            }
            ended.wait(task, 3).await;
            let kept: u32 = task.kernel().zone.free_frames();
            map(task, 0, 400).await;
            assert!(store_all(task, 0, u64::from(kept) - 4).await, "with every list in use");
            store_all(task, 0, 400).await;
            panic!("there is not so much memory");
        });
        assert_eq!(kernel.engine.run(), Stop::Stopped("out of memory".to_owned()), "seed {seed}");
        assert_eq!(kernel.engine.violations(), [], "seed {seed}");
        assert_eq!(kernel.zone.free_frames(), 0, "seed {seed}");
    }
}

#[test]
fn a_page_that_comes_back_from_the_allocator_is_zero_whatever_it_held() {
    Setup { frames: 64, ..Setup::default() }.run(|kernel| {
        process(kernel, 0, 10, async |task: &Task| {
            for _ in 0..8 {
                map(task, 0, 40).await;
                assert!(load_all(task, 0, 40).await && store_all(task, 0, 40).await);
                call(task, Call::Munmap { start: page(0), len: pages(40) }).await.unwrap();
            }
        });
    });
}

#[test]
fn exec_frees_the_old_space_at_once() {
    Setup::default().run(|kernel| {
        process(kernel, 0, 10, async |task: &Task| {
            let free = task.kernel().zone.free_frames();
            map(task, 0, 20).await;
            assert!(store_all(task, 0, 20).await);
            let old = task.mm().id();
            call(task, Call::Execve).await.unwrap();
            assert_ne!(task.mm().id(), old);
            assert_eq!(task.kernel().zone.free_frames(), free, "one empty space, as before");
            assert_eq!(task.kernel().stat.nr_anon_pages.get(), 0);
            assert!(!load(task, page(0)).await, "nothing is mapped");
        });
    });
}

#[test]
fn exec_of_one_thread_leaves_the_space_to_the_others() {
    Setup { cpus: 2, ..Setup::default() }.run(|kernel| {
        process(kernel, 0, 10, async |task: &Task| {
            map(task, 0, 4).await;
            assert!(store_all(task, 0, 4).await);
            let go = Gate::new();
            let begun = Rc::clone(&go);
            thread(task, 1, 11, async move |task: &Task| {
                begun.wait(task, 1).await;
                assert!(load_all(task, 0, 4).await);
            })
            .await;
            call(task, Call::Execve).await.unwrap();
            assert_eq!(task.kernel().stat.nr_anon_pages.get(), 4);
            go.open(task);
        });
    });
}

/// Tables in use.
fn tables(task: &Task) -> u64 {
    task.kernel().stat.nr_page_table_pages.get()
}

#[test]
fn tables_go_when_they_are_empty_and_shared_ones_stay() {
    Setup::default().run(|kernel| {
        process(kernel, 0, 10, async |task: &Task| {
            // Pages 0 to 5 have another table of PTEs than 6 and above, under another table of level 2.
            map(task, 0, 12).await;
            assert_eq!(tables(task), 1);
            assert!(store_all(task, 0, 6).await);
            assert_eq!(tables(task), 4);
            assert!(store_all(task, 6, 6).await);
            assert_eq!(tables(task), 6);
            call(task, Call::Munmap { start: page(0), len: pages(3) }).await.unwrap();
            call(task, Call::Munmap { start: page(9), len: pages(3) }).await.unwrap();
            assert_eq!(tables(task), 6, "neighbours are left in each");
            call(task, Call::Munmap { start: page(3), len: pages(3) }).await.unwrap();
            assert_eq!(tables(task), 4);
            assert!(load_all(task, 6, 3).await);
            task.kernel().check_machine();
            call(task, Call::Munmap { start: page(6), len: pages(3) }).await.unwrap();
            assert_eq!(tables(task), 1);
        });
    });
}

#[test]
fn a_gap_between_areas_keeps_the_table_they_share() {
    Setup::default().run(|kernel| {
        process(kernel, 0, 10, async |task: &Task| {
            for number in [10, 14, 18] {
                map(task, number, 1).await;
                assert!(store(task, page(number)).await);
            }
            assert_eq!(tables(task), 4);
            call(task, Call::Munmap { start: page(12), len: pages(4) }).await.unwrap();
            assert_eq!(tables(task), 4);
            assert!(load(task, page(10)).await && load(task, page(18)).await && !load(task, page(14)).await);
            call(task, Call::Munmap { start: page(10), len: pages(9) }).await.unwrap();
            assert_eq!(tables(task), 1);
        });
    });
}

#[test]
fn five_levels_reach_further_with_one_table_more() {
    let far = Vaddr(1 << 52);
    Setup { levels: 5, ..Setup::default() }.run(|kernel| {
        process(kernel, 0, 10, async move |task: &Task| {
            assert_eq!(call(task, Call::Mmap(fixed(far, 4, Prot::RW))).await, Ok(far.0));
            assert!(store(task, far).await && load(task, Vaddr(far.0 + BASE_PAGE_BYTES)).await);
            assert_eq!(tables(task), 5);
            map(task, 0, 1).await;
            assert!(store(task, page(0)).await);
            assert_eq!(tables(task), 9);
            call(task, Call::Munmap { start: far, len: pages(4) }).await.unwrap();
            assert_eq!(tables(task), 5);
        });
    });
    Setup::default().run(|kernel| {
        process(kernel, 0, 10, async move |task: &Task| {
            assert_eq!(call(task, Call::Mmap(fixed(far, 4, Prot::RW))).await, Err(Errno::Enomem));
            assert!(!load(task, far).await);
        });
    });
}
