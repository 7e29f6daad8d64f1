//! The kernel as a program sees it: against models, against other CPUs, and under random stress.

mod common;
mod fault_model;
mod flush;
mod op;
mod races;
mod stress;
