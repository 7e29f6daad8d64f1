//! Two observers of one run.

use std::rc::Rc;

use pagewalk_engine::Cpu;
use pagewalk_kernel::{Errno, FaultEnd, Observer, Shootdown, Syscall, Task};
use pagewalk_mmu::{PageFault, Vaddr, VaddrRange};

/// Tells both of everything; shootdowns have the numbers of the second.
pub struct Both<A, B>(pub Rc<A>, pub Rc<B>);

impl<A: Observer, B: Observer> Observer for Both<A, B> {
    fn ran(&self, current: &Task, began: u64, accesses: u64, miss: Option<Vaddr>) {
        self.0.ran(current, began, accesses, miss);
        self.1.ran(current, began, accesses, miss);
    }

    fn fault_begins(&self, current: &Task, fault: PageFault) {
        self.0.fault_begins(current, fault);
        self.1.fault_begins(current, fault);
    }

    fn fault_ends(&self, current: &Task, end: Option<FaultEnd<'_>>) {
        self.0.fault_ends(current, end);
        self.1.fault_ends(current, end);
    }

    fn syscall_begins(&self, current: &Task, call: Syscall, range: Option<VaddrRange>) {
        self.0.syscall_begins(current, call, range);
        self.1.syscall_begins(current, call, range);
    }

    fn syscall_ends(&self, current: &Task, call: Syscall, error: Option<Errno>) {
        self.0.syscall_ends(current, call, error);
        self.1.syscall_ends(current, call, error);
    }

    fn shootdown_sent(&self, current: &Task, shootdown: Shootdown<'_>) -> u64 {
        self.0.shootdown_sent(current, shootdown);
        self.1.shootdown_sent(current, shootdown)
    }

    fn shootdown_received(&self, cpu: &Cpu, number: u64, began: u64) {
        self.0.shootdown_received(cpu, number, began);
        self.1.shootdown_received(cpu, number, began);
    }

    fn shootdown_done(&self, current: &Task, number: u64) {
        self.0.shootdown_done(current, number);
        self.1.shootdown_done(current, number);
    }
}
