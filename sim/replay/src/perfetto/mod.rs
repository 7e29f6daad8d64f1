//! `replay --perfetto`: a run as a trace that Perfetto's viewer opens (ui.perfetto.dev; Chrome's trace-event JSON).
//!
//! One track a CPU: which thread runs, inside it the kernel's paths, inside these the interrupts taken. Arrows lead from a
//! shootdown to what its receivers do. Counters are the account's timeline. The file has a bounded number of events.

mod tracer;
mod writer;

pub use self::tracer::{Cut, Tracer};
