//! System calls as data: what a program can ask of the kernel, each once.
//!
//! A trace's event, a scenario's operation and a test make a [`Call`]; [`Task::call`](crate::Task::call) makes the kernel do it.

use std::fmt;
use std::rc::Rc;

use pagewalk_engine::WaitQueue;
use pagewalk_mmu::{Pfn, Vaddr};

use crate::fs::{AdviceCall, File, Transfer};
use crate::mm::{Mm, Prot};
use crate::paths::MapRequest;

/// The system calls in the order of their numbers: variant, name, and arguments. A number is part of the meaning of a digest, so a new
/// call comes last. The path of each is in `syscall.rs`.
macro_rules! calls {
    ($($(#[$doc:meta])* $call:ident $name:literal
        $(($request:ty))? $({ $($(#[$of:meta])* $argument:ident: $kind:ty,)* })?;)*) => {
        /// A system call with its arguments.
        ///
        /// Addresses are bytes of the caller's address space, offsets and sizes bytes of a file. Where a call says nothing of errors it
        /// has none.
        #[derive(Clone, Debug)]
        pub enum Call {
            $($(#[$doc])* $call $(($request))? $({ $($(#[$of])* $argument: $kind,)* })?,)*
        }

        /// The number of a system call: which of [`Call`] it is, without its arguments.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Syscall {
            $(#[doc = concat!("[`Call::", stringify!($call), "`]")] $call,)*
        }

        impl Call {
            /// Its number.
            pub fn syscall(&self) -> Syscall {
                match self {
                    $(Self::$call { .. } => Syscall::$call,)*
                }
            }
        }

        impl Syscall {
            /// All of them, in the order of their counters.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$call,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name people know.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$call => $name,)*
                }
            }
        }
    };
}

calls! {
    /// `mmap`: yields where the mapping is.
    ///
    /// `EINVAL` for an empty or unaligned request, `ENOMEM` if it does not fit the address space.
    Mmap "mmap" (MapRequest);

    /// `munmap`: what is mapped in the range goes.
    ///
    /// `EINVAL` for an empty or unaligned range, or one beyond a program's addresses.
    Munmap "munmap" {
        /// The first address.
        start: Vaddr,
        /// Bytes, rounded up to pages.
        len: u64,
    };

    /// `mprotect`.
    ///
    /// `EINVAL` for an unaligned range, `ENOMEM` if a part of it is not mapped.
    Mprotect "mprotect" {
        /// The first address.
        start: Vaddr,
        /// Bytes, rounded up to pages.
        len: u64,
        /// What the program may do from now on.
        prot: Prot,
    };

    /// `mremap`: yields where the mapping is now.
    ///
    /// `EINVAL` for impossible ranges, `EFAULT` if the old one is not mapped, `ENOMEM` if there is no room.
    Mremap "mremap" {
        /// The first address.
        start: Vaddr,
        /// Bytes of the mapping now, rounded up to pages.
        len: u64,
        /// Bytes that it is to have, rounded up to pages.
        new_len: u64,
        /// Where it is to be (`MREMAP_FIXED`: what is there goes); `None`: it moves only if it cannot grow in its place.
        new_start: Option<Vaddr>,
    };

    /// `madvise`: `MADV_NORMAL`, `MADV_RANDOM`, `MADV_SEQUENTIAL`, `MADV_WILLNEED` or `MADV_DONTNEED`.
    ///
    /// `EINVAL` for an unaligned range, `ENOMEM` if a part of it is not mapped; the rest is done all the same.
    Madvise "madvise" {
        /// The first address.
        start: Vaddr,
        /// Bytes, rounded up to pages.
        len: u64,
        /// What the program says of them.
        advice: AdviceCall,
    };

    /// `brk`: the heap ends there. The first call of an address space says where it begins.
    ///
    /// `EINVAL` for an end below the beginning or beyond a program's addresses, `ENOMEM` if another mapping is in the way.
    Brk "brk" {
        /// The end of the heap, rounded up to pages.
        end: Vaddr,
    };

    /// `fork`: yields the child's address space. The caller gives it a task.
    Fork "fork";

    /// `clone` of a thread: yields its own address space, which has one user more. The caller gives it a task.
    Clone "clone";

    /// `execve`: the task gets an empty address space.
    Execve "execve";

    /// `exit`: the task leaves its address space for good.
    Exit "exit";

    /// `wait4`: sleeps until a process is over.
    Wait4 "wait4" {
        /// The process.
        child: Rc<dyn Child>,
    };

    /// `read` and `pread`: yields how many bytes the file had there.
    ///
    /// `EINVAL` for impossible places and for direct I/O that is not page-aligned, `EFAULT` for a buffer of direct I/O that is not
    /// mapped.
    Read "read" {
        /// The file.
        file: Rc<File>,
        /// Which bytes, and where to.
        transfer: Transfer,
    };

    /// `write` and `pwrite`: yields how many bytes were written.
    ///
    /// As [`Call::Read`], and `EIO` where direct I/O finds a page that cannot leave the cache.
    Write "write" {
        /// The file.
        file: Rc<File>,
        /// Which bytes, and where from.
        transfer: Transfer,
    };

    /// `fsync` and `fdatasync`: what is dirty is on the disk when it returns.
    Fsync "fsync" {
        /// The file.
        file: Rc<File>,
    };

    /// `msync`.
    ///
    /// `ENOMEM` if a part of the range is not mapped.
    Msync "msync" {
        /// The first address.
        start: Vaddr,
        /// Bytes.
        len: u64,
        /// `MS_SYNC`: the files mapped shared in the range are on the disk when it returns. Otherwise nothing is done, as since
        /// Linux 2.6.17.
        sync: bool,
    };

    /// `truncate` and `ftruncate`.
    ///
    /// `EINVAL` for a size beyond the largest file.
    Truncate "truncate" {
        /// The file.
        file: Rc<File>,
        /// Bytes that it is to have.
        size: u64,
    };

    /// `fallocate` with `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE` (Linux 2.6.38).
    ///
    /// `EINVAL` for an impossible range.
    PunchHole "fallocate" {
        /// The file.
        file: Rc<File>,
        /// The first byte that reads as zero.
        offset: u64,
        /// How many.
        len: u64,
    };

    /// `posix_fadvise`.
    Fadvise "fadvise" {
        /// The file as this program has it open.
        file: Rc<File>,
        /// The first byte.
        offset: u64,
        /// How many; 0: all that follow.
        len: u64,
        /// What the program says of them.
        advice: AdviceCall,
    };

    /// `sync`: every file's dirty pages are on the disk when it returns.
    Sync "sync";

    /// A write of 1 to `/proc/sys/vm/drop_caches`: yields how many pages went.
    DropCaches "drop_caches";

    /// What direct I/O and network file systems do to a file's cached pages (`invalidate_inode_pages2_range`): dirty ones are written,
    /// then all go.
    ///
    /// `EINVAL` for an impossible range, `EIO` if a page was dirtied meanwhile and stayed.
    Invalidate "invalidate" {
        /// The file.
        file: Rc<File>,
        /// The first byte.
        offset: u64,
        /// How many.
        len: u64,
    };

    /// `swapoff`: everything that is in the area comes back to memory.
    ///
    /// `EINVAL` if it is not in use, `ENOMEM` if memory and the other areas cannot take what is in it, or a swapoff is under way: it stays
    /// in use then.
    Swapoff "swapoff" {
        /// The number of the swap area.
        area: u8,
    };

    /// `swapon` of an area that was taken off: it is empty.
    ///
    /// `EINVAL` if there is no such area, or it is in use.
    Swapon "swapon" {
        /// The number of the swap area.
        area: u8,
    };

    /// A write to a cgroup's `memory.reclaim` (Linux 5.19): yields how many pages were freed.
    Reclaim "reclaim" {
        /// How many are wanted.
        pages: u64,
    };

    /// A write to `/proc/sys/vm/compact_memory` (Linux 2.6.35): yields how many pages have moved.
    CompactMemory "compact_memory";

    /// What is in some frames moves elsewhere, as when a memory block goes offline (`do_migrate_range`): yields how many pages have
    /// moved.
    MigrateFrames "migrate_frames" {
        /// The first frame.
        first: Pfn,
        /// How many.
        count: u32,
    };
}

/// What `wait4` waits for. Which processes there are is known to those who make the tasks, so the kernel asks them.
pub trait Child {
    /// Where the end of the process is announced.
    fn ended(&self) -> &WaitQueue;
    /// Whether the process is over. The kernel asks before each sleep.
    fn is_over(&self) -> bool;
}

impl fmt::Debug for dyn Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_over() { "Child(over)" } else { "Child" })
    }
}

/// What a system call yields.
#[derive(Clone)]
pub enum Returned {
    /// A number: 0 where a call does not say what it yields.
    Number(u64),
    /// The address space of a task that `fork` or `clone` makes; the task is counted among its users.
    AddressSpace(Rc<Mm>),
}

impl Returned {
    /// What is in Linux's return register: of an address space its number, which stands for the task's.
    pub fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::AddressSpace(mm) => u64::from(mm.id()),
        }
    }

    /// The address space that `fork` or `clone` yields.
    ///
    /// # Panics
    /// Of any other call.
    pub fn address_space(self) -> Rc<Mm> {
        match self {
            Self::Number(_) => panic!("only fork and clone yield an address space"),
            Self::AddressSpace(mm) => mm,
        }
    }
}

impl fmt::Debug for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}
