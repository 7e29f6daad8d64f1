//! Where a run's misses and faults come from: by mapping, thread, page and time. Bounded memory; exact but for the pages.

mod areas;
mod epochs;
mod pages;
mod several;

use std::cell::{Ref, RefCell};

use pagewalk_engine::ContextId;
use pagewalk_kernel::{Errno, FaultEnd, FaultKind, Observer, Syscall, Task};
use pagewalk_mmu::Vaddr;

pub use self::areas::{Owner, Row, Rows, What};
pub use self::epochs::{Counts, Epoch, Epochs, Gauges};
pub use self::pages::{HotPages, Page};
pub use self::several::Several;
use areas::{Recent, area_of};

/// What one thread did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The trace it is from.
    pub trace: usize,
    /// Number of the process it belongs to, as the trace gives it.
    pub pid: u32,
    /// Number of the thread, as the trace gives it.
    pub tid: u32,
    /// Accesses finished.
    pub accesses: u64,
    /// Touches that missed the TLBs.
    pub misses: u64,
    /// Page faults resolved.
    pub faults: u64,
    /// Those that waited for a disk.
    pub major: u64,
}

/// What is known so far.
pub struct Seen {
    /// By mapping.
    pub rows: Rows,
    /// By thread, in the order of their beginnings.
    pub threads: Vec<Thread>,
    /// By page.
    pub pages: HotPages,
    /// By time.
    pub epochs: Epochs,
    /// What reclaim and swap had done at the last look.
    counts: Counts,
    /// By context number: its thread, and where it missed last.
    contexts: Vec<(usize, Recent)>,
}

/// The observer that counts.
pub struct Watch(RefCell<Seen>);

impl Watch {
    /// A run about to begin, with at least so many epochs in the end if it is long enough.
    pub fn new(epochs: usize) -> Self {
        Self(RefCell::new(Seen {
            rows: Rows::default(),
            threads: Vec::new(),
            pages: HotPages::default(),
            epochs: Epochs::new(2 * epochs.max(1)),
            counts: Counts::default(),
            contexts: Vec::new(),
        }))
    }

    /// Context `id` is thread `tid` of process `pid` of a trace from now on.
    pub fn thread(&self, id: ContextId, trace: usize, pid: u32, tid: u32) {
        let seen = &mut *self.0.borrow_mut();
        let index = id.number() as usize;
        if seen.contexts.len() <= index {
            seen.contexts.resize(index + 1, (usize::MAX, Recent::default()));
        }
        seen.contexts[index] = (seen.threads.len(), Recent::default());
        seen.threads.push(Thread { trace, pid, tid, ..Thread::default() });
    }

    /// What was seen.
    pub fn seen(&self) -> Ref<'_, Seen> {
        self.0.borrow()
    }
}

impl Seen {
    /// The row of the mapping that `address` is in.
    #[inline]
    fn row(&mut self, current: &Task, address: Vaddr) -> usize {
        let recent = &self.contexts[current.id().number() as usize].1;
        if recent.holds(address, self.rows.generation) { recent.row } else { self.look_up(current, address) }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&mut self, current: &Task, address: Vaddr) -> usize {
        let (thread, recent) = &mut self.contexts[current.id().number() as usize];
        let Thread { trace, pid, .. } = self.threads[*thread];
        let rows = &mut self.rows;
        let (row, range) =
            area_of(current, address, |area| (rows.find((trace, pid), area), area.map(|area| area.range)));
        *recent = Recent::of(range, row, rows.generation);
        row
    }

    /// The thread of `current`; none if it is not one of a trace.
    #[inline]
    fn thread(&mut self, current: &Task) -> Option<&mut Thread> {
        let (thread, _) = self.contexts.get(current.id().number() as usize)?;
        self.threads.get_mut(*thread)
    }

    fn look_at_memory(&mut self, current: &Task) {
        let kernel = current.kernel();
        let now = Counts::of(kernel);
        let epoch = self.epochs.at(current.cpu().clock());
        if now != self.counts {
            epoch.counts = epoch.counts.plus(now.since(self.counts));
            self.counts = now;
        }
        epoch.gauges = Some(Gauges::of(kernel));
    }
}

impl Observer for Watch {
    fn ran(&self, current: &Task, began: u64, accesses: u64, miss: Option<Vaddr>) {
        let seen = &mut *self.0.borrow_mut();
        let now = current.cpu().clock();
        seen.epochs.ran(began, now, (accesses, u64::from(miss.is_some())));
        let Some((thread, recent)) = seen.contexts.get(current.id().number() as usize) else { return };
        let Some(thread) = seen.threads.get_mut(*thread) else { return };
        thread.accesses += accesses;
        let Some(address) = miss else { return };
        thread.misses += 1;
        let known = recent.holds(address, seen.rows.generation);
        let row = if known { recent.row } else { seen.look_up(current, address) };
        seen.rows.row_mut(row).misses += 1;
        seen.pages.missed(address.vpn(), row);
    }

    fn fault_ends(&self, current: &Task, end: Option<FaultEnd<'_>>) {
        let seen = &mut *self.0.borrow_mut();
        seen.look_at_memory(current);
        let Some(end) = end else { return };
        let major = u64::from(end.kind.is_major());
        let epoch = seen.epochs.at(current.cpu().clock());
        epoch.pgfault += 1;
        epoch.pgmajfault += major;
        let Some(thread) = seen.thread(current) else { return };
        thread.faults += 1;
        thread.major += major;
        let row = seen.row(current, end.fault.vaddr);
        seen.rows.row_mut(row).faults[end.kind as usize - 1] += 1;
        seen.pages.faulted(end.fault.vaddr.vpn(), row);
    }

    fn syscall_ends(&self, current: &Task, call: Syscall, _: Option<Errno>) {
        let seen = &mut *self.0.borrow_mut();
        // Other calls leave the areas as they are.
        let maps = matches!(
            call,
            Syscall::Mmap
                | Syscall::Munmap
                | Syscall::Mremap
                | Syscall::Mprotect
                | Syscall::Brk
                | Syscall::Fork
                | Syscall::Execve
                | Syscall::Exit
        );
        seen.rows.generation += u64::from(maps);
        seen.look_at_memory(current);
    }
}

/// Faults of a row that waited for a disk.
pub fn major(faults: &[u64; FaultKind::COUNT]) -> u64 {
    FaultKind::ALL.iter().filter(|kind| kind.is_major()).map(|&kind| faults[kind as usize - 1]).sum()
}
