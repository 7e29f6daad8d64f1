//! Mappings of files, seen by one program at a time: what faults do, what is counted, what is left.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_kernel::{Call, Kernel, KernelConfig, MapRequest, Prot, Signal, Task, VmaKind, run_program};
use pagewalk_mmu::{AccessKind, Vaddr};

use crate::common::{
    READ, Setup, access, call, discard, fork, load, load_all, page, pages, process, remap, store, store_all,
};
use crate::file_common::{map_file, open, read_pages, write_pages};

/// Runs one program on a machine of its own.
fn alone(body: impl AsyncFnOnce(&Task) + 'static) -> Rc<Kernel> {
    on(&Setup::default(), body)
}

fn on(setup: &Setup, body: impl AsyncFnOnce(&Task) + 'static) -> Rc<Kernel> {
    setup.run(|kernel| process(kernel, 0, 1, body))
}

#[test]
fn a_first_touch_reads_around_it_and_later_ones_find_the_page_cached() {
    let kernel = alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 40);
        map_file(task, &file, (0, 40), 0, READ, false).await;
        assert!(load_all(task, 20, 1).await);
        let stat = &task.kernel().stat;
        assert_eq!((stat.pgmajfault.get(), stat.fault_file_minor.get()), (1, 0));
        assert!(load_all(task, 4, 32).await, "16 pages before it and 16 from it on were read with it");
        assert_eq!((stat.pgmajfault.get(), stat.fault_file_minor.get()), (1, 31));
        assert!(load_all(task, 0, 40).await);
        assert_eq!(stat.pgmajfault.get(), 3, "what is around the last page was not read for the first");
        assert_eq!(stat.nr_mapped.get(), 40);
        assert_eq!(task.counters().maj_flt.get(), 3);
    });
    assert_eq!(kernel.disk_stat().pages_read.get(), 40);
    assert_eq!((kernel.stat.nr_mapped.get(), kernel.stat.nr_anon_pages.get()), (0, 0));
}

#[test]
fn a_private_store_copies_the_page_and_the_file_keeps_its_contents() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 4);
        map_file(task, &file, (0, 4), 0, Prot::RW, false).await;
        let stat = &task.kernel().stat;
        assert!(load(task, page(0)).await && store(task, page(0)).await);
        assert_eq!((stat.fault_cow_copied.get(), stat.nr_anon_pages.get(), stat.nr_mapped.get()), (1, 1, 0));
        assert!(store(task, page(1)).await);
        assert_eq!(
            (stat.fault_cow_copied.get(), stat.nr_anon_pages.get()),
            (1, 2),
            "copied as it was mapped"
        );
        assert!(store(task, page(0)).await && store(task, page(1)).await && load_all(task, 0, 4).await);
        write_pages(task, &file, 0, 4).await;
        assert!(load_all(task, 0, 4).await, "two pages follow the file, two do not");
        assert_eq!(read_pages(task, &file, 0, 4).await, pages(4));
        assert_eq!(call(task, discard(page(0), pages(4))).await, Ok(0));
        assert!(load_all(task, 0, 4).await, "all follow the file again");
    });
}

#[test]
fn shared_stores_are_seen_by_every_mapping_and_by_read_and_reach_the_disk() {
    let kernel = alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 4);
        map_file(task, &file, (0, 4), 0, Prot::RW, true).await;
        map_file(task, &file, (8, 2), 1, Prot::RW, true).await;
        let stat = &task.kernel().stat;
        for number in [0, 1, 8, 1, 9, 2] {
            assert!(store(task, page(number)).await);
        }
        assert_eq!(stat.fault_file_minor.get() + stat.pgmajfault.get(), 5);
        assert!(load_all(task, 0, 4).await && load_all(task, 8, 2).await);
        assert_eq!(read_pages(task, &file, 0, 4).await, pages(4));
        assert_eq!(call(task, Call::Fsync { file: Rc::clone(&file) }).await, Ok(0));
        assert_eq!(task.kernel().disk_stat().pages_written.get(), 3);
        // Cleaned pages are read-only: the next store is noticed, once for each mapping.
        let before = stat.fault_permission.get();
        for number in [0, 1, 8, 0, 1, 8] {
            assert!(store(task, page(number)).await);
        }
        assert_eq!(stat.fault_permission.get() - before, 3);
        assert_eq!(call(task, Call::Fsync { file: Rc::clone(&file) }).await, Ok(0));
        assert_eq!(call(task, Call::Munmap { start: page(0), len: pages(10) }).await, Ok(0));
        assert_eq!(call(task, Call::DropCaches).await, Ok(4));
        assert_eq!(read_pages(task, &file, 0, 4).await, pages(4), "from the disk");
    });
    assert_eq!(kernel.disk_stat().pages_written.get(), 5);
}

#[test]
fn a_page_first_loaded_and_then_stored_to_faults_twice_so_that_the_store_is_noticed() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 1);
        map_file(task, &file, (0, 1), 0, Prot::RW, true).await;
        let stat = &task.kernel().stat;
        assert!(load(task, page(0)).await && store(task, page(0)).await && store(task, page(0)).await);
        assert_eq!((stat.pgmajfault.get(), stat.fault_permission.get()), (1, 1));
        assert_eq!(call(task, Call::Munmap { start: page(0), len: pages(1) }).await, Ok(0));
        assert_eq!(call(task, Call::Fsync { file: Rc::clone(&file) }).await, Ok(0));
        assert_eq!(task.kernel().disk_stat().pages_written.get(), 1, "the PTE's dirty bit was not lost");
    });
}

#[test]
fn beyond_the_end_of_a_file_there_is_a_bus_error_and_not_before() {
    let kernel = alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 3);
        map_file(task, &file, (0, 6), 0, Prot::RW, true).await;
        for number in 0..6 {
            let wrong = run_program(task, &[access(page(number), AccessKind::Store)]).await;
            assert_eq!(wrong.map(|segv| segv.signal), (number >= 3).then_some(Signal::Bus), "page {number}");
        }
        // Half a page is a page.
        assert_eq!(call(task, Call::Truncate { file: Rc::clone(&file), size: pages(1) + 1 }).await, Ok(0));
        for number in 0..6 {
            assert_eq!(load(task, page(number)).await, number < 2, "page {number}");
        }
        assert_eq!(call(task, Call::Truncate { file: Rc::clone(&file), size: pages(5) }).await, Ok(0));
        for number in 0..6 {
            assert_eq!(load(task, page(number)).await, number < 5, "page {number}");
        }
        assert!(!load(task, page(7)).await);
    });
    assert_eq!((kernel.stat.sigbus.get(), kernel.stat.sigsegv.get()), (3 + 4 + 1, 1));
}

#[test]
fn truncation_takes_private_copies_along() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 4);
        map_file(task, &file, (0, 4), 0, Prot::RW, false).await;
        for number in 0..4 {
            assert!(store(task, page(number)).await);
        }
        assert_eq!(call(task, Call::Truncate { file: Rc::clone(&file), size: pages(2) }).await, Ok(0));
        assert_eq!(task.kernel().stat.nr_anon_pages.get(), 2);
        assert!(!load(task, page(2)).await && load(task, page(1)).await);
        assert_eq!(call(task, Call::Truncate { file: Rc::clone(&file), size: pages(4) }).await, Ok(0));
        assert!(load_all(task, 0, 4).await, "zeroes where it was cut, the copies where it was not");
    });
}

#[test]
fn a_child_has_the_private_copies_and_finds_the_rest_in_the_file() {
    let kernel = alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 4);
        map_file(task, &file, (0, 4), 0, Prot::RW, false).await;
        map_file(task, &file, (8, 4), 0, Prot::RW, true).await;
        assert!(load_all(task, 0, 4).await && store(task, page(1)).await && store(task, page(8)).await);
        let of_child = Rc::clone(&file);
        fork(task, 0, 2, async move |task: &Task| {
            let stat = &task.kernel().stat;
            let before = stat.pgfault.get();
            assert!(load_all(task, 0, 4).await);
            assert_eq!(stat.pgfault.get(), before, "an area with copies is copied whole");
            assert!(load(task, page(8)).await);
            assert_eq!(stat.pgfault.get(), before + 1, "a shared one is not");
            assert!(store(task, page(1)).await && store(task, page(2)).await && store(task, page(8)).await);
            write_pages(task, &of_child, 3, 1).await;
            assert!(load_all(task, 0, 4).await && load_all(task, 8, 4).await);
        })
        .await;
        task.yield_cpu().await;
        assert!(store(task, page(1)).await && load_all(task, 0, 4).await && load_all(task, 8, 4).await);
        assert_eq!(read_pages(task, &file, 0, 4).await, pages(4));
    });
    assert_eq!(kernel.stat.forks.get(), 1);
}

#[test]
fn shared_anonymous_memory_is_shared_with_children_and_goes_with_its_last_area() {
    alone(async |task: &Task| {
        let request = MapRequest {
            address: Some(page(0)),
            len: pages(3),
            prot: Prot::RW,
            kind: VmaKind::Anonymous,
            shared: true,
            pgoff: 0,
        };
        assert_eq!(call(task, Call::Mmap(request)).await, Ok(page(0).0));
        assert!(load(task, page(1)).await && store(task, page(0)).await && store(task, page(1)).await);
        let stat = &task.kernel().stat;
        assert_eq!(
            (stat.fault_file_minor.get(), stat.fault_permission.get()),
            (2, 0),
            "nobody wants to know of stores"
        );
        let done = Rc::new(Cell::new(false));
        let child = Rc::clone(&done);
        fork(task, 0, 2, async move |task: &Task| {
            assert!(load_all(task, 0, 3).await && store(task, page(0)).await && store(task, page(2)).await);
            child.set(true);
        })
        .await;
        while !done.get() {
            task.yield_cpu().await;
        }
        assert!(load_all(task, 0, 3).await, "what the child stored");
        let free = task.kernel().zone.free_frames();
        assert_eq!(call(task, Call::Munmap { start: page(0), len: pages(3) }).await, Ok(0));
        assert!(task.kernel().zone.free_frames() >= free, "the child is about to end, or has");
    });
}

#[test]
fn protection_of_a_shared_mapping_comes_and_goes_without_losing_a_store() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 2);
        map_file(task, &file, (0, 2), 0, Prot::RW, true).await;
        assert!(store(task, page(0)).await && load(task, page(1)).await);
        assert_eq!(call(task, Call::Mprotect { start: page(0), len: pages(2), prot: READ }).await, Ok(0));
        assert!(!store(task, page(0)).await && load(task, page(0)).await);
        assert_eq!(call(task, Call::Mprotect { start: page(0), len: pages(2), prot: Prot::RW }).await, Ok(0));
        let stat = &task.kernel().stat;
        let before = stat.fault_permission.get();
        assert!(store(task, page(0)).await, "dirty already: nobody has to be told");
        assert_eq!(stat.fault_permission.get(), before);
        assert!(store(task, page(1)).await);
        assert_eq!(stat.fault_permission.get(), before + 1);
        assert_eq!(call(task, Call::Mprotect { start: page(0), len: pages(2), prot: READ }).await, Ok(0));
        assert_eq!(call(task, Call::Fsync { file: Rc::clone(&file) }).await, Ok(0));
        assert_eq!(task.kernel().disk_stat().pages_written.get(), 2);
    });
}

#[test]
fn a_mapping_that_moves_keeps_its_place_in_the_file() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 6);
        map_file(task, &file, (0, 4), 1, Prot::RW, true).await;
        map_file(task, &file, (4, 2), 0, Prot::RW, false).await;
        for number in [0, 1, 4] {
            assert!(store(task, page(number)).await);
        }
        assert_eq!(remap(task, page(0), pages(4), pages(5), Some(page(20))).await, Ok(page(20)));
        assert_eq!(remap(task, page(4), pages(2), pages(2), Some(page(30))).await, Ok(page(30)));
        assert!(load_all(task, 20, 5).await && load_all(task, 30, 2).await && !load(task, page(0)).await);
        write_pages(task, &file, 0, 6).await;
        assert!(load_all(task, 20, 5).await && load_all(task, 30, 2).await);
        assert_eq!(call(task, Call::Truncate { file: Rc::clone(&file), size: pages(2) }).await, Ok(0));
        assert!(load(task, page(20)).await && !load(task, page(21)).await, "found at its new place");
    });
}

#[test]
fn faults_around_map_what_is_cached_in_the_aligned_block() {
    let config = KernelConfig { fault_around_pages: 16, ..KernelConfig::default() };
    on(&Setup { config, ..Setup::default() }, async |task: &Task| {
        let file = open(task.kernel(), "/data", 40);
        assert_eq!(read_pages(task, &file, 0, 40).await, pages(40));
        // Page 0 of the tests is six pages before the end of a block.
        map_file(task, &file, (0, 40), 0, Prot::RW, true).await;
        let stat = &task.kernel().stat;
        assert!(load(task, page(3)).await);
        assert_eq!((stat.nr_mapped.get(), stat.fault_file_minor.get()), (6, 1));
        assert!(load(task, page(6)).await && load_all(task, 0, 22).await);
        assert_eq!((stat.nr_mapped.get(), stat.fault_file_minor.get()), (22, 2));
        assert!(store(task, page(30)).await);
        assert_eq!((stat.nr_mapped.get(), stat.fault_file_minor.get()), (23, 3), "stores map one page");
        assert!(store(task, page(0)).await);
        assert_eq!(stat.fault_permission.get(), 1);
    });
}

#[test]
fn addresses_of_one_file_merge_into_one_area_only_where_its_pages_follow() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 9);
        let areas = |task: &Task| -> Vec<(Vaddr, u64, String)> {
            let mm = task.mm();
            let areas = mm.observe_areas();
            areas.iter().map(|vma| (vma.range.start(), vma.pgoff, vma.label().to_owned())).collect()
        };
        map_file(task, &file, (0, 2), 3, READ, true).await;
        map_file(task, &file, (2, 2), 5, READ, true).await;
        let path = "/data".to_owned();
        assert_eq!(areas(task), [(page(0), 3, path.clone())]);
        map_file(task, &file, (4, 1), 0, READ, true).await;
        map_file(task, &file, (5, 1), 1, READ, false).await;
        map_file(task, &open(task.kernel(), "/data", 9), (6, 1), 2, READ, false).await;
        let starts: Vec<_> = areas(task).into_iter().map(|(start, pgoff, _)| (start, pgoff)).collect();
        assert_eq!(starts, [(page(0), 3), (page(4), 0), (page(5), 1), (page(6), 2)]);
        assert_eq!(call(task, Call::Munmap { start: page(1), len: pages(1) }).await, Ok(0));
        let starts: Vec<_> = areas(task).into_iter().map(|(start, pgoff, _)| (start, pgoff)).collect();
        assert_eq!(starts[..2], [(page(0), 3), (page(2), 5)]);
    });
}

#[test]
fn a_hole_takes_the_private_copies_of_its_pages_with_it() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 3);
        map_file(task, &file, (0, 3), 0, Prot::RW, false).await;
        assert!(store_all(task, 0, 3).await);
        assert_eq!(task.kernel().stat.nr_anon_pages.get(), 3);
        call(task, Call::PunchHole { file: Rc::clone(&file), offset: pages(1), len: pages(1) })
            .await
            .expect("the call is right");
        assert_eq!(task.kernel().stat.nr_anon_pages.get(), 2);
        assert!(load_all(task, 0, 3).await, "zeros, where the hole is");
    });
}
