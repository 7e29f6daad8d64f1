//! The kernel of the simulated machine: the paths of Linux 2.6.27's memory management.
//!
//! Every path is an `async fn` that reads like the Linux function it models, one `.await` per access to shared
//! state. Paths take the current [`Task`]; state owned by a lock is reached through the held guard.

mod antagonist;
mod check;
mod config;
mod file_calls;
mod fs;
mod io_wait;
mod keep;
mod kernel;
mod latency;
mod memory_calls;
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
pub use check::{FileTicket, INVARIANTS, InvariantInfo, Leftover, Oracle, invariant, promises};
pub use config::KernelConfig;
pub use file_calls::{
    sys_drop_caches, sys_fadvise, sys_fsync, sys_invalidate, sys_madvise, sys_msync, sys_punch_hole,
    sys_read, sys_sync, sys_truncate, sys_write,
};
pub use fs::{Advice, AdviceCall, DiskStat, File, Inode, InodeKind, Transfer};
pub use keep::KeptKernel;
pub use kernel::{Kernel, OutOfMemory};
pub use latency::{FaultKind, FaultLatencies, Latency};
pub use memory_calls::{sys_compact_memory, sys_migrate_frames, sys_reclaim, sys_swapoff, sys_swapon};
pub use mm::{AnonVma, Mm, Prot, ReverseMapping, Vma, VmaKind, VmaTree};
pub use observe::{FaultEnd, Observer, Shootdown};
pub use pagewalk_swap::{DeviceSpec, SwapAreaSpec};
pub use paths::{Errno, MapRequest};
pub use probe::Probe;
pub use stat::{Counter, Syscall, VmStat};
pub use swap::SwapStat;
pub use syscall::{
    sys_brk, sys_clone, sys_execve, sys_exit, sys_fork, sys_madvise_dontneed, sys_mmap, sys_mprotect,
    sys_mremap, sys_munmap, sys_wait4,
};
pub use task::{Task, TaskCounters};
pub use user::{Segv, Signal, run_program};

/// The text of this package: the lines that its steps stand in.
pub static SOURCE: include_dir::Dir<'static> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/src");
/// Where that text was when it was compiled.
pub const SOURCE_ROOT: &str = file!();
