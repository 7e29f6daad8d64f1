//! One configuration and seed is one run, whether or not anybody watches.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;

use crate::common::{DONE, LOCK, QUEUE, SEM, word};
use pagewalk_engine::{
    Completion, Context, CpuId, Digest, Engine, EngineConfig, RwSem, Schedule, SpinLock, Stop, WaitQueue,
};

struct Shared {
    lock: SpinLock,
    sem: RwSem,
    queue: WaitQueue,
    turns: Cell<u64>,
    cell: Cell<u64>,
}

/// One act of a random program, digested with the time and value it saw.
async fn act(cx: &Context, shared: &Rc<Shared>, what: u8) {
    let word = word(&shared.cell, 0);
    match what % 8 {
        0 => {
            let guard = shared.lock.lock(cx).await;
            let value = word.read_once(cx).await;
            word.write_once(cx, value + 1).await;
            guard.unlock().await;
        }
        1 => {
            let guard = shared.sem.down_write(cx).await;
            word.fetch_add(cx, 3).await;
            guard.up_write().await;
        }
        2 => {
            let guard = shared.sem.down_read(cx).await;
            word.read_once(cx).await;
            guard.up_read().await;
        }
        3 => {
            let targets = cx.engine().cpus().len() as u16;
            let target = CpuId((cx.cpu().id().0 + 1) % targets);
            let done = Completion::new(&DONE, cx.id().number().into(), 1);
            let ack = Rc::clone(&done);
            cx.send_ipi(target, Rc::new(move |engine, _| ack.complete(engine))).await;
            done.wait(cx).await;
        }
        4 => cx.synchronize_rcu().await,
        5 => {
            let section = cx.rcu_read_lock().await;
            word.rcu_dereference(cx).await;
            section.unlock().await;
        }
        6 => {
            cx.cond_resched().await;
            cx.run_user().await;
            cx.charge(900);
            cx.enter_kernel(100);
        }
        _ => {
            let turn = shared.turns.get();
            shared.turns.set(turn + 1);
            shared.queue.wake_up(cx);
            shared.queue.wait_event(cx, || shared.turns.get() > turn).await;
            cx.yield_cpu().await;
        }
    }
    cx.engine().digest_word(u64::from(cx.id().number()));
    cx.engine().digest_word(cx.cpu().clock());
    cx.engine().digest_word(word.observe());
}

fn run(config: EngineConfig, programs: &[Vec<u8>]) -> (Digest, Vec<u64>, Stop) {
    let cpus = config.cpus;
    let engine = Engine::new(config);
    let shared = Rc::new(Shared {
        lock: SpinLock::new(&LOCK, 0),
        sem: RwSem::new(&SEM, 0),
        queue: WaitQueue::new(&QUEUE, 0),
        turns: Cell::new(0),
        cell: Cell::new(0),
    });
    for (number, program) in programs.iter().enumerate() {
        let (shared, program) = (Rc::clone(&shared), program.clone());
        engine.spawn(CpuId(number as u16 % cpus), move |cx| async move {
            for what in program {
                act(&cx, &shared, what).await;
            }
        });
    }
    let stop = engine.run();
    (engine.digest(), engine.cpus().iter().map(|cpu| cpu.clock()).collect(), stop)
}

proptest! {
    #[test]
    fn watching_changes_nothing(
        programs in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 1..7),
        cpus in 1..5_u16,
        seed in any::<u64>(),
        timed in any::<bool>(),
    ) {
        let schedule = if timed { Schedule::Timed } else { Schedule::Random };
        let config = EngineConfig { cpus, seed, schedule, quantum: 5_000, ..Default::default() };
        let plain = run(config.clone(), &programs);
        prop_assert_eq!(&plain.2, &Stop::Finished);
        prop_assert_eq!(&plain, &run(config.clone(), &programs), "again");
        for (record, checks) in [(0, true), (1, false), (10_000, false), (50, true)] {
            let watched = EngineConfig { record, checks, ..config.clone() };
            prop_assert_eq!(&plain, &run(watched, &programs), "record {}, checks {}", record, checks);
        }
    }
}

#[test]
fn the_seed_decides_the_random_order_and_only_the_jitter_of_the_timed_one() {
    let programs: Vec<Vec<u8>> = (0..4).map(|n| (0..12).map(|k| k * 5 + n).collect()).collect();
    let of = |schedule, seed, jitter| {
        run(EngineConfig { cpus: 4, seed, schedule, jitter, ..Default::default() }, &programs).0
    };
    assert_ne!(of(Schedule::Random, 1, 0), of(Schedule::Random, 2, 0));
    assert_eq!(of(Schedule::Timed, 1, 0), of(Schedule::Timed, 2, 0));
    assert_ne!(of(Schedule::Timed, 1, 50), of(Schedule::Timed, 2, 50));
}
