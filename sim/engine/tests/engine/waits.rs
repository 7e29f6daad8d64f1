//! What contexts waited for, and how long.

use std::rc::Rc;

use pagewalk_engine::{CpuId, RwSem, SpinLock};

use crate::common::{LOCK, SEM, finish, timed};

#[test]
fn waits_count_from_the_look_that_found_the_lock_taken_until_it_is_free() {
    let engine = timed(2);
    let (lock, sem) = (Rc::new(SpinLock::new(&LOCK, 0)), Rc::new(RwSem::new(&SEM, 0)));
    let first = (Rc::clone(&lock), Rc::clone(&sem));
    engine.spawn(CpuId(0), |cx| async move {
        let spin = first.0.lock(&cx).await;
        cx.charge(50_000);
        spin.unlock().await;
        let write = first.1.down_write(&cx).await;
        cx.charge(70_000);
        write.up_write().await;
    });
    engine.spawn(CpuId(1), |cx| async move {
        cx.charge(10_000);
        lock.lock(&cx).await.unlock().await;
        cx.charge(20_000);
        sem.down_read(&cx).await.up_read().await;
    });
    finish(&engine);
    let waits = engine.waits();
    let names: Vec<_> = waits.iter().map(|wait| (wait.class.name, wait.lock, wait.count)).collect();
    assert_eq!(names, [("lock", true, 1), ("sem", true, 1)]);
    let (spun, slept) = (waits[0].cycles, waits[1].cycles);
    assert!((39_000..41_000).contains(&spun), "{spun}");
    // A sleeper also waits for the switch back to it.
    assert!((50_000..55_000).contains(&slept), "{slept}");
}

#[test]
fn a_lock_that_is_free_is_not_waited_for() {
    let engine = timed(2);
    for cpu in 0..2 {
        engine.spawn(CpuId(cpu), move |cx| async move {
            let own = SpinLock::new(&LOCK, u64::from(cpu));
            for _ in 0..100 {
                own.lock(&cx).await.unlock().await;
            }
        });
    }
    finish(&engine);
    assert_eq!(engine.waits(), []);
}
