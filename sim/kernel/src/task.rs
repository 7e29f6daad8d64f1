//! The current task: a context that belongs to a process.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use pagewalk_engine::Context;

use crate::call::Syscall;
use crate::kernel::Kernel;
use crate::mm::Mm;

/// What a task has done.
#[derive(Debug, Default)]
pub struct TaskCounters {
    /// Page faults it has had (`min_flt`).
    pub min_flt: Cell<u64>,
    /// Those that had to wait for a disk (`maj_flt`).
    pub maj_flt: Cell<u64>,
    /// Accesses it has finished.
    pub accesses: Cell<u64>,
}

/// Linux's `current`: a thread of a process, on its CPU. Paths take it first, and never keep a CPU's number
/// across a sleep.
pub struct Task {
    cx: Context,
    kernel: Rc<Kernel>,
    /// None of a kernel thread.
    mm: RefCell<Option<Rc<Mm>>>,
    pid: u32,
    tid: u32,
    counters: Rc<TaskCounters>,
}

impl Task {
    /// A thread `tid` of process `pid` that runs in `mm` (whose user count includes it).
    pub fn new(cx: Context, kernel: Rc<Kernel>, mm: Rc<Mm>, pid: u32, tid: u32) -> Self {
        Self { cx, kernel, mm: RefCell::new(Some(mm)), pid, tid, counters: Rc::default() }
    }

    /// A kernel thread: it has no address space and no program.
    pub fn kernel_thread(cx: Context, kernel: Rc<Kernel>) -> Self {
        Self { cx, kernel, mm: RefCell::default(), pid: 0, tid: 0, counters: Rc::default() }
    }

    /// The kernel it runs on.
    pub fn kernel(&self) -> &Rc<Kernel> {
        &self.kernel
    }

    /// Its address space.
    ///
    /// # Panics
    /// Of a kernel thread, which has none.
    pub fn mm(&self) -> Rc<Mm> {
        Rc::clone(self.mm.borrow().as_ref().expect("a kernel thread has no address space"))
    }

    /// The memory group that pages it allocates are charged to.
    pub(crate) fn group(&self) -> u16 {
        self.mm.borrow().as_ref().map_or(0, |mm| mm.group.get())
    }

    /// Gives it another address space (`exec_mmap`); yields the old one.
    pub(crate) fn replace_mm(&self, mm: Rc<Mm>) -> Rc<Mm> {
        self.mm.replace(Some(mm)).expect("a kernel thread executes no program")
    }

    /// Number of the process it belongs to, as the trace gives it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Number of the thread, as the trace gives it.
    pub fn tid(&self) -> u32 {
        self.tid
    }

    /// What it has done, also after its end.
    pub fn counters(&self) -> &Rc<TaskCounters> {
        &self.counters
    }

    /// Enters the kernel by system call `call`.
    pub(crate) fn enter_syscall(&self, call: Syscall) {
        self.enter_kernel(self.kernel.config().syscall);
        self.kernel.tick(self.cpu());
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
