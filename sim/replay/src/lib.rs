//! Replay: each thread of a trace runs on a simulated CPU, calls and accesses in the order of the trace, and what happened becomes one
//! account.

mod account;
pub mod amounts;
mod batch;
pub mod decoded;
mod feed;
mod files;
pub mod footprint;
pub mod host_memory;
mod inspect;
pub mod perfetto;
mod place;
mod progress;
pub mod report;
mod run;
mod run_options;
mod shared_ranges;
mod syscalls;
mod thread;
mod trace_error;
pub mod watch;

pub use self::account::account;
pub use self::decoded::access;
pub use self::inspect::check;
pub use self::place::Placement;
pub use self::progress::{Progress, Shared, Unwatched};
pub use self::run::{Finished, Replay, ReplayOptions, ReplayedTrace, Watchers};
pub use self::run_options::{RunOptions, SCHEDULES};
pub use self::trace_error::diagnose;
