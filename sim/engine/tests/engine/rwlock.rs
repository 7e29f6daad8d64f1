//! Reader-writer spin locks: readers together, a writer alone, nobody lost.

use std::cell::Cell;
use std::rc::Rc;

use pagewalk_engine::{Class, CpuId, Engine, EngineConfig, ObjectId, RwSpinLock, Schedule, Stop, Word};

static LOCK: Class = Class::new(100, "rwlock");

#[test]
fn readers_share_and_a_writer_is_alone_under_every_schedule() {
    let most_readers = Rc::new(Cell::new(0));
    for seed in 0..40 {
        let schedule = if seed % 4 == 0 { Schedule::Timed } else { Schedule::Random };
        let engine =
            Engine::new(EngineConfig { cpus: 4, schedule, seed, checks: true, ..EngineConfig::default() });
        let lock = Rc::new(RwSpinLock::new(&LOCK, 0));
        let inside = Rc::new(Cell::new((0, 0)));
        let word = Rc::new(Cell::new(0_u32));
        for cpu in 0..4 {
            let (lock, inside, most) = (Rc::clone(&lock), Rc::clone(&inside), Rc::clone(&most_readers));
            let word = Rc::clone(&word);
            engine.spawn(CpuId(cpu), async move |cx| {
                for round in 0..6 {
                    let write = (round + cpu) % 3 == 0;
                    let held = if write { lock.write_lock(&cx).await } else { lock.read_lock(&cx).await };
                    let (readers, writers) = inside.get();
                    inside.set(if write { (readers, writers + 1) } else { (readers + 1, writers) });
                    let (readers, writers) = inside.get();
                    assert!(
                        writers == 0 || (writers, readers) == (1, 0),
                        "{readers} readers, {writers} writers"
                    );
                    most.set(most.get().max(readers));
                    cx.charge(40);
                    Word::new(&word, ObjectId::new(&LOCK, 1)).fetch_add(&cx, 1).await; // others may go on here
                    let (readers, writers) = inside.get();
                    inside.set(if write { (readers, writers - 1) } else { (readers - 1, writers) });
                    held.unlock().await;
                }
            });
        }
        assert_eq!((engine.run(), engine.violations()), (Stop::Finished, vec![]), "seed {seed}");
        assert!(!lock.is_locked());
    }
    assert!(most_readers.get() > 1, "readers were inside together");
}
