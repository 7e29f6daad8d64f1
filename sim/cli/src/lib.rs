//! The program `pagewalk`: its command line, its answers as text and as exit codes, and captures.

pub mod answer_format;
mod capture;
pub mod cli;
pub mod config_cmd;
pub mod diagnostic;
pub mod diff;
pub mod exit;
pub mod explore;
mod invariants;
pub mod kernel_args;
mod named;
mod races;
pub mod replay;
pub mod report;
pub mod style;
pub mod sweep;
pub mod switches;
pub mod trace_cmd;
