//! Importing the logs of Valgrind's lackey with system calls: accesses, mappings, files, threads and processes.

mod access;
mod areas;
mod call;
mod descriptors;
mod elf;
mod import;
mod io;
mod logs;
mod memory;
mod process;
mod shared;
mod tasks;
mod touch;
mod waits;
mod world;

pub(crate) use access::{Slow, fast, slow};
pub use import::{LogImport, LogOptions, Turn};
pub use logs::{Log, has_calls, import_logs, lackey_accesses};
