//! What the engine's tests share: classes, words, and short ways to build an engine.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pagewalk_engine::{Class, Engine, EngineConfig, ObjectId, Schedule, Stop, Word};

pub(crate) static WORD: Class = Class::new(100, "word");
pub(crate) static LOCK: Class = Class::new(101, "lock");
pub(crate) static OTHER: Class = Class::new(102, "other lock");
pub(crate) static SEM: Class = Class::new(103, "sem");
pub(crate) static QUEUE: Class = Class::new(104, "queue");
pub(crate) static DONE: Class = Class::new(105, "done");

/// A log that several contexts write.
pub(crate) type Log<T> = Rc<RefCell<Vec<T>>>;

pub(crate) fn word(cell: &Cell<u64>, index: u64) -> Word<'_, u64> {
    Word::new(cell, ObjectId::new(&WORD, index))
}

pub(crate) fn random(cpus: u16, seed: u64) -> Rc<Engine> {
    Engine::new(EngineConfig { cpus, seed, schedule: Schedule::Random, checks: true, ..Default::default() })
}

pub(crate) fn timed(cpus: u16) -> Rc<Engine> {
    Engine::new(EngineConfig { cpus, schedule: Schedule::Timed, checks: true, ..Default::default() })
}

pub(crate) fn finish(engine: &Engine) {
    assert_eq!(engine.run(), Stop::Finished);
    assert_eq!(engine.violations(), []);
}
