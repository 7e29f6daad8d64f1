//! Address-space switches and TLB flushes.
//!
//! Follows `switch_mm` (include/asm-x86/mmu_context_64.h) and arch/x86/kernel/tlb_64.c of v2.6.27. With PCID the tags are
//! managed as since Linux 4.14 (arch/x86/mm/tlb.c): a few tags per CPU, each with the generation of flushes it has seen.

use std::cell::{Cell, RefCell};
use std::hash::Hash;
use std::rc::Rc;

use pagewalk_engine::{Cpu, CpuId, Digest, Engine};
use pagewalk_mmu::{Asid, BASE_PAGE_BYTES, BASE_SHIFT, Root, Vaddr, VaddrRange};
use pagewalk_pages::{Fix, Mutant};

use crate::kernel::Kernel;
use crate::mm::Mm;
use crate::task::Task;

/// Tags a CPU keeps (`TLB_NR_DYN_ASIDS`, Linux 4.14).
const DYNAMIC_ASIDS: u16 = 6;

/// What a CPU knows of one tag.
#[derive(Clone, Copy, Debug, Default, Hash)]
struct Tag {
    mm: u32,
    tlb_gen: u64,
}

/// `struct tlb_state` of one CPU. Only that CPU touches it.
#[derive(Default)]
pub(crate) struct CpuTlbState {
    /// The address space whose tables are loaded (`active_mm`). An idle CPU keeps it: lazy TLB.
    active: RefCell<Option<Rc<Mm>>>,
    tags: RefCell<[Tag; DYNAMIC_ASIDS as usize]>,
    next_tag: Cell<u16>,
}

pagewalk_engine::keep!(CpuTlbState: active, tags, next_tag);

impl CpuTlbState {
    /// The address space loaded, and every tag.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        digest.absorb(self.active.borrow().as_ref().map_or(0, |mm| u64::from(mm.id())));
        self.tags.borrow().hash(digest);
        digest.absorb(u64::from(self.next_tag.get()));
    }

    /// Whether `mm` is loaded.
    #[inline]
    pub(crate) fn is_active(&self, mm: &Mm) -> bool {
        self.active.borrow().as_ref().is_some_and(|active| active.id() == mm.id())
    }
}

/// What to forget of an address space.
#[derive(Clone, Copy, Debug)]
struct Flush {
    range: VaddrRange,
    /// Pages one by one, or everything.
    single: bool,
    /// The generation that is good after it.
    tlb_gen: u64,
}

impl Kernel {
    /// Whether `cpu`, which asks this of itself, has the tables of `mm` loaded.
    #[inline]
    pub(crate) fn has_loaded(&self, cpu: CpuId, mm: &Mm) -> bool {
        self.hw.look_at_translations(&self.engine, cpu);
        self.cpus[usize::from(cpu.0)].is_active(mm)
    }

    /// The tables that `cpu` has loaded.
    #[inline]
    pub(crate) fn loaded_root(&self, cpu: CpuId) -> Option<Root> {
        self.hw.look_at_translations(&self.engine, cpu);
        self.hw.core(cpu).root()
    }

    /// Does `flush` on `cpu` itself, which has `mm` loaded (`flush_tlb_func`).
    ///
    /// Flushes of different CPUs may arrive in another order than that of their generations. A tag whose generation is
    /// raised past a flush that it has not seen would pass for good after a switch: so where one is missing, everything
    /// goes, and the late one finds its work done.
    fn local_flush(&self, cpu: &Cpu, mm: &Mm, flush: Flush) {
        let core = self.hw.core(cpu.id());
        let Some(Root { asid, .. }) = core.root() else { return };
        self.hw.touch_translations(&self.engine, cpu.id());
        let mut single = flush.single;
        if self.config().pcid {
            let seen = self.generation(cpu.id(), asid);
            if seen >= flush.tlb_gen {
                return;
            }
            single &= seen + 1 == flush.tlb_gen;
            self.note_generation(cpu.id(), asid, mm.id(), flush.tlb_gen);
        }
        if single {
            let pages = flush.range.len() >> BASE_SHIFT;
            for page in 0..pages {
                core.invalidate_page(Vaddr(flush.range.start().0 + page * BASE_PAGE_BYTES), asid);
            }
            cpu.charge(u64::from(self.hw.costs().invlpg) * pages);
            self.stat.nr_tlb_local_flush_one.add(pages);
        } else {
            core.flush_asid(asid);
            cpu.charge(u64::from(self.hw.costs().flush_all));
            self.stat.nr_tlb_local_flush_all.add(1);
        }
    }

    /// The generation of flushes that the tag in use has seen.
    fn generation(&self, cpu: CpuId, asid: Asid) -> u64 {
        self.cpus[usize::from(cpu.0)].tags.borrow()[usize::from(asid.raw()) - 1].tlb_gen
    }

    fn note_generation(&self, cpu: CpuId, asid: Asid, mm: u32, tlb_gen: u64) {
        let state = &self.cpus[usize::from(cpu.0)];
        state.tags.borrow_mut()[usize::from(asid.raw()) - 1] = Tag { mm, tlb_gen };
    }

    /// `smp_invalidate_interrupt`: one step of the receiver.
    fn flush_received(&self, cpu: &Cpu, mm: &Mm, flush: Flush) {
        self.stat.nr_tlb_remote_flush_received.add(1);
        self.hw.look_at_translations(&self.engine, cpu.id());
        if !self.cpus[usize::from(cpu.id().0)].is_active(mm) {
            return;
        }
        // An idle CPU, or one that has not yet switched away from an address space without users.
        if self.engine.is_idle(cpu.id()) || mm.users().load_in_step(&self.engine) == 0 {
            self.leave_mm(cpu, mm);
        } else {
            self.local_flush(cpu, mm, flush);
        }
    }

    /// `leave_mm`: an idle CPU lets go of the address space it kept lazily, so that it gets no more flushes for it.
    fn leave_mm(&self, cpu: &Cpu, mm: &Mm) {
        self.stat.tlb_lazy_leaves.add(1);
        mm.cpu_vm_mask.clear_in_step(&self.engine, cpu.id());
        self.unload(cpu);
    }

    fn unload(&self, cpu: &Cpu) {
        self.cpus[usize::from(cpu.id().0)].active.take();
        let core = self.hw.core(cpu.id());
        self.hw.touch_translations(&self.engine, cpu.id());
        if let Some(Root { asid, .. }) = core.root()
            && !self.config().pcid
        {
            core.flush_asid(asid);
        }
        core.load_root(None, false);
    }

    /// `choose_new_asid`: the tag for `mm` on this CPU, and whether what it holds must be flushed.
    fn choose_asid(&self, cpu: CpuId, mm: &Mm, tlb_gen: u64) -> (Asid, bool) {
        let asid = |slot: u16| Asid::new(slot + 1).expect("a small tag");
        let state = &self.cpus[usize::from(cpu.0)];
        let known = state.tags.borrow().iter().position(|tag| tag.mm == mm.id());
        if let Some(slot) = known {
            let stale = state.tags.borrow()[slot].tlb_gen < tlb_gen;
            return (asid(slot as u16), stale);
        }
        let slot = state.next_tag.get();
        state.next_tag.set((slot + 1) % DYNAMIC_ASIDS);
        (asid(slot), true)
    }
}

/// `switch_mm`: this CPU gets the address space of the current task.
///
///  1. v2.6.27 leaves the old mask here, and a flush may pass over a CPU that still has the old tables;
///  2. join the new mask;
///  3. read the generation of flushes: after 2, so that a flush either sees the CPU or is seen by it;
///  4. load the new tables;
///  5. leave the old mask (831d52bc1539, Linux 2.6.38).
///
/// Interrupts are off, as everywhere in `schedule`: a flush never meets a CPU half-way between two address spaces.
pub(crate) async fn switch_mm(current: &Task, next: &Rc<Mm>) {
    let kernel = current.kernel();
    let cpu = current.cpu().id();
    let state = &kernel.cpus[usize::from(cpu.0)];
    kernel.hw.touch_translations(&kernel.engine, cpu);
    current.local_irq_disable();
    let previous = state.active.replace(Some(Rc::clone(next)));
    let (first, last) =
        if kernel.switches().has(Fix::LeaveMaskLast) { (None, previous) } else { (previous, None) };
    if let Some(previous) = first {
        previous.cpu_vm_mask.clear(current, cpu).await; // 1
    }
    let late = kernel.mutant(Mutant::SwitchMmBitLate);
    if !late {
        next.cpu_vm_mask.set(current, cpu).await; // 2
    }
    kernel.stat.mm_switches.add(1);
    if !kernel.config().pcid {
        let root = Root { table: next.pgd, asid: Asid::default() };
        kernel.hw.load_cr3(current, root, true).await; // 4
    } else {
        let tlb_gen = next.tlb_gen().read_once(current).await; // 3
        let (asid, flush) = kernel.choose_asid(cpu, next, tlb_gen);
        kernel.hw.load_cr3(current, Root { table: next.pgd, asid }, flush).await; // 4
        kernel.note_generation(cpu, asid, next.id(), tlb_gen);
        kernel.stat.mm_switches_kept.add(u64::from(!flush));
    }
    if late {
        next.cpu_vm_mask.set(current, cpu).await; // MUTANT switch-mm-bit-late
    }
    if let Some(previous) = last {
        previous.cpu_vm_mask.clear(current, cpu).await; // 5
    }
    current.charge(kernel.hw.costs().flush_all);
    current.local_irq_enable();
}

/// The end of an address space on this CPU: its tables are about to be freed (`load_cr3(swapper_pg_dir)`).
pub(crate) async fn drop_active_mm(current: &Task, mm: &Mm) {
    let kernel = current.kernel();
    let cpu = current.cpu();
    if kernel.has_loaded(cpu.id(), mm) {
        mm.cpu_vm_mask.clear(current, cpu.id()).await;
        kernel.unload(cpu);
    }
}

/// `flush_tlb_range`: when it returns, no CPU holds a translation of `range` older than the call.
pub(crate) async fn flush_tlb_range(current: &Task, mm: &Rc<Mm>, range: VaddrRange) {
    let kernel = current.kernel();
    kernel.stat.flush_requests.add(1);
    let tlb_gen = if kernel.config().pcid { mm.tlb_gen().fetch_add(current, 1).await + 1 } else { 0 };
    let single = range.len() >> BASE_SHIFT <= kernel.config().tlb_flush_ceiling;
    let flush = Flush { range, single, tlb_gen };
    // The page-table stores that made this flush necessary are visible before the mask is read.
    current.smp_mb();
    if kernel.has_loaded(current.cpu().id(), mm) {
        kernel.local_flush(current.cpu(), mm, flush);
    }
    let others = mm.cpu_vm_mask.others(current).await;
    if others.is_empty() {
        return;
    }
    kernel.stat.nr_tlb_remote_flush.add(1);
    let ticket = kernel.probe().shootdown_sent(current, (range, single), &others);
    let (receiver, flushed) = (Rc::clone(kernel), Rc::clone(mm));
    let act = move |engine: &Engine, cpu: &Cpu| {
        let began = cpu.clock() - u64::from(engine.config().costs.ipi_deliver);
        receiver.flush_received(cpu, &flushed, flush);
        receiver.probe().shootdown_received(cpu, ticket, began);
    };
    kernel.hw.flush_tlb_others(current, &others, act).await;
    kernel.probe().shootdown_done(current, ticket);
}

/// `flush_tlb_mm`: the whole address space.
pub(crate) async fn flush_tlb_mm(current: &Task, mm: &Rc<Mm>) {
    let everything = VaddrRange::new(Vaddr(0), current.kernel().hw.format().user_end()).expect("a range");
    flush_tlb_range(current, mm, everything).await;
}

/// `flush_tlb_page`.
pub(crate) async fn flush_tlb_page(current: &Task, mm: &Rc<Mm>, address: Vaddr) {
    let start = address.align_down(pagewalk_mmu::PageSize::BASE);
    let page = VaddrRange::with_len(start, BASE_PAGE_BYTES).expect("a user page");
    flush_tlb_range(current, mm, page).await;
}
