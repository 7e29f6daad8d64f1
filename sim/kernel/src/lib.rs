//! The kernel of the simulated machine: the paths of Linux 2.6.27's memory management.
//!
//! Every path is an `async fn` that reads like the Linux function it models, one `.await` per access to shared
//! state. Paths take the current [`Task`]; state owned by a lock is reached through the held guard.

mod antagonist;
mod call;
mod check;
mod config;
mod fs;
mod io_wait;
mod keep;
mod kernel;
mod latency;
mod migrate;
mod mm;
mod observe;
mod paths;
mod probe;
mod shmem;
mod stat;
mod swap;
mod syscall;
mod task;
mod tlb;
mod user;
mod vmscan;

pub use antagonist::{Antagonist, AntagonistSpec};
pub use call::{Call, Child, Returned, Syscall};
pub use check::{FileTicket, INVARIANTS, InvariantInfo, Leftover, Oracle, invariant, promises};
pub use config::KernelConfig;
pub use fs::{Advice, AdviceCall, DiskStat, File, Inode, InodeKind, Transfer};
pub use keep::KeptKernel;
pub use kernel::{Kernel, OutOfMemory};
pub use latency::{FaultKind, FaultLatencies, Latency};
pub use mm::{AnonVma, Mm, Prot, ReverseMapping, Vma, VmaKind, VmaTree};
pub use observe::{FaultEnd, Observer, Shootdown};
pub use pagewalk_swap::{DeviceSpec, SwapAreaSpec};
pub use paths::{Errno, MapRequest};
pub use probe::Probe;
pub use stat::{Counter, VmStat};
pub use swap::SwapStat;
pub use task::{Task, TaskCounters};
pub use user::{Segv, Signal, run_program};

/// The text of this package: the lines that its steps stand in.
pub static SOURCE: include_dir::Dir<'static> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/src");
/// Where that text was when it was compiled.
pub const SOURCE_ROOT: &str = file!();
