//! Advice on the order of accesses: `madvise` gives it to areas, `posix_fadvise` to an open file.

use std::rc::Rc;

use pagewalk_kernel::{Advice, AdviceCall, Call, Errno, File, KernelConfig, MapRequest, Prot, Task, VmaKind};
use pagewalk_mmu::Vaddr;

use crate::common::{BASE, READ, Setup, call, fork, load, load_all, map, page, pages, process, remap};
use crate::file_common::{map_file, open, read_pages};

fn alone(body: impl AsyncFnOnce(&Task) + 'static) {
    Setup::default().run(|kernel| process(kernel, 0, 1, body));
}

/// `madvise` on `count` pages from page `first` on.
async fn advise(task: &Task, first: u64, count: u64, advice: Advice) -> Result<(), Errno> {
    let advice = AdviceCall::Order(advice);
    call(task, Call::Madvise { start: page(first), len: pages(count), advice }).await.map(drop)
}

/// The areas: first page from [`BASE`], pages, and the advice.
fn areas(task: &Task) -> Vec<(u64, u64, Advice)> {
    let mm = task.mm();
    let areas = mm.observe_areas();
    let number = |address: Vaddr| (address.0 - BASE.0) / pages(1);
    areas.iter().map(|vma| (number(vma.range.start()), vma.range.len() / pages(1), vma.advice)).collect()
}

/// Pages the disk has read since it was last asked.
fn read_by(task: &Task, before: &mut u64) -> u64 {
    let now = task.kernel().disk_stat().pages_read.get();
    now - std::mem::replace(before, now)
}

#[test]
fn advice_splits_areas_and_the_same_advice_makes_them_one_again() {
    alone(async |task: &Task| {
        use Advice::{Normal, Random, Sequential};
        let file = open(task.kernel(), "/data", 32);
        map_file(task, &file, (0, 32), 0, READ, false).await;
        map(task, 40, 8).await;
        assert_eq!(advise(task, 8, 8, Random).await, Ok(()));
        assert_eq!(areas(task)[..3], [(0, 8, Normal), (8, 8, Random), (16, 16, Normal)]);
        assert_eq!(advise(task, 8, 8, Random).await, Ok(()));
        assert_eq!(advise(task, 12, 8, Sequential).await, Ok(()));
        assert_eq!(areas(task)[1..4], [(8, 4, Random), (12, 8, Sequential), (20, 12, Normal)]);
        assert_eq!(advise(task, 4, 6, Random).await, Ok(()), "grows the area behind it");
        assert_eq!(areas(task)[..2], [(0, 4, Normal), (4, 8, Random)]);
        assert_eq!(advise(task, 0, 32, Normal).await, Ok(()));
        assert_eq!(areas(task), [(0, 32, Normal), (40, 8, Normal)]);
        // Anonymous memory has it too, and a hole is told of when the rest has its advice.
        assert_eq!(advise(task, 30, 12, Random).await, Err(Errno::Enomem));
        assert_eq!(areas(task), [(0, 30, Normal), (30, 2, Random), (40, 2, Random), (42, 6, Normal)]);
        assert_eq!(advise(task, 0, 0, Random).await, Ok(()));
        let odd = call(
            task,
            Call::Madvise { start: Vaddr(page(0).0 + 1), len: 1, advice: AdviceCall::Order(Random) },
        )
        .await;
        assert_eq!(odd, Err(Errno::Einval));
        task.kernel().check_machine();
    });
}

#[test]
fn advice_stays_with_an_area_that_is_split_protected_moved_or_inherited_and_ends_with_it() {
    alone(async |task: &Task| {
        use Advice::{Normal, Sequential};
        let file = open(task.kernel(), "/data", 32);
        map_file(task, &file, (0, 16), 0, READ, false).await;
        assert_eq!(advise(task, 0, 16, Sequential).await, Ok(()));
        assert_eq!(call(task, Call::Mprotect { start: page(4), len: pages(4), prot: Prot::RW }).await, Ok(0));
        assert_eq!(areas(task), [(0, 4, Sequential), (4, 4, Sequential), (8, 8, Sequential)]);
        assert_eq!(call(task, Call::Mprotect { start: page(4), len: pages(4), prot: READ }).await, Ok(0));
        assert_eq!(areas(task), [(0, 16, Sequential)]);
        assert_eq!(remap(task, page(8), pages(8), pages(8), Some(page(32))).await, Ok(page(32)));
        assert_eq!(areas(task), [(0, 8, Sequential), (32, 8, Sequential)]);
        fork(task, 2, 0, async |child| assert_eq!(areas(child), [(0, 8, Sequential), (32, 8, Sequential)]))
            .await;
        assert_eq!(call(task, Call::Munmap { start: page(4), len: pages(4) }).await, Ok(0));
        // A new mapping knows of no advice, and does not join an area that has some.
        let again = VmaKind::File(Rc::clone(&file));
        let request = MapRequest {
            address: Some(page(4)),
            len: pages(4),
            prot: READ,
            kind: again,
            shared: false,
            pgoff: 4,
        };
        assert_eq!(call(task, Call::Mmap(request)).await, Ok(page(4).0));
        assert_eq!(areas(task), [(0, 4, Sequential), (4, 4, Normal), (32, 8, Sequential)]);
    });
}

#[test]
fn advice_for_one_area_leaves_other_areas_of_the_open_file_and_its_reads_as_they_were() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 200);
        map_file(task, &file, (0, 200), 0, READ, false).await;
        assert_eq!(advise(task, 0, 100, Advice::Random).await, Ok(()));
        let mut before = 0;
        assert!(load(task, page(50)).await && load(task, page(60)).await);
        assert_eq!(read_by(task, &mut before), 2, "each its own page");
        assert!(load(task, page(150)).await);
        assert_eq!(read_by(task, &mut before), 32, "around it");
        assert_eq!(read_pages(task, &file, 0, 1).await, pages(1));
        assert_eq!(read_by(task, &mut before), 1, "it follows on nothing");
        assert_eq!(read_pages(task, &file, 1, 1).await, pages(1));
        assert_eq!(read_by(task, &mut before), 4, "a reader's first window");
        assert_eq!(task.kernel().stat.pgmajfault.get(), 3);
    });
}

#[test]
fn advice_for_an_open_file_sets_the_window_for_faults_and_reads_of_it() {
    alone(async |task: &Task| {
        let file = open(task.kernel(), "/data", 200);
        let other = File::open(file.inode());
        map_file(task, &file, (0, 200), 0, READ, false).await;
        map_file(task, &other, (200, 200), 0, READ, false).await;
        assert_eq!(
            call(
                task,
                Call::Fadvise {
                    file: Rc::clone(&file),
                    offset: 0,
                    len: 0,
                    advice: AdviceCall::Order(Advice::Random)
                }
            )
            .await,
            Ok(0)
        );
        let mut before = 0;
        assert!(load(task, page(50)).await);
        assert_eq!(read_pages(task, &file, 60, 1).await, pages(1));
        assert_eq!(read_by(task, &mut before), 2);
        assert!(load(task, page(350)).await, "the same inode, opened another time");
        assert_eq!(read_by(task, &mut before), 32);
        assert_eq!(
            call(
                task,
                Call::Fadvise {
                    file: Rc::clone(&file),
                    offset: 0,
                    len: 0,
                    advice: AdviceCall::Order(Advice::Sequential)
                }
            )
            .await,
            Ok(0)
        );
        assert!(load(task, page(100)).await);
        assert_eq!(read_by(task, &mut before), 64, "twice the window, around the page");
    });
}

#[test]
fn hits_under_sequential_advice_pay_for_misses_too() {
    let config = KernelConfig { readahead_pages: 4, ..KernelConfig::default() };
    Setup { config, ..Setup::default() }.run(|kernel| process(kernel, 0, 1, many_misses));
}

async fn many_misses(task: &Task) {
    let file = open(task.kernel(), "/data", 1000);
    map_file(task, &file, (0, 1000), 0, READ, false).await;
    // A hundred and one misses: the last one reads only its own page.
    let mut before = 0;
    for miss in 0..100 {
        assert!(load(task, page(100 + 8 * miss)).await);
    }
    assert_eq!(read_by(task, &mut before), 400);
    assert!(load(task, page(900)).await);
    assert_eq!(read_by(task, &mut before), 1);
    // Random hits do not count, sequential ones do.
    assert_eq!(advise(task, 98, 2, Advice::Random).await, Ok(()));
    assert!(load_all(task, 98, 2).await && load(task, page(910)).await);
    assert_eq!(read_by(task, &mut before), 1);
    assert_eq!(advise(task, 104, 32, Advice::Sequential).await, Ok(()));
    for hit in [106, 107, 109] {
        assert!(load(task, page(hit)).await);
    }
    assert!(load(task, page(920)).await);
    assert_eq!(read_by(task, &mut before), 4, "103 misses, 3 hits");
}

#[test]
fn pages_mapped_around_a_fault_pay_for_misses() {
    let config = KernelConfig { readahead_pages: 4, fault_around_pages: 2, ..KernelConfig::default() };
    let setup = Setup { config, ..Setup::default() };
    setup.run(|kernel| {
        process(kernel, 0, 1, async |task: &Task| {
            let file = open(task.kernel(), "/data", 800);
            map_file(task, &file, (0, 800), 0, READ, false).await;
            assert!(load_all(task, 0, 800).await);
            // The first miss reads pages 0 to 3; every other one two pages before it and two from it on, and the fault
            // maps only its own, and the next one finds it cached.
            let stat = &task.kernel().stat;
            assert_eq!((stat.pgmajfault.get(), task.kernel().disk_stat().pages_read.get()), (399, 800));
        });
    });
}
