//! The engine's tests: one module per primitive.

mod bug;
mod common;
mod determinism;
mod interrupt;
mod random_schedule;
mod rcu;
mod record;
mod rwlock;
mod rwsem;
mod spin;
mod timed_schedule;
mod wait;
mod waits;
mod words;
