//! The program as its users meet it: whole runs of the binary.

mod common;
mod determinism;
mod diff;
mod errors;
mod explore;
mod fault_model;
mod help;
mod import;
mod interrupt;
mod invariants;
mod order;
mod origin;
mod perfetto;
mod pressure;
mod races;
mod real_kernel;
mod replay;
mod states;
mod sweep;
mod sweep_errors;
