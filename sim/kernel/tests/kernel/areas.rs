//! Areas: splitting and merging, the heap, `mremap`, and every refusal.

use pagewalk_kernel::{Call, Errno, MapRequest, Prot, Task, VmaKind};
use pagewalk_mmu::Vaddr;

use crate::common::{
    BASE, NONE, READ, Setup, call, discard, fixed, fork, load, load_all, map, page, pages, process, remap,
    store, store_all,
};

fn alone(body: impl AsyncFnOnce(&Task) + 'static) {
    Setup::default().run(|kernel| process(kernel, 0, 10, body));
}

/// The areas: first page from [`BASE`], pages, whether stores are allowed.
fn areas(task: &Task) -> Vec<(u64, u64, bool)> {
    let mm = task.mm();
    let areas = mm.observe_areas();
    let number = |address: Vaddr| (address.0 - BASE.0) / pages(1);
    areas.iter().map(|vma| (number(vma.range.start()), vma.range.len() / pages(1), vma.prot.write)).collect()
}

#[test]
fn neighbours_that_are_alike_are_one_area() {
    alone(async |task: &Task| {
        map(task, 0, 4).await;
        map(task, 8, 4).await;
        assert_eq!(areas(task), [(0, 4, true), (8, 4, true)]);
        map(task, 4, 4).await;
        assert_eq!(areas(task), [(0, 12, true)]);
        call(task, Call::Mmap(fixed(page(12), 2, READ))).await.unwrap();
        assert_eq!(areas(task), [(0, 12, true), (12, 2, false)]);
        let stack = MapRequest { kind: VmaKind::Stack, ..fixed(page(14), 2, READ) };
        call(task, Call::Mmap(stack)).await.unwrap();
        assert_eq!(areas(task).len(), 3);
        assert_eq!(task.mm().observe_areas().pages(), 16);
    });
}

#[test]
fn areas_whose_pages_have_different_reverse_mappings_stay_apart() {
    alone(async |task: &Task| {
        map(task, 0, 4).await;
        map(task, 8, 4).await;
        assert!(store(task, page(0)).await && store(task, page(8)).await);
        map(task, 4, 4).await;
        // The new one joins the first; the first and the last each have their own.
        assert_eq!(areas(task), [(0, 8, true), (8, 4, true)]);
        task.kernel().check_machine();
    });
}

#[test]
fn an_area_touched_first_beside_a_like_one_shares_its_reverse_mapping() {
    alone(async |task: &Task| {
        map(task, 0, 8).await;
        call(task, Call::Mprotect { start: page(4), len: pages(4), prot: READ }).await.unwrap();
        assert!(store(task, page(0)).await && load(task, page(5)).await);
        call(task, Call::Mprotect { start: page(4), len: pages(4), prot: Prot::RW }).await.unwrap();
        // Touched apart, while unlike: they do not become one.
        assert_eq!(areas(task).len(), 2);
        call(task, Call::Munmap { start: page(4), len: pages(4) }).await.unwrap();
        map(task, 4, 4).await;
        assert_eq!(areas(task), [(0, 8, true)]);
        assert!(store(task, page(5)).await);
        task.kernel().check_machine();
    });
}

#[test]
fn mprotect_and_munmap_split_and_mprotect_back_merges() {
    alone(async |task: &Task| {
        map(task, 0, 12).await;
        assert!(store_all(task, 0, 12).await);
        call(task, Call::Mprotect { start: page(4), len: pages(4), prot: READ }).await.unwrap();
        assert_eq!(areas(task), [(0, 4, true), (4, 4, false), (8, 4, true)]);
        call(task, Call::Mprotect { start: page(4), len: pages(4), prot: READ }).await.unwrap();
        assert_eq!(areas(task).len(), 3, "nothing changes");
        call(task, Call::Mprotect { start: page(2), len: pages(8), prot: Prot::RW }).await.unwrap();
        assert_eq!(areas(task), [(0, 12, true)]);
        call(task, Call::Munmap { start: page(3), len: pages(2) }).await.unwrap();
        assert_eq!(areas(task), [(0, 3, true), (5, 7, true)]);
        task.kernel().check_machine();
        assert!(load_all(task, 0, 3).await && load_all(task, 5, 7).await);
    });
}

#[test]
fn a_mapping_without_an_address_goes_to_the_highest_gap_that_is_large_enough() {
    alone(async |task: &Task| {
        let anywhere = |count| MapRequest { address: None, ..fixed(BASE, count, Prot::RW) };
        let end = task.kernel().hw.format().user_end();
        let at = |count| Vaddr(end.0 - pages(count));
        assert_eq!(call(task, Call::Mmap(anywhere(4))).await, Ok(at(4).0));
        assert_eq!(call(task, Call::Mmap(anywhere(2))).await, Ok(at(6).0));
        call(task, Call::Munmap { start: at(4), len: pages(3) }).await.unwrap();
        assert_eq!(call(task, Call::Mmap(anywhere(4))).await, Ok(at(10).0));
        assert_eq!(call(task, Call::Mmap(anywhere(3))).await, Ok(at(4).0));
        assert!(store(task, at(4)).await);
        let all = MapRequest { address: None, len: end.0, ..fixed(BASE, 1, Prot::RW) };
        assert_eq!(call(task, Call::Mmap(all)).await, Err(Errno::Enomem));
    });
}

#[test]
fn the_heap_grows_with_zeroes_and_shrinks_for_good() {
    alone(async |task: &Task| {
        call(task, Call::Brk { end: page(0) }).await.unwrap();
        assert_eq!(areas(task), []);
        call(task, Call::Brk { end: Vaddr(page(3).0 + 1) }).await.unwrap();
        assert_eq!(areas(task), [(0, 4, true)]);
        assert!(store_all(task, 0, 4).await && !store(task, page(4)).await);
        call(task, Call::Brk { end: page(1) }).await.unwrap();
        assert!(load(task, page(0)).await && !load(task, page(1)).await);
        call(task, Call::Brk { end: page(6) }).await.unwrap();
        assert_eq!(areas(task), [(0, 6, true)]);
        assert!(load_all(task, 0, 6).await, "the oracle expects zeroes in what was given back");
        map(task, 7, 1).await;
        assert_eq!(call(task, Call::Brk { end: page(9) }).await, Err(Errno::Enomem));
        assert_eq!(
            call(task, Call::Brk { end: Vaddr(BASE.0 - 1) }).await,
            Ok(0),
            "rounded up to the beginning"
        );
        assert_eq!(call(task, Call::Brk { end: Vaddr(BASE.0 - pages(1)) }).await, Err(Errno::Einval));
        let end = task.kernel().hw.format().user_end();
        for beyond in [Vaddr(end.0 + 1), Vaddr(u64::MAX), Vaddr(0)] {
            assert_eq!(call(task, Call::Brk { end: beyond }).await, Err(Errno::Einval));
        }
    });
}

#[test]
fn a_child_has_the_heap_of_its_parent() {
    alone(async |task: &Task| {
        call(task, Call::Brk { end: page(0) }).await.unwrap();
        call(task, Call::Brk { end: page(2) }).await.unwrap();
        assert!(store_all(task, 0, 2).await);
        fork(task, 0, 20, async |task: &Task| {
            call(task, Call::Brk { end: page(4) }).await.unwrap();
            assert!(load_all(task, 0, 4).await && store_all(task, 0, 4).await);
        })
        .await;
        assert!(!load(task, page(2)).await);
    });
}

#[test]
fn mremap_grows_in_place_where_it_can_and_moves_where_it_must() {
    alone(async |task: &Task| {
        map(task, 0, 4).await;
        assert!(store_all(task, 0, 4).await);
        assert_eq!(remap(task, page(0), pages(4), pages(6), None).await, Ok(page(0)));
        assert_eq!(areas(task), [(0, 6, true)]);
        assert!(load_all(task, 0, 6).await);
        map(task, 8, 2).await;
        assert_eq!(remap(task, page(0), pages(6), pages(8), None).await, Ok(page(0)), "just enough room");
        assert!(store_all(task, 0, 8).await);
        let faults = task.kernel().stat.pgfault.get();
        let moved = remap(task, page(0), pages(8), pages(9), None).await.unwrap();
        assert!(moved > page(10));
        assert!(load(task, moved).await && !load(task, page(0)).await);
        assert_eq!(task.kernel().stat.pgfault.get(), faults, "pages move with their contents");
        // The middle of an area cannot grow where it is.
        let middle = remap(task, moved, pages(2), pages(3), None).await.unwrap();
        assert_ne!(middle, moved);
        assert!(!load(task, moved).await && load(task, Vaddr(moved.0 + pages(2))).await);
        task.kernel().check_machine();
    });
}

#[test]
fn mremap_shrinks_and_moves_over_what_is_there() {
    alone(async |task: &Task| {
        map(task, 0, 8).await;
        assert!(store_all(task, 0, 8).await);
        assert_eq!(remap(task, page(0), pages(8), pages(8), None).await, Ok(page(0)));
        assert_eq!(remap(task, page(0), pages(8), pages(5), None).await, Ok(page(0)));
        assert_eq!(areas(task), [(0, 5, true)]);
        map(task, 20, 8).await;
        assert!(store_all(task, 20, 8).await);
        assert_eq!(remap(task, page(1), pages(4), pages(2), Some(page(22))).await, Ok(page(22)));
        assert!(load_all(task, 20, 8).await && load(task, page(0)).await && !load(task, page(1)).await);
        assert_eq!(task.mm().observe_areas().pages(), 9);
        task.kernel().check_machine();
    });
}

#[test]
fn moved_pages_are_found_through_the_reverse_mapping_also_after_fork() {
    alone(async |task: &Task| {
        map(task, 0, 8).await;
        assert!(store_all(task, 0, 8).await);
        fork(task, 0, 20, async |task: &Task| {
            remap(task, page(2), pages(4), pages(4), Some(page(700))).await.unwrap();
            map(task, 2, 4).await;
            assert!(store_all(task, 2, 3).await);
            task.kernel().check_machine();
            assert!(store_all(task, 700, 2).await);
            task.kernel().check_machine();
        })
        .await;
        call(task, Call::Munmap { start: page(3), len: pages(2) }).await.unwrap();
        task.kernel().check_machine();
        task.yield_cpu().await;
        assert!(store_all(task, 0, 3).await);
        task.kernel().check_machine();
    });
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    alone(async |task: &Task| {
        map(task, 0, 4).await;
        map(task, 6, 2).await;
        assert!(store_all(task, 0, 4).await);
        let before = areas(task);
        let end = task.kernel().hw.format().user_end();
        let (odd, last) = (Vaddr(page(0).0 + 1), Vaddr(end.0 - pages(1)));
        let map_at = |address, len| MapRequest { address: Some(address), len, ..fixed(BASE, 1, Prot::RW) };
        assert_eq!(call(task, Call::Mmap(map_at(page(0), 0))).await, Err(Errno::Einval));
        assert_eq!(call(task, Call::Mmap(map_at(odd, 1))).await, Err(Errno::Einval));
        assert_eq!(call(task, Call::Mmap(map_at(last, pages(2)))).await, Err(Errno::Enomem));
        assert_eq!(call(task, Call::Mmap(map_at(page(0), u64::MAX))).await, Err(Errno::Einval));
        for (start, len) in [(odd, 1), (page(0), 0), (last, pages(2)), (page(0), u64::MAX), (end, 1)] {
            assert_eq!(
                call(task, Call::Munmap { start, len }).await,
                Err(Errno::Einval),
                "{start:?} {len:#x}"
            );
        }
        assert_eq!(call(task, Call::Mprotect { start: odd, len: 1, prot: READ }).await, Err(Errno::Einval));
        assert_eq!(
            call(task, Call::Mprotect { start: page(0), len: pages(7), prot: READ }).await,
            Err(Errno::Enomem)
        );
        assert_eq!(
            call(task, Call::Mprotect { start: last, len: pages(2), prot: READ }).await,
            Err(Errno::Enomem)
        );
        assert_eq!(call(task, Call::Mprotect { start: page(0), len: 0, prot: NONE }).await, Ok(0));
        let remap = async |old, old_pages, new_pages, target| {
            remap(task, old, pages(old_pages), pages(new_pages), target).await
        };
        assert_eq!(remap(odd, 1, 1, None).await, Err(Errno::Einval));
        assert_eq!(remap(page(0), 1, 0, None).await, Err(Errno::Einval));
        assert_eq!(remap(page(0), 2, 2, Some(page(1))).await, Err(Errno::Einval), "onto itself");
        assert_eq!(remap(page(4), 1, 2, None).await, Err(Errno::Efault), "nothing is there");
        assert_eq!(remap(page(3), 4, 4, Some(page(20))).await, Err(Errno::Efault), "more than an area");
        assert_eq!(remap(page(0), 2, 2, Some(end)).await, Err(Errno::Enomem));
        assert_eq!(areas(task), before);
        assert!(load_all(task, 0, 4).await);
    });
}

#[test]
fn madvise_discards_what_is_mapped_and_complains_about_the_rest() {
    alone(async |task: &Task| {
        map(task, 0, 4).await;
        map(task, 6, 2).await;
        assert!(store_all(task, 0, 4).await && store_all(task, 6, 2).await);
        let zapped = || task.kernel().stat.pages_zapped.get();
        let odd = Vaddr(page(0).0 + 1);
        assert_eq!(call(task, discard(odd, 1)).await, Err(Errno::Einval));
        assert_eq!(call(task, discard(page(0), u64::MAX)).await, Err(Errno::Einval));
        assert_eq!(call(task, discard(page(0), 0)).await, Ok(0));
        assert_eq!(zapped(), 0);
        assert_eq!(call(task, discard(page(2), pages(5))).await, Err(Errno::Enomem));
        assert_eq!(zapped(), 3);
        assert_eq!(call(task, discard(page(0), 1 << 62)).await, Err(Errno::Enomem));
        assert_eq!(zapped(), 6);
        assert!(load_all(task, 0, 4).await && load_all(task, 6, 2).await);
    });
}
