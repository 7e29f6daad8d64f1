//! Synthetic traces: patterns of accesses and of address-space events, from a few numbers and a seed.
//!
//! Integers and tables only, and a generator of random numbers that is frozen here: a specification gives the same
//! trace on every machine, for years.

mod actor;
mod churn;
mod files;
mod forks;
mod patterns;
mod rng;
mod slots;
mod spec;
mod storm;
mod stress;

use std::io::Write;

pub use spec::{GeneratorSpec, Pattern};

use crate::error::TraceError;
use crate::native::{Provenance, TraceWriter};
use actor::Emitter;

/// Writes the trace that `spec` describes into `writer`, which the caller finishes.
///
/// # Errors
/// If a parameter is out of range, or writing fails.
pub fn generate<W: Write>(spec: &GeneratorSpec, writer: &mut TraceWriter<W>) -> Result<(), TraceError> {
    spec.validate()?;
    writer.set_provenance(Provenance {
        source: "generator".to_owned(),
        command: spec.to_string(),
        notes: vec!["Synthetic: no program was traced.".to_owned()],
        ignored: Vec::new(),
    });
    let mut emitter = Emitter::new(spec, writer);
    match spec.pattern {
        Pattern::ForkStorm => forks::run(&mut emitter),
        Pattern::MapChurn => churn::run(&mut emitter),
        Pattern::Stress => stress::run(&mut emitter),
        Pattern::FileStream => files::stream(&mut emitter),
        Pattern::FileShare => files::share(&mut emitter),
        Pattern::TruncateStorm => storm::run(&mut emitter, false),
        Pattern::MemoryStorm => storm::run(&mut emitter, true),
        _ => patterns::run(&mut emitter),
    }
}
