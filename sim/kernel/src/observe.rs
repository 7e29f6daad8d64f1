//! What somebody who watches a run is told: where accesses miss, and what enters the kernel and leaves it.
//!
//! An [`Observer`] looks from outside. It is called between steps, takes none, and must not change the run: the digest of
//! a run is the same with and without one. It is not called for accesses that hit.

use pagewalk_engine::{Cpu, CpuId};
use pagewalk_mmu::{PageFault, Vaddr, VaddrRange};

use crate::call::Syscall;
use crate::latency::FaultKind;
use crate::mm::Vma;
use crate::paths::Errno;
use crate::task::Task;

/// The end of a page fault.
#[derive(Clone, Copy)]
pub struct FaultEnd<'a> {
    /// What the hardware reported.
    pub fault: PageFault,
    /// The area it was in.
    pub area: &'a Vma,
    /// How it was resolved.
    pub kind: FaultKind,
    /// The clock when the fault was raised, in cycles.
    pub began: u64,
}

/// A request to other CPUs to flush their TLBs.
#[derive(Clone, Copy, Debug)]
pub struct Shootdown<'a> {
    /// Which of the run's, counted while somebody watches.
    pub number: u64,
    /// What is to be forgotten.
    pub range: VaddrRange,
    /// Page by page; otherwise everything of the address space.
    pub single: bool,
    /// Who is interrupted.
    pub receivers: &'a [CpuId],
}

/// Somebody who watches a run. Every method does nothing unless it is defined.
pub trait Observer {
    /// The program of `current` ran from the clock `began` until now, and finished `accesses` more (one that missed before
    /// counts here); then a touch of `miss` missed the TLBs, or it went on no further for another reason.
    fn ran(&self, _current: &Task, _began: u64, _accesses: u64, _miss: Option<Vaddr>) {}

    /// A page fault was raised.
    fn fault_begins(&self, _current: &Task, _fault: PageFault) {}

    /// It was resolved; or `None`: the program may not make the access, which is skipped.
    fn fault_ends(&self, _current: &Task, _end: Option<FaultEnd<'_>>) {}

    /// `current` calls the kernel; the call may change what `range` translates to.
    fn syscall_begins(&self, _current: &Task, _call: Syscall, _range: Option<VaddrRange>) {}

    /// The call returns.
    fn syscall_ends(&self, _current: &Task, _call: Syscall, _error: Option<Errno>) {}

    /// `current` interrupts other CPUs.
    fn shootdown_sent(&self, _current: &Task, _shootdown: Shootdown<'_>) {}

    /// `cpu` was interrupted at the clock `began` by the shootdown of this number, and has done what it was asked to.
    fn shootdown_received(&self, _cpu: &Cpu, _number: u64, _began: u64) {}

    /// All receivers have acknowledged.
    fn shootdown_done(&self, _current: &Task, _number: u64) {}
}
