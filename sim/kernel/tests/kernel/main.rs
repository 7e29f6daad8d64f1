//! The kernel as a program sees it: against models, against other CPUs, and under random stress.

mod advice;
mod areas;
mod branches;
mod common;
mod fault_model;
mod file_common;
mod file_stress;
mod files;
mod flush;
mod memory;
mod mutants;
mod op;
mod pins;
mod pressure;
mod races;
mod stress;
mod walk_model;
mod walks;
mod writeback;
