//! Page faults: `do_page_fault` down to `do_anonymous_page`.
//!
//! Follows arch/x86/mm/fault.c and mm/memory.c of v2.6.27.

use std::rc::Rc;

use pagewalk_engine::{ReadGuard, SpinGuard, Word};
use pagewalk_mmu::{PageFault, Pfn, Pte, Vaddr};
use pagewalk_swap::SwapEntry;

use super::copy_on_write::do_wp_page;
use super::event;
use super::file_fault::do_linear_fault;
use super::rmap::page_add_new_anon_rmap;
use super::swap_fault::do_swap_page;
use crate::migrate::migration_entry_wait;
use crate::mm::{Mm, PageKind, Prot, Table, Vma, alloc_table, anon_vma_prepare, pte_word};
use crate::observe::FaultEnd;
use crate::task::Task;
use crate::user::{Segv, Signal};

pub(crate) use crate::latency::FaultKind as Resolved;

/// `struct vm_fault`: one fault on its way through the paths.
pub(crate) struct Fault<'a> {
    /// Whose tables are to be changed: the task's own, or that of the memory a device wants
    /// (`get_user_pages`).
    pub(crate) mm: &'a Rc<Mm>,
    /// Held for reading from the search for the area to the end of the fault: no area changes, no table goes.
    pub(crate) mmap_sem: &'a ReadGuard<'a>,
    /// The area that `address` is in.
    pub(crate) vma: &'a Rc<Vma>,
    /// Where the access was, not rounded to a page.
    pub(crate) address: Vaddr,
    /// The table with the PTE: it is there, whatever the PTE says.
    pub(crate) table: Table,
    /// Whether the access is a store.
    pub(crate) write: bool,
}

impl Fault<'_> {
    /// The PTE of the address. It is read and written by steps: the hardware changes it without the PTL.
    pub(crate) fn pte<'c>(&self, current: &'c Task) -> Word<'c, Pte> {
        pte_word(current, self.table, self.address)
    }

    /// Locks the PTL of the table, under which every change of the PTE by software is made.
    pub(crate) async fn lock<'c>(&self, current: &'c Task) -> SpinGuard<'c> {
        self.table.ptl(current).await
    }
}

/// `do_page_fault`: makes the access possible, or says that the program may not do it.
pub(crate) async fn do_page_fault(current: &Task, fault: PageFault) -> Result<(), Segv> {
    let kernel = current.kernel();
    let began = current.cpu().clock();
    kernel.probe().fault_begins(current, fault);
    current.enter_kernel(kernel.config().fault_entry);
    let mm = current.mm();
    match fault_in(current, &mm, fault).await {
        Ok((kind, vma)) => {
            kernel.stat.fault_latency.record(kind, current.cpu().clock() - began);
            current.event(event::FAULT, fault.vaddr.vpn().0, kind as u64 | u64::from(mm.id()) << 8);
            kernel.probe().fault_ends(current, Some(FaultEnd { fault, area: &vma, kind, began }));
            Ok(())
        }
        Err(signal) => {
            let (counter, code) = match signal {
                Signal::Segv => (&kernel.stat.sigsegv, event::SEGV),
                Signal::Bus => (&kernel.stat.sigbus, event::SIGBUS),
            };
            counter.add(1);
            current.event(code, fault.vaddr.0, u64::from(mm.id()));
            kernel.probe().fault_ends(current, None);
            Err(Segv { vaddr: fault.vaddr, kind: fault.kind, pid: current.pid(), signal })
        }
    }
}

/// The area of the fault and, if the program may do what it attempted there, the fault.
///
///  1. take `mmap_sem` for reading: threads fault beside each other, but not beside `mmap`, `munmap` and
///     `fork`;
///  2. find the area, and check what it allows;
///  3. resolve the fault (`handle_mm_fault`);
///  4. release `mmap_sem`.
///
/// Between the access and 1 another thread may have changed the mapping: what counts is the area that is
/// found now.
pub(crate) async fn fault_in(
    current: &Task,
    mm: &Rc<Mm>,
    fault: PageFault,
) -> Result<(Resolved, Rc<Vma>), Signal> {
    let mmap_sem = mm.mmap_sem.down_read(current).await;
    let vma = mm.areas.get(&mmap_sem).find_vma(fault.vaddr).cloned();
    let good = vma.filter(|vma| vma.range.contains(fault.vaddr) && vma.prot.allows(fault));
    let Some(vma) = good else {
        mmap_sem.up_read().await;
        return Err(Signal::Segv);
    };
    // 3. Whatever it decides, the CPU repeats the access. So a fault that finds somebody else's work done
    // does nothing, and one that has done too little comes again.
    let resolved = handle_mm_fault(current, mm, &mmap_sem, &vma, fault.vaddr, fault.kind.is_write()).await;
    mmap_sem.up_read().await;
    resolved.map(|kind| (kind, vma))
}

/// `handle_mm_fault`: the table for the address, then the fault itself.
pub(crate) async fn handle_mm_fault(
    current: &Task,
    mm: &Rc<Mm>,
    mmap_sem: &ReadGuard<'_>,
    vma: &Rc<Vma>,
    address: Vaddr,
    write: bool,
) -> Result<Resolved, Signal> {
    // Two faults may both find no table; the second one's goes, under `page_table_lock`. Afterwards only an
    // unmapping takes the table away, and that takes `mmap_sem` for writing.
    let table = alloc_table(current, mm, address).await;
    let fault = Fault { mm, mmap_sem, vma, address, table, write };
    let resolved = handle_pte_fault(current, &fault).await?;
    let stat = &current.kernel().stat;
    stat.pgfault.add(1);
    let counters = current.counters();
    let faults = if resolved.is_major() { &counters.maj_flt } else { &counters.min_flt };
    faults.set(faults.get() + 1);
    let kind = match resolved {
        Resolved::FirstTouch => &stat.fault_first_touch,
        Resolved::Copied => &stat.fault_cow_copied,
        Resolved::Permission => &stat.fault_permission,
        Resolved::Spurious => &stat.fault_spurious,
        Resolved::FileMinor => &stat.fault_file_minor,
        Resolved::FileMajor => &stat.fault_file_major,
        Resolved::SwapMinor => &stat.fault_swap_minor,
        Resolved::SwapMajor => &stat.fault_swap_major,
    };
    kind.add(1);
    if resolved == Resolved::FileMajor {
        stat.pgmajfault.add(1);
    }
    Ok(resolved)
}

/// `handle_pte_fault`: what to do is decided on an unlocked look at the PTE, and checked again under the PTL.
///
///  1. read the PTE, without its lock;
///  2. no page, or a swap entry: allocate or read one, which sleeps, and compare before it is mapped;
///  3. a migration entry: wait until the page has moved;
///  4. a page: lock the table, and compare;
///  5. copy the page, or give the permission, that the store needs;
///  6. or note the use.
async fn handle_pte_fault(current: &Task, fault: &Fault<'_>) -> Result<Resolved, Signal> {
    let word = fault.pte(current);
    // 1. It goes along with the fault. Reclaim, migration and other threads may change the PTE at every step
    // up to the PTL; `pte_same` asks there whether the decision still holds (R51).
    let orig = word.read_once(current).await;
    if orig.is_none() {
        return match fault.vma.file() {
            None => Ok(do_anonymous_page(current, fault).await),
            Some(file) => do_linear_fault(current, fault, file).await,
        };
    }
    if let Some(entry) = orig.swap_entry().and_then(SwapEntry::from_word) {
        return Ok(do_swap_page(current, fault, orig, entry).await);
    }
    let ptl = fault.lock(current).await;
    if let Some((pfn, _)) = orig.migration_entry() {
        migration_entry_wait(current, fault, ptl, pfn).await;
        return Ok(Resolved::Spurious);
    }
    if word.read_once(current).await != orig {
        // pte_same: somebody changed it meanwhile; the access decides anew.
        current.mark("handle_pte_fault:pte-changed");
        ptl.unlock().await;
        return Ok(Resolved::Spurious);
    }
    // 5. The PTL goes along: `do_wp_page` decides under the lock that compared.
    if fault.write && !orig.is_writable() {
        return Ok(do_wp_page(current, fault, orig, ptl).await);
    }
    // 6. Nothing was wrong with the PTE by now: another thread was here, or this CPU's TLB denied more than
    // the tables.
    let entry = orig.accessed(true).dirty(orig.is_dirty() || fault.write);
    ptep_set_access_flags(current, fault, orig, entry).await;
    ptl.unlock().await;
    Ok(Resolved::Spurious)
}

/// `ptep_set_access_flags`: an entry that allows more, or that notes a use; it is stored for a write only. Holds the PTL. The
/// hardware may set the bits meanwhile that this store sets, and no others.
///
/// A simplification: v2.6.27 has every CPU flush the page after the store, and after a write that finds its permission there
/// already. Here none does, as in later kernels: what TLBs have denies too much, which does no harm, and the hardware walks again
/// on a denied entry. So faults that only give permission are no shootdowns under any preset.
pub(crate) async fn ptep_set_access_flags(current: &Task, fault: &Fault<'_>, orig: Pte, entry: Pte) {
    if entry != orig && fault.write {
        fault.pte(current).write_once(current, entry).await;
    }
}

/// `do_anonymous_page`: the first touch.
///
///  1. allocate a page and zero it, before the PTL is taken;
///  2. lock the PTL, and back out if another thread was faster;
///  3. count the page and its mapping, and send it on its way to the LRU lists;
///  4. store the PTE, which has the allocation's reference from here on;
///  5. unlock the PTL.
async fn do_anonymous_page(current: &Task, fault: &Fault<'_>) -> Resolved {
    let Fault { mm, vma, address, .. } = *fault;
    let kernel = current.kernel();
    // First, because it sleeps. The page has to name its `anon_vma` before a walk of the reverse mapping can
    // meet it.
    anon_vma_prepare(current, mm, fault.mmap_sem, vma).await;
    // 1. The zeros are there before the PTE is: no thread of the program reads the frame's former contents.
    let page = kernel.alloc_zeroed_page(current, "anonymous memory").await; // 1
    // 2. From here to 5 neither reclaim nor migration, which come by the reverse mapping, can look at this
    // PTE.
    let ptl = fault.lock(current).await; // 2
    let word = fault.pte(current);
    if !word.read_once(current).await.is_none() {
        // Another thread has mapped a page here: it stays, ours goes.
        ptl.unlock().await;
        kernel.zone.put_page(current, page).await;
        return Resolved::Spurious;
    }
    // 3. Before 4: the hardware finds the page as soon as the PTE is stored, and then it may be touched and
    // dirtied.
    mm.add_rss(PageKind::Anon);
    page_add_new_anon_rmap(current, page.pfn(), vma, address).await; // 3
    word.write_once(current, vma_pte(page.into_pfn(), vma.prot).accessed(true).dirty(fault.write)).await; // 4
    ptl.unlock().await; // 5
    Resolved::FirstTouch
}

/// `mk_pte` with the area's protection (`maybe_mkwrite`).
pub(crate) fn vma_pte(pfn: Pfn, prot: Prot) -> Pte {
    Pte::page(pfn).writable(prot.write).executable(prot.exec).user(prot.any())
}
