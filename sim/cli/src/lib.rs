//! The program `pagewalk`: machine descriptions, replay, and the account people read.

mod capture;
pub mod cli;
pub mod config_cmd;
pub mod diagnostic;
pub mod diff;
pub mod exit;
pub mod explore;
mod host_memory;
mod invariants;
mod json;
pub mod kernel_args;
pub mod machine;
pub mod perfetto;
mod races;
pub mod replay;
pub mod report;
pub mod set;
mod shell;
pub mod size;
pub mod style;
pub mod sweep;
pub mod switches;
mod text_file;
pub mod time_limit;
pub mod trace_cmd;
pub mod trace_error;
pub mod watch;
