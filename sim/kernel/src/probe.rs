//! The one seam by which observers learn what the kernel does.
//!
//! A path says what happens, as it would at a tracepoint of Linux: `kernel.probe().discard_begins(..)`. Whether the memory oracle, an
//! [`Observer`](crate::Observer) or nothing listens makes no difference to the path: it takes the same steps at the same cost. Some
//! probes yield a ticket, which names an operation that has begun. A path hands it on to the probe of the operation's end, and can
//! read nothing from it.
//!
//! What the oracle is told is in `check`, beside what the oracle makes of it.

use std::ops::Deref;

use pagewalk_engine::{Cpu, CpuId};
use pagewalk_mmu::{PageFault, Vaddr, VaddrRange};

use crate::call::Syscall;
use crate::kernel::Kernel;
use crate::observe::{FaultEnd, Shootdown};
use crate::paths::Errno;
use crate::task::Task;

/// Where the kernel's text tells observers what happens.
#[derive(Clone, Copy)]
pub struct Probe<'a>(&'a Kernel);

/// A shootdown under way, for its later probes: its number, if somebody watches.
#[derive(Clone, Copy)]
pub(crate) struct ShootdownTicket(Option<u64>);

impl Deref for Probe<'_> {
    type Target = Kernel;

    fn deref(&self) -> &Kernel {
        self.0
    }
}

impl Kernel {
    /// Tells the observers what happens.
    #[inline]
    pub fn probe(&self) -> Probe<'_> {
        Probe(self)
    }
}

impl Probe<'_> {
    /// The program of `current` ran from the clock `began` until now, and finished `accesses` more; then a touch of `miss` missed the
    /// TLBs, or it went on no further for another reason.
    #[inline]
    pub(crate) fn ran(self, current: &Task, began: u64, accesses: u64, miss: Option<Vaddr>) {
        if let Some(observer) = self.observer() {
            observer.ran(current, began, accesses, miss);
        }
    }

    /// A page fault was raised.
    pub(crate) fn fault_begins(self, current: &Task, fault: PageFault) {
        if let Some(observer) = self.observer() {
            observer.fault_begins(current, fault);
        }
    }

    /// It was resolved; `None`: the program may not make the access.
    pub(crate) fn fault_ends(self, current: &Task, end: Option<FaultEnd<'_>>) {
        if let Some(observer) = self.observer() {
            observer.fault_ends(current, end);
        }
    }

    /// `current` calls the kernel; the call may change what `range` translates to.
    pub(crate) fn syscall_begins(self, current: &Task, call: Syscall, range: Option<VaddrRange>) {
        if let Some(observer) = self.observer() {
            observer.syscall_begins(current, call, range);
        }
    }

    /// The call returns.
    pub(crate) fn syscall_ends(self, current: &Task, call: Syscall, error: Option<Errno>) {
        if let Some(observer) = self.observer() {
            observer.syscall_ends(current, call, error);
        }
    }

    /// `current` interrupts the CPUs `receivers`, which are to forget `range`: page by page if `single`, otherwise everything.
    pub(crate) fn shootdown_sent(
        self,
        current: &Task,
        (range, single): (VaddrRange, bool),
        receivers: &[CpuId],
    ) -> ShootdownTicket {
        ShootdownTicket(self.observer().map(|observer| {
            let number = self.number_shootdown();
            observer.shootdown_sent(current, Shootdown { number, range, single, receivers });
            number
        }))
    }

    /// `cpu` was interrupted at the clock `began`, and has done what it was asked to.
    pub(crate) fn shootdown_received(self, cpu: &Cpu, ticket: ShootdownTicket, began: u64) {
        if let (Some(observer), Some(number)) = (self.observer(), ticket.0) {
            observer.shootdown_received(cpu, number, began);
        }
    }

    /// All receivers have acknowledged.
    pub(crate) fn shootdown_done(self, current: &Task, ticket: ShootdownTicket) {
        if let (Some(observer), Some(number)) = (self.observer(), ticket.0) {
            observer.shootdown_done(current, number);
        }
    }
}
