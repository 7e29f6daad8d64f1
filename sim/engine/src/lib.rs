//! The engine: simulated CPUs whose every access to shared state is one step.
//!
//! A kernel path is an `async fn` that takes a [`Context`] (Linux's `current`); each operation on a
//! shared [`Word`], each lock, wait, RCU call and inter-processor interrupt is one [`Step`], written as
//! one `.await`. A step announces its operation, is granted by the scheduler, happens all at once, and
//! is recorded. Between steps code is private to its context and free.
//!
//! The [`Engine`] knows no memory-management: page tables, pages and kernel paths are built above it.

mod bit_wait;
mod bug;
mod coherence;
mod config;
mod context;
mod cpu;
mod cpuset;
mod digest;
mod engine;
mod explore;
mod footprint;
mod glance;
mod guard;
mod history;
mod interrupt;
mod keep;
mod lockdep;
mod marks;
mod object;
mod queues;
mod rcu;
mod record;
mod restart;
mod retry;
mod rng;
mod run;
mod rwlock;
mod rwsem;
mod spin;
mod step;
mod wait;
mod waits;
mod word;

pub use config::{Costs, EngineConfig, Schedule};
pub use context::{Context, ContextId};
pub use cpu::{Cpu, CpuId, CpuTimes, Mode};
pub use digest::Digest;
pub use engine::{Engine, SwitchWatcher, Violation};
pub use explore::{Actor, Executed, Explorer, MOST_EXPLORED_CPUS};
pub use footprint::{ANYTHING, IRQS_OFF, OCCUPIED, RUN_QUEUE, Touch};
pub use guard::{Guarded, Held};
pub use history::Shared;
pub use interrupt::{Completion, IRQ, IpiHandler};
pub use keep::Keep;
pub use object::{Class, ObjectId};
pub use rcu::{GRACE, RCU, RcuGuard};
pub use record::{Effect, Op, OpKind, Order, StepRecord};
pub use restart::KeptEngine;
pub use retry::Retry;
pub use rng::{Purpose, Random, bounded};
pub use run::Stop;
pub use rwlock::{RwSpinGuard, RwSpinLock};
pub use rwsem::{ReadGuard, RwSem, WriteGuard};
pub use spin::{SpinGuard, SpinLock};
pub use step::Step;
pub use wait::WaitQueue;
pub use waits::ClassWaits;
pub use word::{Word, WordValue};
