//! Reads past the page cache: what the device writes to the program's memory is there afterwards, whatever happens around it.

use std::rc::Rc;

use pagewalk_engine::{Schedule, Violation};
use pagewalk_kernel::{Call, DeviceSpec, Errno, Kernel, KernelConfig, Prot, Task, Transfer, run_program};
use pagewalk_mmu::AccessKind;
use pagewalk_pages::{Fix, Mutant, Switches};

use crate::common::{
    Bursts, Gate, READ, Setup, access, call, discard, fork, load, load_all, map, page, pages, process, remap,
    store, store_all, thread,
};
use crate::file_common::{map_file, open};

/// A machine whose disk takes longer with every seed, or whose steps are chosen, those of the disk too.
fn setup(seed: u64, switches: Switches) -> Setup {
    let disk = DeviceSpec { latency: 53 * seed, page: 0, ..DeviceSpec::default() };
    let schedule = if seed.is_multiple_of(2) { Schedule::Timed } else { Schedule::Explore };
    let config = KernelConfig { disk, switches, pcid: seed % 8 < 4, ..Setup::default().config };
    Setup { cpus: 3, schedule, seed, config, ..Setup::default() }
}

/// What is wrong with what the programs find, under this schedule.
fn found(seed: u64, switches: Switches, build: impl Fn(&Rc<Kernel>)) -> Vec<Violation> {
    let kernel = setup(seed, switches).boot();
    build(&kernel);
    match seed % 2 {
        0 => kernel.engine.run(),
        _ => kernel.engine.explore(&mut Bursts::new(seed)),
    };
    kernel.engine.violations()
}

/// Reads page `from` of the file into page `to` of memory, past the cache.
async fn read_direct(task: &Task, from: u64, to: u64) {
    let file = open(task.kernel(), "/a", 8);
    let transfer = Transfer { offset: pages(from), len: pages(1), buffer: Some(page(to)), direct: true };
    // Where the page may not be written to, or is gone, there is nothing to read into.
    let read = call(task, Call::Read { file: Rc::clone(&file), transfer }).await;
    assert!(matches!(read, Ok(bytes) if bytes == pages(1)) || read == Err(Errno::Efault), "{read:?}");
}

/// A thread on another CPU that reads into page 0 again and again, and looks at it each time.
async fn reads_beside(task: &Task, times: u64) -> Rc<Gate> {
    let ended = Gate::new();
    let end = Rc::clone(&ended);
    thread(task, 1, 2, async move |task: &Task| {
        for number in 0..times {
            read_direct(task, number, 0).await;
            load(task, page(0)).await;
        }
        end.open(task);
    })
    .await;
    ended
}

/// Some thousand cycles, in which a read begins.
async fn be_busy(task: &Task) {
    let idle = vec![access(page(1), AccessKind::Load); 1_500];
    run_program(task, &idle).await;
}

fn reads_and_discards(kernel: &Rc<Kernel>) {
    process(kernel, 0, 1, async |task: &Task| {
        // More than are on their way to the LRU lists at a time: those would have a reference more.
        map(task, 0, 20).await;
        store_all(task, 0, 20).await;
        let ended = reads_beside(task, 6).await;
        for _ in 0..6 {
            load_all(task, 0, 20).await;
            call(task, discard(page(0), pages(20))).await.expect("right");
            load_all(task, 0, 20).await;
        }
        ended.wait(task, 1).await;
        load(task, page(0)).await;
    });
}

#[test]
fn what_is_read_into_a_page_that_goes_is_seen_until_its_flush_and_not_later() {
    for seed in 0..400 {
        setup(seed, Switches::FIXED).run(reads_and_discards);
    }
    let early = Switches::FIXED.with_mutant(Mutant::ZapFreeBeforeFlush);
    assert!((0..400).any(|seed| !found(seed, early, reads_and_discards).is_empty()));
}

fn read_beside_fork(kernel: &Rc<Kernel>) {
    process(kernel, 0, 1, async |task: &Task| {
        map(task, 0, 2).await;
        store(task, page(0)).await;
        let ended = reads_beside(task, 1).await;
        let read = Rc::clone(&ended);
        be_busy(task).await;
        fork(task, 2, 10, async move |task: &Task| {
            read.wait(task, 1).await;
            load(task, page(0)).await;
        })
        .await;
        store(task, page(0)).await;
        ended.wait(task, 1).await;
        load(task, page(0)).await;
    });
}

#[test]
fn a_page_that_is_being_read_into_stays_with_the_parent_and_the_child_has_a_copy() {
    let copied = (0..400).map(|seed| setup(seed, Switches::FIXED).run(read_beside_fork));
    let forked: u64 = copied.map(|kernel| kernel.stat.fault_cow_copied.get()).sum();
    assert!(forked > 0, "some forks came before or after the read");
    let lost = (0..400).filter(|&seed| {
        let wrong = found(seed, Switches::LINUX_2_6_27, read_beside_fork);
        let of = |mm: &str| wrong.iter().any(|wrong| wrong.message.contains(mm));
        of("in mm 1 ") && of("in mm 2 ")
    });
    assert!(lost.count() > 0, "the child has what the parent read, and the parent has not");
    let fixed = Switches::LINUX_2_6_27.with(Fix::ForkCopiesPinned);
    assert!((0..400).all(|seed| found(seed, fixed, read_beside_fork).is_empty()));
}

fn read_beside_protection(kernel: &Rc<Kernel>) {
    process(kernel, 0, 1, async |task: &Task| {
        map(task, 0, 2).await;
        store(task, page(0)).await;
        let ended = reads_beside(task, 1).await;
        be_busy(task).await;
        for prot in [READ, Prot::RW] {
            call(task, Call::Mprotect { start: page(0), len: pages(1), prot }).await.expect("right");
        }
        store(task, page(0)).await;
        ended.wait(task, 1).await;
        load(task, page(0)).await;
    });
}

#[test]
fn a_store_to_a_page_that_is_being_read_into_does_not_copy_it() {
    let wrong =
        |switches| (0..400).filter(|&seed| !found(seed, switches, read_beside_protection).is_empty()).count();
    assert_eq!(wrong(Switches::FIXED), 0);
    assert!(wrong(Switches::FIXED.without(Fix::AnonExclusive)) > 0);
    assert_eq!(wrong(Switches::LINUX_2_6_27), 0, "mappings are counted there, not references");
}

#[test]
fn what_is_read_goes_where_its_page_goes() {
    for seed in 0..200 {
        setup(seed, Switches::FIXED).run(|kernel| {
            process(kernel, 0, 1, async |task: &Task| {
                map(task, 0, 1).await;
                store(task, page(0)).await;
                let (pinned, ended) = (Gate::new(), Gate::new());
                let (begin, end) = (Rc::clone(&pinned), Rc::clone(&ended));
                thread(task, 1, 2, async move |task: &Task| {
                    begin.open(task);
                    let file = open(task.kernel(), "/a", 8);
                    let transfer = Transfer { offset: 0, len: pages(1), buffer: Some(page(0)), direct: true };
                    // If the page is gone already there is nothing to read into.
                    let _ = call(task, Call::Read { file: Rc::clone(&file), transfer }).await;
                    end.open(task);
                })
                .await;
                pinned.wait(task, 1).await;
                remap(task, page(0), pages(1), pages(1), Some(page(9))).await.expect("right");
                load(task, page(9)).await;
                ended.wait(task, 1).await;
                load(task, page(9)).await;
            });
        });
    }
}

#[test]
fn what_is_read_into_a_shared_file_is_the_files_unless_it_is_cut() {
    for (seed, cut) in (0..200).flat_map(|seed| [(seed, false), (seed, true)]) {
        setup(seed, Switches::FIXED).run(|kernel| {
            process(kernel, 0, 1, async move |task: &Task| {
                let file = open(task.kernel(), "/b", 2);
                map_file(task, &file, (0, 1), 0, Prot::RW, true).await;
                store(task, page(0)).await;
                let ended = Gate::new();
                let end = Rc::clone(&ended);
                thread(task, 1, 2, async move |task: &Task| {
                    let source = open(task.kernel(), "/a", 8);
                    let transfer = Transfer { offset: 0, len: pages(1), buffer: Some(page(0)), direct: true };
                    let _ = call(task, Call::Read { file: Rc::clone(&source), transfer }).await;
                    end.open(task);
                })
                .await;
                if cut {
                    call(task, Call::Truncate { file: Rc::clone(&file), size: 0 }).await.expect("right");
                    call(task, Call::Truncate { file: Rc::clone(&file), size: pages(2) })
                        .await
                        .expect("right");
                }
                load(task, page(0)).await;
                ended.wait(task, 1).await;
                load(task, page(0)).await;
            });
        });
    }
}
