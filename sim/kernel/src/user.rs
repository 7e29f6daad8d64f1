//! A program running: the TLB-hit loop, and what leaves it.

use std::rc::Rc;

use pagewalk_engine::Context;
use pagewalk_mmu::{
    Access, AccessKind, AccessObserver, Core, PageFault, Position, Root, RunEnd, Vaddr, complete_touch,
    run_hits,
};

use crate::paths::{do_page_fault, event};
use crate::task::Task;
use crate::tlb::switch_mm;

/// An access that a program may not make. The kernel counts it; the access is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segv {
    /// Virtual address of the access.
    pub vaddr: Vaddr,
    /// What was attempted.
    pub kind: AccessKind,
    /// Number of the process, as the trace gives it.
    pub pid: u32,
    /// What was wrong.
    pub signal: Signal,
}

/// What a program gets for an access that it may not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `SIGSEGV`: nothing is mapped there, or the protection forbids it.
    Segv,
    /// `SIGBUS`: the page is beyond the end of the file that is mapped there.
    Bus,
}

/// Runs `accesses` of the current task's program to their end. Accesses that the program may not make are skipped;
/// the first of them is returned.
pub async fn run_program(current: &Task, accesses: &[Access]) -> Option<Segv> {
    let mut at = Position::default();
    let mut first_segv = None;
    let mut told = Told(0);
    while at.index < accesses.len() {
        current.remember(&[at.index as u64, u64::from(at.second_half), u64::from(first_segv.is_some())]);
        let (root, limit) = return_to_user(current).await;
        let core = current.kernel().hw.core(current.cpu().id());
        let mut before = at.index;
        let began = current.cpu().clock();
        match run_until_event(current, core, root, accesses, &mut at, limit) {
            RunEnd::Done | RunEnd::Limit => told.tell(current, began, at.index, None),
            RunEnd::Miss { vaddr, kind } => {
                told.tell(current, began, at.index, Some(vaddr));
                if let Err(segv) = miss(current, core, root, accesses, &mut at, vaddr, kind).await {
                    first_segv.get_or_insert(segv);
                    at = Position { index: at.index + 1, second_half: false };
                    before += 1; // skipped, not executed
                    told.0 += 1;
                }
            }
        }
        let finished = &current.counters().accesses;
        finished.set(finished.get() + (at.index - before) as u64);
        current.kernel().note_accesses(current, (at.index - before) as u64);
    }
    if told.0 < at.index {
        told.tell(current, current.cpu().clock(), at.index, None);
    }
    first_segv
}

/// How many of the accesses the observer has been told of, those skipped included.
struct Told(usize);

impl Told {
    /// The program ran from the clock `began` on, and has finished the accesses before `index`.
    #[inline]
    fn tell(&mut self, current: &Task, began: u64, index: usize, miss: Option<Vaddr>) {
        current.kernel().probe().ran(current, began, (index - self.0) as u64, miss);
        self.0 = index;
    }
}

/// Loads the address space of the current task, which the kernel is about to use.
pub(crate) async fn load_mm(current: &Task) -> Root {
    let kernel = current.kernel();
    loop {
        let mm = current.mm();
        if !kernel.has_loaded(current.cpu().id(), &mm) {
            switch_mm(current, &mm).await;
            current.event(event::SWITCH, u64::from(mm.id()), 0);
        }
        if let Some(root) = kernel.loaded_root(current.cpu().id()) {
            return root;
        }
    }
}

/// The way back to user mode: let others run if the quantum is over, load the address space, go.
async fn return_to_user(current: &Task) -> (Root, u64) {
    let kernel = current.kernel();
    loop {
        current.cond_resched().await;
        let mm = current.mm();
        if !kernel.has_loaded(current.cpu().id(), &mm) {
            switch_mm(current, &mm).await;
            current.event(event::SWITCH, u64::from(mm.id()), 0);
        }
        let limit = current.run_user().await;
        // An idle CPU may have let go of the address space meanwhile, never one with a task on it.
        if let Some(root) = kernel.loaded_root(current.cpu().id()) {
            return (root, limit);
        }
    }
}

/// The synchronous part: accesses that hit, until one misses or the time is up.
fn run_until_event(
    current: &Task,
    core: &Core,
    root: Root,
    accesses: &[Access],
    at: &mut Position,
    limit: u64,
) -> RunEnd {
    let kernel = current.kernel();
    kernel.hw.look_at_translations(&kernel.engine, current.cpu().id());
    let mut clock = current.cpu().clock();
    let mut tlb = core.tlb().borrow_mut();
    let cost = kernel.hw.costs().access;
    let end = match kernel.witness(current) {
        None => run_hits(&mut tlb, root.asid, accesses, at, &mut clock, limit, cost, &mut ()),
        Some(mut witness) => {
            run_hits(&mut tlb, root.asid, accesses, at, &mut clock, limit, cost, &mut witness)
        }
    };
    current.cpu().advance_to(clock);
    end
}

/// A touch that missed: the hardware walks, and executes the touch in the last step of the walk; or the walk faults
/// and the kernel decides. No interrupt is delivered inside the instruction.
async fn miss(
    current: &Task,
    core: &Core,
    root: Root,
    accesses: &[Access],
    at: &mut Position,
    vaddr: Vaddr,
    kind: AccessKind,
) -> Result<(), Segv> {
    let kernel = current.kernel();
    let cx: &Context = current;
    cx.begin_instruction();
    let walked = kernel.hw.walk(cx, root, vaddr, kind).await;
    if let Ok(entry) = walked {
        cx.charge(kernel.hw.costs().access);
        if let Some(mut witness) = kernel.witness(current) {
            witness.touch(vaddr, entry.base_frame(vaddr), kind);
        }
        complete_touch(&mut core.tlb().borrow_mut(), accesses, at);
    }
    cx.end_instruction();
    match walked {
        Ok(_) => Ok(()),
        Err(fault) => page_fault(current, fault).await,
    }
}

async fn page_fault(current: &Task, fault: PageFault) -> Result<(), Segv> {
    let kernel = Rc::clone(current.kernel());
    kernel.enters();
    let resolved = do_page_fault(current, fault).await;
    kernel.leaves(current, None);
    resolved
}
