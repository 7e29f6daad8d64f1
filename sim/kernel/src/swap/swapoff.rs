//! `try_to_unuse` and `swapoff`: everything that is in a swap area comes back to memory.
//!
//! Follows mm/swapfile.c of v2.6.27.

use std::rc::Rc;

use pagewalk_mmu::{Pfn, Pte, Vaddr, VaddrRange};
use pagewalk_pagecache::{lock_page, unlock_page, wait_on_page_locked, wait_on_page_writeback};
use pagewalk_pages::{Fix, PG_DIRTY, PG_SWAPCACHE, PG_WRITEBACK, PageRef};
use pagewalk_swap::{
    SwapEntry, abort_swapoff, begin_swapoff, delete_from_swap_cache, find_next_to_unuse, finish_swapoff,
    reset_overflow, swap_count, swap_free, swapon,
};

use super::page_io::swap_writepage;
use super::swapin::read_swap_cache_async;
use crate::mm::{Mm, PageKind, Table, Vma, find_table, next_boundary, pte_word};
use crate::paths::{Errno, mmput, page_add_anon_rmap, vma_pte};
use crate::shmem::shmem_unuse;
use crate::task::Task;

/// Whether a swapoff is under way, for whoever finds memory out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SwapoffState {
    /// None is.
    #[default]
    None,
    /// One is, of this area, by the context of this number (`PF_SWAPOFF`).
    Running {
        /// The area.
        area: u8,
        /// The context.
        context: u32,
    },
    /// It gives up: what it brings back is more than memory holds. Its area is in use again.
    Killed,
}

/// `sys_swapoff`.
///
///  1. let nothing more be allocated from the area;
///  2. bring everything in it back to memory ([`try_to_unuse`]);
///  3. forget the area.
///
/// # Errors
/// `EINVAL` if the area is not in use, `ENOMEM` if memory and the other areas cannot take what is on it: it stays in use then.
pub(crate) async fn do_swapoff(current: &Task, area: u8) -> Result<(), Errno> {
    let kernel = current.kernel();
    if area >= kernel.swap.nr_areas() {
        return Err(Errno::Einval);
    }
    // security_vm_enough_memory, as far as there is an answer: what is free, and what is cached and clean.
    let cached = kernel.cache.nr_file_pages().saturating_sub(kernel.cache.nr_file_dirty());
    let free = u64::from(kernel.zone.nr_free_pages()) + cached;
    if kernel.swapoff.get() != SwapoffState::None || !begin_swapoff(current, &kernel.swap, area, free).await {
        return Err(Errno::Enomem); // 1
    }
    kernel.swapoff.set(SwapoffState::Running { area, context: current.id().number() });
    let emptied = try_to_unuse(current, area).await; // 2
    let state = kernel.swapoff.replace(SwapoffState::None);
    if state == SwapoffState::Killed {
        return Err(Errno::Enomem);
    }
    if !emptied {
        current.mark("swapoff:no-memory");
        abort_swapoff(current, &kernel.swap, area).await;
        return Err(Errno::Enomem);
    }
    kernel.drain_mmlist(current).await;
    finish_swapoff(current, &kernel.swap, area).await; // 3
    Ok(())
}

/// Memory is out while a swapoff brings everything back: then that is what has to give up (mm/oom_kill.c chooses a task with `PF_SWAPOFF`
/// before any other). False if none is under way, or it is the caller's own.
///
/// Linux kills the task, which then puts the area in use again, once it has got the lock that it may be waiting for; who holds that may
/// be waiting for memory. So the area is put in use here.
pub(crate) async fn kill_swapoff(current: &Task) -> bool {
    let kernel = current.kernel();
    match kernel.swapoff.get() {
        SwapoffState::Running { area, context } if context != current.id().number() => {
            current.mark("out_of_memory:kills-swapoff");
            kernel.swapoff.set(SwapoffState::Killed);
            abort_swapoff(current, &kernel.swap, area).await;
            true
        }
        _ => false,
    }
}

/// `sys_swapon` of an area that was taken off.
///
/// # Errors
/// `EINVAL` if there is no such area, or it is in use.
pub(crate) async fn do_swapon(current: &Task, area: u8) -> Result<(), Errno> {
    let swap = &current.kernel().swap;
    if area < swap.nr_areas() && swapon(current, swap, area).await { Ok(()) } else { Err(Errno::Einval) }
}

/// `try_to_unuse`. False if there was no memory for a page.
///
/// For each entry in use:
///  1. bring its page to memory, unless the entry was freed meanwhile;
///  2. lock the page, once it is under no writeback;
///  3. let every PTE that names the entry map the page;
///  4. write the page out if PTEs still name the entry;
///  5. take it out of the swap cache;
///  6. mark it dirty: its copy is gone.
async fn try_to_unuse(current: &Task, area: u8) -> bool {
    let kernel = current.kernel();
    let (zone, swap) = (&kernel.zone, &kernel.swap);
    let mut after = 0;
    while let Some(entry) = find_next_to_unuse(current, swap, area, after).await {
        after = entry.offset();
        if kernel.swapoff.get() == SwapoffState::Killed {
            return false;
        }
        let Some(page) = read_swap_cache_async(current, entry).await else {
            if swap_count(current, swap, entry).await == 0 {
                continue; // 1. freed meanwhile
            }
            return false;
        };
        let pfn = page.pfn();
        wait_on_page_locked(current, zone, pfn).await; // 2
        wait_on_page_writeback(current, zone, pfn).await;
        lock_page(current, zone, pfn).await;
        wait_on_page_writeback(current, zone, pfn).await;
        unuse_entry(current, entry, &page).await; // 3
        reset_overflow(current, swap, entry).await;
        let words = zone.memory.words(pfn);
        let both = 1 << PG_DIRTY | 1 << PG_SWAPCACHE;
        if swap_count(current, swap, entry).await > 1 && words.flags().read_once(current).await & both == both
        {
            current.mark("try_to_unuse:written-out");
            swap_writepage(current, pfn).await; // 4
            lock_page(current, zone, pfn).await;
            wait_on_page_writeback(current, zone, pfn).await;
        }
        if may_delete(current, entry, pfn).await {
            delete_from_swap_cache(current, swap, pfn).await; // 5
        }
        words.flags().set_bit(current, PG_DIRTY).await; // 6
        unlock_page(current, zone, pfn).await;
        zone.put_page(current, page).await;
        current.cond_resched().await;
        if !kernel.io.is_busy(&kernel.engine) {
            // Whoever still has entries may be on this CPU.
            current.yield_cpu().await;
        }
    }
    true
}

/// Whether the page may leave the swap cache: since 2.6.29 only from the entry that is being freed; it may have another by now.
async fn may_delete(current: &Task, entry: SwapEntry, pfn: Pfn) -> bool {
    let kernel = current.kernel();
    let words = kernel.zone.memory.words(pfn);
    let flags = words.flags().read_once(current).await;
    if flags >> PG_SWAPCACHE & 1 == 0 || flags >> PG_WRITEBACK & 1 == 1 {
        return false;
    }
    !kernel.switches().has(Fix::SwapoffRecheck) || words.private().read_once(current).await == entry.word()
}

/// Step 3 of [`try_to_unuse`]: the file that has the entry gets the page, or every address space that may have it. The page is locked,
/// except while a lock is waited for that others hold while they wait for the page.
async fn unuse_entry(current: &Task, entry: SwapEntry, page: &PageRef<'_>) {
    let (kernel, pfn) = (current.kernel(), page.pfn());
    if swap_count(current, &kernel.swap, entry).await > 1
        && may_delete(current, entry, pfn).await
        && shmem_unuse(current, entry, page).await
    {
        return;
    }
    let mut place = 0;
    while let Some(mm) = kernel.mmlist_next(current, place).await {
        place = mm.id();
        if swap_count(current, &kernel.swap, entry).await <= 1 {
            return;
        }
        if !mm.users().inc_not_zero(current).await {
            continue;
        }
        unuse_mm(current, &mm, entry, pfn).await;
        mmput(current, mm).await;
    }
}

/// `unuse_mm`: one address space's entries.
async fn unuse_mm(current: &Task, mm: &Rc<Mm>, entry: SwapEntry, pfn: Pfn) {
    let kernel = current.kernel();
    let mmap_sem = match mm.mmap_sem.try_down_read(current).await {
        Some(held) => held,
        None => {
            // Who has mmap_sem may wait for the page. Meanwhile reclaim must not take it.
            current.mark("unuse_mm:waits-for-mmap-sem");
            kernel.zone.activate_page(current, pfn).await;
            unlock_page(current, &kernel.zone, pfn).await;
            let held = mm.mmap_sem.down_read(current).await;
            lock_page(current, &kernel.zone, pfn).await;
            held
        }
    };
    let still = may_delete(current, entry, pfn).await;
    let areas: Vec<Rc<Vma>> = mm.areas.get(&mmap_sem).iter().cloned().collect();
    // Without the fix, what the page is by now is not asked: the entry may be another page's.
    if still || !kernel.switches().has(Fix::SwapoffRecheck) {
        for vma in areas.iter().filter(|vma| vma.anon_vma.get().is_some()) {
            if unuse_vma(current, mm, vma, entry, pfn).await {
                break;
            }
        }
    }
    mmap_sem.up_read().await;
}

/// `unuse_vma` down to `unuse_pte_range`. True if the entry was found: an address space names it once.
async fn unuse_vma(current: &Task, mm: &Rc<Mm>, vma: &Rc<Vma>, entry: SwapEntry, pfn: Pfn) -> bool {
    let format = *current.kernel().hw.format();
    let mut address = vma.range.start();
    // A page has one place in an area.
    let mapped_at = place_of(current, vma, pfn).await;
    if let Some(only) = mapped_at {
        address = only;
    }
    while address < vma.range.end() {
        match find_table(current, mm, address).await {
            Err(resume) => address = resume,
            Ok(table) => {
                let end = next_boundary(&format, address, 2).min(vma.range.end());
                let part = VaddrRange::new(address, end).expect("a part of the area");
                if unuse_pte_range(current, (mm, vma), table, part, (entry, pfn)).await {
                    return true;
                }
                address = end;
            }
        }
        if mapped_at.is_some() {
            return false;
        }
    }
    false
}

/// `page_address_in_vma`: where the page is, if its reverse mapping says so.
async fn place_of(current: &Task, vma: &Vma, pfn: Pfn) -> Option<Vaddr> {
    let words = current.kernel().zone.memory.words(pfn);
    if words.mapcount().read_once(current).await == 0 {
        return None;
    }
    vma.address_of(words.index().read_once(current).await)
}

/// `unuse_pte_range`: looks at the PTEs without their lock. With the page's lock and `mmap_sem` held none can come to name the entry
/// meanwhile; one that does may go.
async fn unuse_pte_range(
    current: &Task,
    (mm, vma): (&Rc<Mm>, &Rc<Vma>),
    table: Table,
    range: VaddrRange,
    (entry, pfn): (SwapEntry, Pfn),
) -> bool {
    for address in range.addresses() {
        let word = pte_word(current, table, address);
        if word.read_once(current).await == Pte::swap(entry.word())
            && unuse_pte(current, (mm, vma), address, table, (entry, pfn)).await
        {
            return true;
        }
    }
    false
}

/// `unuse_pte`: the entry, if it is still there under the PTL, becomes a PTE, read-only and old.
async fn unuse_pte(
    current: &Task,
    (mm, vma): (&Rc<Mm>, &Rc<Vma>),
    address: Vaddr,
    table: Table,
    (entry, pfn): (SwapEntry, Pfn),
) -> bool {
    let ptl = table.ptl(current).await;
    let word = pte_word(current, table, address);
    if word.read_once(current).await != Pte::swap(entry.word()) {
        ptl.unlock().await;
        return false;
    }
    let kernel = current.kernel();
    mm.add_rss(PageKind::Anon);
    kernel.stat.nr_swap_ptes.sub(1);
    kernel.zone.memory.get_page(current, pfn).await.into_pfn();
    let pte = vma_pte(pfn, vma.prot).writable(false);
    word.write_once(current, pte).await;
    page_add_anon_rmap(current, pfn, vma, address).await;
    swap_free(current, &kernel.swap, entry).await;
    // It is in use: else the next scan would swap it out again.
    kernel.zone.activate_page(current, pfn).await;
    ptl.unlock().await;
    true
}
