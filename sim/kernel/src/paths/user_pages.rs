//! The kernel and the memory of programs: `get_user_pages`, and `copy_to_user` and `copy_from_user` as far as memory goes.
//!
//! Follows mm/memory.c of v2.6.27 (`get_user_pages`, `follow_page`).

use std::rc::Rc;

use pagewalk_engine::{Context, ReadGuard};
use pagewalk_mmu::{AccessKind, AccessObserver, BASE_PAGE_BYTES, PageFault, Root, Vaddr};
use pagewalk_pages::{Fix, PG_DIRTY, Pin};

use super::fault::{Resolved, fault_in, handle_mm_fault};
use crate::check::PinTicket;
use crate::fs::{mark_page_accessed, set_page_dirty};
use crate::mm::{Mm, Vma, find_table, pte_word};
use crate::task::Task;
use crate::user::load_mm;

/// `get_user_pages` for one page: the page that the program has at `address`, pinned, for a device to read, or to write. `None` if
/// the program may not do the same.
pub(crate) async fn get_user_pages<'a>(
    current: &'a Task,
    address: Vaddr,
    write: bool,
) -> Option<(Pin<'a>, PinTicket)> {
    let mm = current.mm();
    // Held over look and fault: the area and its tables stay. Once it is released the pin is all there is:
    // `munmap`, truncation and reclaim may take the page away from the program, but not free it.
    let mmap_sem = mm.mmap_sem.down_read(current).await;
    let vma = mm.areas.get(&mmap_sem).find_vma(address).cloned();
    let allowed = |vma: &Rc<Vma>| if write { vma.prot.write } else { vma.prot.read };
    // Before the pin. A fork takes `mmap_sem` for writing, so it sees the pin and the mark, or neither.
    if write && current.kernel().switches().has(Fix::ForkCopiesPinned) {
        mm.set_has_pinned(current.engine());
    }
    let page = match vma.filter(|vma| vma.range.contains(address) && allowed(vma)) {
        Some(vma) => pin(current, &mm, &mmap_sem, &vma, address, write).await,
        None => None,
    };
    mmap_sem.up_read().await;
    page
}

/// Looks for the page, and faults until it is there.
///
///  1. look for the page under the PTL, and take a reference;
///  2. if it is not mapped, or not for writing, fault and look again.
///
/// After a fault that has copied the page, v2.6.27 looks for it as for reading, because the entry of a copy need not be
/// writable. If the copy is discarded between the two looks, the next fault maps the file's own page, and the device
/// writes to that (19be0eaffa3a).
async fn pin<'a>(
    current: &'a Task,
    mm: &Rc<Mm>,
    mmap_sem: &ReadGuard<'_>,
    vma: &Rc<Vma>,
    address: Vaddr,
    write: bool,
) -> Option<(Pin<'a>, PinTicket)> {
    let mut wanted = write;
    loop {
        current.cond_resched().await;
        // 1. Under the PTL, not on trust in the fault of the last round: the page may be gone again.
        if let Some(found) = follow_page(current, mm, address, wanted, write).await {
            return Some(found); // 1
        }
        // 2. Between this fault and the next look nobody holds the PTL. Reclaim, or another thread's
        // `MADV_DONTNEED`, may clear the PTE again: hence the loop, without a bound.
        let resolved = handle_mm_fault(current, mm, mmap_sem, vma, address, wanted).await.ok()?; // 2
        let may_write = matches!(resolved, Resolved::Copied | Resolved::Permission);
        // Since 19be0eaffa3a (Linux 4.9) what is remembered is that a copy was made (`FOLL_COW`), and the PTE
        // has to be dirty: the look stays one for writing (R45).
        if may_write && !current.kernel().switches().has(Fix::FollWriteCow) {
            wanted = false;
        }
    }
}

/// `follow_page`: the page that the tables have, if its entry is good enough; `fill` says that a device will write to it.
///
///  1. find the table and lock it;
///  2. refuse an entry that is not present, or not writable where that is asked;
///  3. take the reference;
///  4. mark the page dirty, if it will be written to, and used;
///  5. unlock the table.
async fn follow_page<'a>(
    current: &'a Task,
    mm: &Mm,
    address: Vaddr,
    write: bool,
    fill: bool,
) -> Option<(Pin<'a>, PinTicket)> {
    let zone = &current.kernel().zone;
    // 1. A lockless walk, as `get_user_pages_fast` does it, is not modelled (R49).
    let table = find_table(current, mm, address).await.ok()?;
    let ptl = table.ptl(current).await;
    let pte = pte_word(current, table, address).read_once(current).await;
    if !pte.is_present() || (write && !pte.is_writable()) {
        ptl.unlock().await;
        return None;
    }
    // 3. The PTE has a reference as long as its lock is held, so the count is not 0 and a plain increment
    // does.
    let page = zone.pin_page(current, pte.pfn(), fill).await;
    let ticket = if fill { current.kernel().probe().pinned(mm, address) } else { PinTicket::default() };
    // 4. Reclaim and writeback must not take the page for clean while a device fills it. The flag may be
    // cleared again before the device has finished: callers mark the page once more after the transfer.
    if write && !pte.is_dirty() && !zone.memory.words(pte.pfn()).flags().test_bit(current, PG_DIRTY).await {
        set_page_dirty(current, pte.pfn()).await;
    }
    mark_page_accessed(current, page.page()).await;
    ptl.unlock().await;
    Some((page, ticket))
}

/// `copy_to_user` (with `write`) and `copy_from_user`: touches `len` bytes of the program's memory from `address` on, page by
/// page, with the rights that the program has. What the program may not touch ends it; true if there was none.
pub(crate) async fn touch_user(current: &Task, address: Vaddr, len: u64, write: bool) -> bool {
    let kind = if write { AccessKind::Store } else { AccessKind::Load };
    let Some(end) = address.checked_add(len) else { return false };
    let mut next = address;
    while next < end {
        // More than once where reclaim unmaps the page between fault and access.
        while let Err(fault) = touch_page(current, next, kind).await {
            let mm = current.mm();
            current.enter_kernel(current.kernel().config().fault_entry);
            if fault_in(current, &mm, fault).await.is_err() {
                return false;
            }
        }
        let Some(following) = Vaddr(next.0 & !(BASE_PAGE_BYTES - 1)).checked_add(BASE_PAGE_BYTES) else {
            return true;
        };
        next = following;
    }
    true
}

/// One access by the CPU in kernel mode, through its TLB, as one instruction. It is none of the program's: only misses count.
async fn touch_page(current: &Task, vaddr: Vaddr, kind: AccessKind) -> Result<(), PageFault> {
    let root = load_mm(current).await;
    let cx: &Context = current;
    // No interrupt comes between translation and access, so no flush of this CPU's TLB does.
    cx.begin_instruction();
    let touched = access(current, root, vaddr, kind).await;
    cx.end_instruction();
    touched
}

async fn access(current: &Task, root: Root, vaddr: Vaddr, kind: AccessKind) -> Result<(), PageFault> {
    let kernel = current.kernel();
    current.charge(kernel.hw.costs().access);
    let core = kernel.hw.core(current.cpu().id());
    current.kernel().hw.look_at_translations(current.engine(), current.cpu().id());
    let hit = core.tlb().borrow().peek(vaddr, root.asid, kind);
    let Some(entry) = hit else {
        let entry = kernel.hw.walk(current, root, vaddr, kind).await?;
        if let Some(mut witness) = kernel.witness(current) {
            witness.touch(vaddr, entry.base_frame(vaddr), kind);
        }
        return Ok(());
    };
    let pfn = entry.base_frame(vaddr);
    let touch = || {
        if let Some(mut witness) = kernel.witness(current) {
            witness.touch(vaddr, pfn, kind);
        }
    };
    if kind.is_write() {
        let change = |_| {
            touch();
            kernel.zone.memory.stamp(pfn)
        };
        kernel.zone.memory.change_page(current, pfn, change).await;
    } else {
        kernel.zone.memory.read_page(current, pfn).await;
        touch();
    }
    Ok(())
}
