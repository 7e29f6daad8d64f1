//! The current task: a context that belongs to a process.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use pagewalk_engine::Context;

use crate::kernel::Kernel;
use crate::mm::Mm;
use crate::stat::Syscall;

/// Linux's `current`: a thread of a process, on its CPU. Paths take it first, and never keep a CPU's number
/// across a sleep.
pub struct Task {
    cx: Context,
    kernel: Rc<Kernel>,
    mm: RefCell<Rc<Mm>>,
    pid: u32,
    tid: u32,
    min_flt: Cell<u64>,
}

impl Task {
    /// A thread `tid` of process `pid` that runs in `mm` (whose user count includes it).
    pub fn new(cx: Context, kernel: Rc<Kernel>, mm: Rc<Mm>, pid: u32, tid: u32) -> Self {
        Self { cx, kernel, mm: RefCell::new(mm), pid, tid, min_flt: Cell::new(0) }
    }

    /// The kernel it runs on.
    pub fn kernel(&self) -> &Rc<Kernel> {
        &self.kernel
    }

    /// Its address space.
    pub fn mm(&self) -> Rc<Mm> {
        Rc::clone(&self.mm.borrow())
    }

    /// Gives it another address space (`exec_mmap`); yields the old one.
    pub(crate) fn replace_mm(&self, mm: Rc<Mm>) -> Rc<Mm> {
        self.mm.replace(mm)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its number.
    pub fn tid(&self) -> u32 {
        self.tid
    }

    /// Page faults it has had (`min_flt`).
    pub fn min_flt(&self) -> u64 {
        self.min_flt.get()
    }

    pub(crate) fn count_fault(&self) {
        self.min_flt.set(self.min_flt.get() + 1);
    }

    /// Enters the kernel by system call `call`.
    pub fn enter_syscall(&self, call: Syscall) {
        self.enter_kernel(self.kernel.config().syscall);
        self.kernel.stat.syscalls[call as usize].add(1);
    }

    /// Puts an event into the digest of the run: what happened, to what, when.
    pub(crate) fn event(&self, code: u64, object: u64, detail: u64) {
        let engine = self.engine();
        engine.digest_word(code << 56 | u64::from(self.tid) << 16 | u64::from(self.cpu().id().0));
        engine.digest_word(object);
        engine.digest_word(detail);
        engine.digest_word(self.cpu().clock());
    }
}

impl Deref for Task {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.cx
    }
}
