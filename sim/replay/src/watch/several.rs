//! Several observers of one run.

use std::rc::Rc;

use pagewalk_engine::Cpu;
use pagewalk_kernel::{Errno, FaultEnd, Observer, Shootdown, Syscall, Task};
use pagewalk_mmu::{PageFault, Vaddr, VaddrRange};

/// Tells all of everything, in their order.
pub struct Several(pub Vec<Rc<dyn Observer>>);

impl Observer for Several {
    fn ran(&self, current: &Task, began: u64, accesses: u64, miss: Option<Vaddr>) {
        self.0.iter().for_each(|observer| observer.ran(current, began, accesses, miss));
    }

    fn fault_begins(&self, current: &Task, fault: PageFault) {
        self.0.iter().for_each(|observer| observer.fault_begins(current, fault));
    }

    fn fault_ends(&self, current: &Task, end: Option<FaultEnd<'_>>) {
        self.0.iter().for_each(|observer| observer.fault_ends(current, end));
    }

    fn syscall_begins(&self, current: &Task, call: Syscall, range: Option<VaddrRange>) {
        self.0.iter().for_each(|observer| observer.syscall_begins(current, call, range));
    }

    fn syscall_ends(&self, current: &Task, call: Syscall, error: Option<Errno>) {
        self.0.iter().for_each(|observer| observer.syscall_ends(current, call, error));
    }

    fn shootdown_sent(&self, current: &Task, shootdown: Shootdown<'_>) {
        self.0.iter().for_each(|observer| observer.shootdown_sent(current, shootdown));
    }

    fn shootdown_received(&self, cpu: &Cpu, number: u64, began: u64) {
        self.0.iter().for_each(|observer| observer.shootdown_received(cpu, number, began));
    }

    fn shootdown_done(&self, current: &Task, number: u64) {
        self.0.iter().for_each(|observer| observer.shootdown_done(current, number));
    }
}
