//! Software's way through the page tables: finding, allocating and freeing tables.
//!
//! Follows mm/memory.c of v2.6.27 (`__pte_alloc` and its siblings, `free_pgd_range`), for any number of levels.

use std::future::Future;

use pagewalk_engine::{SpinGuard, SpinLock, Word};
use pagewalk_mmu::{Format, Pfn, Pte, Vaddr, VaddrRange};

use super::Mm;
use crate::paths::MmuGather;
use crate::task::Task;

/// A table of PTEs (level 1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table(pub(crate) Pfn);

impl Table {
    /// `pte_lockptr`: the lock of the table.
    pub(crate) fn lock(self, current: &Task) -> &SpinLock {
        current.kernel().hw.tables.lock(self.0)
    }

    /// `pte_offset_map_lock`: locks the table.
    #[track_caller]
    pub(crate) fn ptl<'a>(self, current: &'a Task) -> impl Future<Output = SpinGuard<'a>> {
        self.lock(current).lock(current)
    }
}

/// `pte_offset`: the entry for `address` in its table.
pub(crate) fn pte_word(current: &Task, table: Table, address: Vaddr) -> Word<'_, Pte> {
    entry(current, table.0, address, 1)
}

fn entry(current: &Task, table: Pfn, address: Vaddr, level: u8) -> Word<'_, Pte> {
    let hardware = &current.kernel().hw;
    hardware.tables.entry(table, hardware.format().index(address, level))
}

/// The end of what one entry of `level` maps around `address`, or the end of the addresses.
pub(crate) fn next_boundary(format: &Format, address: Vaddr, level: u8) -> Vaddr {
    Vaddr((address.0 | (format.span(level) - 1)).saturating_add(1))
}

/// `pte_offset_map` with all its checks: the table that maps `address`. `Err` with the next address worth looking at
/// if there is none.
pub(crate) async fn find_table(current: &Task, mm: &Mm, address: Vaddr) -> Result<Table, Vaddr> {
    descend(current, mm, address, 1).await.map(Table)
}

/// The table of `level` on the way to `address`: one step for each level above it.
async fn descend(current: &Task, mm: &Mm, address: Vaddr, level: u8) -> Result<Pfn, Vaddr> {
    let format = current.kernel().hw.format();
    let mut table = mm.pgd;
    for at in (level + 1..=format.levels).rev() {
        let pointer = entry(current, table, address, at).read_once(current).await;
        if pointer.is_none() {
            return Err(next_boundary(format, address, at));
        }
        table = pointer.pfn();
    }
    Ok(table)
}

/// `pte_alloc_map`: the table that maps `address`, made if there is none. Holds `mmap_sem`.
pub(crate) async fn alloc_table(current: &Task, mm: &Mm, address: Vaddr) -> Table {
    let kernel = current.kernel();
    let mut table = mm.pgd;
    for level in (2..=kernel.hw.format().levels).rev() {
        let word = entry(current, table, address, level);
        let mut pointer = word.read_once(current).await;
        if pointer.is_none() {
            let new = kernel.alloc_table_page(current).await;
            // The new table's entries are visible before the pointer to it.
            current.smp_wmb();
            let upper = mm.page_table_lock.lock(current).await;
            pointer = word.read_once(current).await;
            let raced = !pointer.is_none();
            if !raced {
                pointer = Pte::table(new);
                word.write_once(current, pointer).await;
            }
            upper.unlock().await;
            if raced {
                kernel.free_table_page(current, new).await;
            }
        }
        table = pointer.pfn();
    }
    Table(table)
}

/// `free_pgtables` for one stretch of removed areas: frees the tables that lie wholly between `floor` and `ceiling`, the
/// ends of the neighbouring areas. The tables travel in `gather` and are freed after its flush.
pub(crate) async fn free_pgtables(
    current: &Task,
    mm: &Mm,
    gather: &mut MmuGather<'_>,
    range: VaddrRange,
    floor: Vaddr,
    ceiling: Vaddr,
) {
    let format = *current.kernel().hw.format();
    // Bottom up: when an upper table is looked at, the tables it pointed to are gone.
    for level in 2..=format.levels {
        let mut address = Vaddr(range.start().0 & !(format.span(level) - 1));
        while address < range.end() {
            let next = next_boundary(&format, address, level);
            if address < floor || next > ceiling {
                address = next;
                continue;
            }
            let table = match descend(current, mm, address, level).await {
                Ok(table) => table,
                Err(resume) => {
                    address = resume;
                    continue;
                }
            };
            let word = entry(current, table, address, level);
            let pointer = word.read_once(current).await;
            if !pointer.is_none() {
                word.write_once(current, Pte::NONE).await;
                gather.remove_table(current, pointer.pfn(), address).await;
            }
            address = next;
        }
    }
}
