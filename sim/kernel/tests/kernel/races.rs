//! Two or more CPUs in one address space, or in two that share pages: every result is one that some order explains.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_kernel::{Call, Kernel, Prot, Task};

use crate::common::{
    Gate, READ, Setup, call, discard, fork, load, load_all, map, page, pages, process, remap, store,
    store_all, thread, under_many_schedules,
};

const SEEDS: u64 = 48;

/// Starts threads 2, 3, ... on the other CPUs, and waits at the end until all are through.
async fn alongside<F: AsyncFn(&Task, &Cell<bool>) + Clone + 'static>(
    task: &Task,
    body: F,
    main: impl AsyncFnOnce(&Task),
) {
    let cpus = task.engine().cpus().len() as u16;
    let (over, ended) = (Rc::new(Cell::new(false)), Gate::new());
    for number in 1..cpus.max(2) {
        let (over, ended, body) = (Rc::clone(&over), Rc::clone(&ended), body.clone());
        let tid = task.pid() + u32::from(number);
        thread(task, number, tid, async move |task: &Task| {
            body(task, &over).await;
            ended.open(task);
        })
        .await;
    }
    main(task).await;
    over.set(true);
    ended.wait(task, u32::from(cpus.max(2)) - 1).await;
}

/// Stores to `count` pages from `first` again and again until the main thread is through.
async fn keep_storing(task: &Task, over: &Cell<bool>, first: u64, count: u64) {
    while !over.get() {
        store_all(task, first, count).await;
        load_all(task, first, count).await;
        task.yield_cpu().await;
    }
}

#[test]
fn munmap_leaves_no_stale_translation_to_threads_that_touch_the_range_and_its_neighbours() {
    under_many_schedules(&[1, 2, 4], SEEDS, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 8).await;
                let others = async |task: &Task, over: &Cell<bool>| keep_storing(task, over, 0, 8).await;
                alongside(task, others, async |task: &Task| {
                    for _ in 0..4 {
                        assert!(store_all(task, 0, 8).await);
                        call(task, Call::Munmap { start: page(2), len: pages(4) })
                            .await
                            .expect("the call is right");
                        assert!(!store(task, page(3)).await, "unmapped");
                        assert!(load(task, page(1)).await && load(task, page(6)).await, "neighbours");
                        map(task, 2, 4).await;
                    }
                })
                .await;
            });
        });
    });
}

#[test]
fn a_page_touched_first_by_several_threads_is_mapped_once_and_losers_give_theirs_back() {
    let (mut lost, mut runs) = (0, 0);
    under_many_schedules(&[2, 4, 8], SEEDS, |setup| {
        let kernel = setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 8).await;
                let once = async |task: &Task, _: &Cell<bool>| assert!(store_all(task, 0, 8).await);
                alongside(task, once, async |task: &Task| assert!(store_all(task, 0, 8).await)).await;
                assert_eq!(task.kernel().stat.nr_anon_pages.get(), 8);
                task.kernel().check_machine();
            });
        });
        assert_eq!(kernel.stat.fault_first_touch.get(), 8);
        assert_eq!(kernel.stat.fault_cow_copied.get() + kernel.stat.fault_permission.get(), 0);
        lost += kernel.stat.fault_spurious.get();
        runs += 1;
    });
    assert!(lost > runs, "{lost} lost races in {runs} runs");
}

#[test]
fn a_shared_page_written_by_several_threads_is_copied_once() {
    let (mut lost, mut runs) = (0, 0);
    under_many_schedules(&[2, 4], SEEDS, |setup| {
        let kernel = setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 8).await;
                assert!(store_all(task, 0, 8).await);
                let written = Gate::new();
                let seen = Rc::clone(&written);
                fork(task, 1, 20, async move |task: &Task| {
                    seen.wait(task, 1).await;
                    // The oracle knows that the child has what was stored before the fork.
                    assert!(load_all(task, 0, 8).await);
                })
                .await;
                let once = async |task: &Task, _: &Cell<bool>| assert!(store_all(task, 0, 8).await);
                alongside(task, once, async |task: &Task| assert!(store_all(task, 0, 8).await)).await;
                written.open(task);
            });
        });
        assert_eq!(kernel.stat.fault_cow_copied.get(), 8);
        lost += kernel.stat.fault_spurious.get();
        runs += 1;
    });
    assert!(lost > runs, "{lost} lost races in {runs} runs");
}

#[test]
fn a_fork_while_other_threads_store_gives_each_side_its_own_pages() {
    under_many_schedules(&[2, 4], SEEDS, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 8).await;
                let others = async |task: &Task, over: &Cell<bool>| keep_storing(task, over, 2, 6).await;
                alongside(task, others, async |task: &Task| {
                    for child in 0..3 {
                        assert!(store_all(task, 0, 8).await);
                        fork(task, 1 + child as u16, 20 + 10 * child, async |task: &Task| {
                            assert!(load_all(task, 0, 8).await);
                            assert!(store_all(task, 0, 8).await);
                            assert!(load_all(task, 0, 8).await);
                        })
                        .await;
                        assert!(store_all(task, 0, 8).await);
                    }
                })
                .await;
            });
        });
    });
}

#[test]
fn once_fork_has_returned_no_thread_can_store_to_what_the_child_has() {
    under_many_schedules(&[2, 4], SEEDS, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 4).await;
                assert!(store_all(task, 0, 4).await);
                let others = async |task: &Task, over: &Cell<bool>| keep_storing(task, over, 0, 4).await;
                alongside(task, others, async |task: &Task| {
                    let ended = Gate::new();
                    let over = Rc::clone(&ended);
                    fork(task, 0, 20, async move |task: &Task| {
                        // The first load settles what the child has; the second must find the same.
                        for _ in 0..6 {
                            assert!(load_all(task, 0, 4).await);
                            task.yield_cpu().await;
                        }
                        over.open(task);
                    })
                    .await;
                    ended.wait(task, 1).await;
                })
                .await;
            });
        });
    });
}

#[test]
fn pages_discarded_while_other_threads_store_are_zero_or_newly_stored() {
    under_many_schedules(&[1, 2, 4], SEEDS, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 12).await;
                let others = async |task: &Task, over: &Cell<bool>| keep_storing(task, over, 0, 8).await;
                alongside(task, others, async |task: &Task| {
                    for _ in 0..4 {
                        assert!(store_all(task, 0, 12).await);
                        call(task, discard(page(1), pages(11))).await.expect("the call is right");
                        assert!(load_all(task, 0, 12).await);
                    }
                })
                .await;
            });
        });
    });
}

#[test]
fn while_a_page_is_discarded_some_threads_may_see_the_new_one_and_others_still_the_old_one() {
    under_many_schedules(&[3, 4], 64, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 12).await;
                let others = async |task: &Task, over: &Cell<bool>| {
                    while !over.get() {
                        load_all(task, 0, 12).await;
                        task.yield_cpu().await;
                    }
                };
                alongside(task, others, async |task: &Task| {
                    for _ in 0..12 {
                        assert!(store_all(task, 0, 12).await);
                        call(task, discard(page(0), pages(12))).await.expect("the call is right");
                    }
                })
                .await;
            });
        });
    });
}

#[test]
fn several_threads_may_discard_the_same_pages() {
    under_many_schedules(&[2, 4], SEEDS, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 6).await;
                let others = async |task: &Task, over: &Cell<bool>| {
                    while !over.get() {
                        store_all(task, 0, 6).await;
                        call(task, discard(page(1), pages(4))).await.expect("the call is right");
                        load_all(task, 0, 6).await;
                        task.yield_cpu().await;
                    }
                };
                alongside(task, others, async |task: &Task| {
                    for _ in 0..4 {
                        assert!(store_all(task, 0, 6).await);
                        call(task, discard(page(0), pages(4))).await.expect("the call is right");
                        assert!(load_all(task, 0, 6).await);
                    }
                })
                .await;
            });
        });
    });
}

/// After `forbid` has returned, no store of another thread to page 0 succeeds; before, some do.
fn stores_stop(setup: &Setup, forbid: impl AsyncFn(&Task) + Clone + 'static) -> Rc<Kernel> {
    setup.run(|kernel| {
        process(kernel, 0, 10, async move |task: &Task| {
            map(task, 0, 4).await;
            let forbidden = Rc::new(Cell::new(false));
            let shared = Rc::clone(&forbidden);
            let others = async move |task: &Task, over: &Cell<bool>| {
                while !over.get() {
                    let after = shared.get();
                    let stored = store(task, page(0)).await;
                    assert!(!(stored && after), "a store after the call had returned");
                    task.yield_cpu().await;
                }
            };
            alongside(task, others, async move |task: &Task| {
                for _ in 0..8 {
                    store(task, page(0)).await;
                }
                forbid(task).await;
                forbidden.set(true);
                for _ in 0..8 {
                    assert!(!store(task, page(0)).await);
                }
            })
            .await;
        });
    })
}

#[test]
fn once_mprotect_has_returned_no_thread_stores_any_more() {
    under_many_schedules(&[1, 2, 4], SEEDS, |setup| {
        stores_stop(setup, async |task: &Task| {
            call(task, Call::Mprotect { start: page(0), len: pages(2), prot: READ })
                .await
                .expect("the call is right");
        });
    });
}

#[test]
fn once_munmap_has_returned_no_thread_stores_any_more() {
    under_many_schedules(&[1, 2, 4], SEEDS, |setup| {
        stores_stop(setup, async |task: &Task| {
            call(task, Call::Munmap { start: page(0), len: pages(2) }).await.expect("the call is right");
        });
    });
}

#[test]
fn once_mremap_has_returned_no_thread_stores_at_the_old_place() {
    under_many_schedules(&[1, 2, 4], SEEDS, |setup| {
        stores_stop(setup, async |task: &Task| {
            let moved = remap(task, page(0), pages(2), pages(2), Some(page(600))).await;
            assert_eq!(moved, Ok(page(600)));
            assert!(load(task, page(600)).await);
        });
    });
}

#[test]
fn pages_that_move_while_other_threads_store_lose_nothing() {
    under_many_schedules(&[2, 4], SEEDS, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 8).await;
                let others = async |task: &Task, over: &Cell<bool>| {
                    while !over.get() {
                        store_all(task, 0, 8).await;
                        store_all(task, 600, 8).await;
                        load_all(task, 0, 8).await;
                        task.yield_cpu().await;
                    }
                };
                alongside(task, others, async |task: &Task| {
                    for round in 0..4 {
                        store_all(task, 0, 8).await;
                        let (from, to) = if round % 2 == 0 { (0, 600) } else { (600, 0) };
                        let moved = remap(task, page(from), pages(8), pages(8), Some(page(to))).await;
                        assert_eq!(moved, Ok(page(to)));
                        assert!(load_all(task, to, 8).await);
                    }
                })
                .await;
            });
        });
    });
}

#[test]
fn protection_that_changes_while_other_threads_store_loses_no_store() {
    under_many_schedules(&[2, 4], SEEDS, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 8).await;
                let others = async |task: &Task, over: &Cell<bool>| keep_storing(task, over, 0, 8).await;
                alongside(task, others, async |task: &Task| {
                    for prot in [READ, Prot::RW, Prot::default(), Prot::RW, READ, Prot::RW] {
                        call(task, Call::Mprotect { start: page(2), len: pages(4), prot })
                            .await
                            .expect("the call is right");
                        load_all(task, 0, 8).await;
                    }
                })
                .await;
            });
        });
    });
}

#[test]
fn a_process_that_discards_shared_pages_never_sees_what_another_stores() {
    under_many_schedules(&[3, 4], SEEDS, |setup| {
        setup.run(|kernel| {
            process(kernel, 0, 10, async |task: &Task| {
                map(task, 0, 6).await;
                assert!(store_all(task, 0, 6).await);
                fork(task, 2, 20, async |task: &Task| {
                    for _ in 0..6 {
                        assert!(store_all(task, 0, 6).await);
                        task.yield_cpu().await;
                    }
                })
                .await;
                let others = async |task: &Task, over: &Cell<bool>| {
                    while !over.get() {
                        load_all(task, 0, 6).await;
                        task.yield_cpu().await;
                    }
                };
                alongside(task, others, async |task: &Task| {
                    for _ in 0..3 {
                        call(task, discard(page(0), pages(6))).await.expect("the call is right");
                        assert!(load_all(task, 0, 6).await);
                    }
                })
                .await;
            });
        });
    });
}
