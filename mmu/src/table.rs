//! Page tables in simulated frames: the entries a frame holds while it is a table, and the table's lock.
//!
//! A frame becomes a table by [`Tables::attach`], which gives it a slot with room for its entries; the
//! slot's number is kept in the frame's `struct page`. Slots are reused, so host memory follows the
//! number of tables in use.

use std::cell::{Cell, OnceCell, RefCell};

use pagewalk_engine::{Class, Digest, Keep, ObjectId, SpinLock, Word};

use crate::{Format, Pfn, PhysicalMemory, Pte};

/// Page-table entries; eight share a cache line.
pub static PTE: Class = Class::packed(16, "pte", 3);
/// The lock of one page table (`ptlock_ptr(page)`, split page-table locks).
pub static PTL: Class = Class::new(17, "page_table_lock (split)");

const CHUNK: usize = 64;

struct Chunk {
    entries: Box<[Cell<Pte>]>,
    locks: Box<[SpinLock]>,
}

/// All page tables of the machine.
pub struct Tables {
    format: Format,
    chunks: Box<[OnceCell<Chunk>]>,
    free: RefCell<Vec<u32>>,
    slots: Cell<u32>,
    in_use: Cell<u32>,
}

impl Keep for Tables {
    fn keep(&self) -> Self {
        let kept = Self {
            format: self.format,
            chunks: self.chunks.iter().map(|_| OnceCell::new()).collect(),
            free: self.free.keep(),
            slots: self.slots.keep(),
            in_use: self.in_use.keep(),
        };
        (0..self.slots.get()).for_each(|slot| set_back(kept.slot(slot), self.slot(slot)));
        kept
    }

    fn set_back(&self, kept: &Self) {
        let (before, now) = (kept.slots.get(), self.slots.get());
        (0..before).for_each(|slot| set_back(self.slot(slot), kept.slot(slot)));
        // The entries of a slot are emptied when it is used next.
        (before..now).for_each(|slot| self.slot(slot).1.set_free());
        self.free.set_back(&kept.free);
        self.slots.set(before);
        self.in_use.set_back(&kept.in_use);
    }
}

/// One table, back to what another is.
fn set_back(own: (&[Cell<Pte>], &SpinLock), kept: (&[Cell<Pte>], &SpinLock)) {
    own.0.iter().zip(kept.0).for_each(|(own, kept)| own.set(kept.get()));
    own.1.set_back(kept.1);
}

impl Tables {
    /// No tables yet, for a machine with so many frames.
    pub fn new(format: Format, frames: u32) -> Self {
        let chunks = (0..(frames as usize).div_ceil(CHUNK)).map(|_| OnceCell::new()).collect();
        Self { format, chunks, free: RefCell::default(), slots: Cell::new(0), in_use: Cell::new(0) }
    }

    /// Tables in use, all levels.
    pub fn in_use(&self) -> u32 {
        self.in_use.get()
    }

    /// What every table holds.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        let entries = usize::from(self.format.entries());
        for slot in 0..self.slots.get() {
            let (chunk, base) = self.chunk(slot);
            for (index, entry) in chunk.entries[base * entries..(base + 1) * entries].iter().enumerate() {
                let entry = entry.get();
                if entry != Pte::NONE {
                    digest.absorb(u64::from(slot) << 32 | index as u64);
                    digest.absorb(entry.0);
                }
            }
        }
        self.free.borrow().iter().for_each(|&slot| digest.absorb(u64::from(slot)));
    }

    /// Makes the frame a table with no entries. The frame is private to the caller.
    pub fn attach(&self, memory: &PhysicalMemory, pfn: Pfn) {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.slots.set(self.slots.get() + 1);
            self.slots.get() - 1
        });
        self.in_use.set(self.in_use.get() + 1);
        memory.page(pfn).private.set(slot);
        let (chunk, base) = self.chunk(slot);
        let entries = usize::from(self.format.entries());
        for entry in &chunk.entries[base * entries..(base + 1) * entries] {
            entry.set(Pte::NONE);
        }
    }

    /// The frame stops being a table. Every entry is none and no walker can reach it.
    pub fn detach(&self, memory: &PhysicalMemory, pfn: Pfn) {
        self.free.borrow_mut().push(memory.page(pfn).private.replace(0));
        self.in_use.set(self.in_use.get() - 1);
    }

    /// Entry `index` of the table in frame `table`.
    #[inline]
    pub fn entry<'a>(&'a self, memory: &PhysicalMemory, table: Pfn, index: u16) -> Word<'a, Pte> {
        let id = ObjectId::new(&PTE, u64::from(table.0) << self.format.index_bits | u64::from(index));
        let (chunk, base) = self.chunk(memory.page(table).private.get());
        Word::new(&chunk.entries[(base << self.format.index_bits) + usize::from(index)], id)
    }

    /// The entries of the table in frame `table` that are not none, with their indices, for observers outside the steps.
    pub fn observe_used(&self, memory: &PhysicalMemory, table: Pfn) -> impl Iterator<Item = (u16, Pte)> {
        let (entries, _) = self.slot(memory.page(table).private.get());
        let used = entries.iter().map(Cell::get).enumerate().filter(|(_, entry)| !entry.is_none());
        used.map(|(index, entry)| (index as u16, entry))
    }

    /// The lock of the table in frame `table`.
    pub fn lock<'a>(&'a self, memory: &PhysicalMemory, table: Pfn) -> &'a SpinLock {
        let (chunk, base) = self.chunk(memory.page(table).private.get());
        &chunk.locks[base]
    }

    /// The entries and the lock of the table in `slot`.
    fn slot(&self, slot: u32) -> (&[Cell<Pte>], &SpinLock) {
        let ((chunk, base), entries) = (self.chunk(slot), usize::from(self.format.entries()));
        (&chunk.entries[base * entries..][..entries], &chunk.locks[base])
    }

    #[inline]
    fn chunk(&self, slot: u32) -> (&Chunk, usize) {
        let number = slot as usize / CHUNK;
        let chunk = self.chunks[number].get_or_init(|| Chunk {
            entries: vec![Cell::new(Pte::NONE); CHUNK * usize::from(self.format.entries())]
                .into_boxed_slice(),
            locks: (0..CHUNK).map(|n| SpinLock::new(&PTL, (number * CHUNK + n) as u64)).collect(),
        });
        (chunk, slot as usize % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_set_back_are_those_that_were_there() {
        let memory = PhysicalMemory::new(64, false).expect("64 frames");
        let tables = Tables::new(Format::x86_64(4).expect("four levels"), 64);
        let entry = |frame: u32| Pte(u64::from(frame) << 12 | 1);
        let [one, two, three] = [Pfn(1), Pfn(2), Pfn(3)];
        tables.attach(&memory, one);
        tables.attach(&memory, two);
        tables.entry(&memory, one, 7).set_up(entry(9));
        let (kept, kept_memory) = (tables.keep(), memory.keep());
        for _ in 0..2 {
            tables.entry(&memory, one, 7).set_up(Pte::NONE);
            tables.entry(&memory, one, 511).set_up(entry(8));
            tables.detach(&memory, two);
            tables.attach(&memory, three); // where the second was
            tables.entry(&memory, three, 0).set_up(entry(5));
            tables.attach(&memory, two);
            tables.detach(&memory, three);
            tables.set_back(&kept);
            memory.set_back(&kept_memory);
            let used = |table: Pfn| tables.observe_used(&memory, table).collect::<Vec<_>>();
            assert_eq!((used(one), used(two)), (vec![(7, entry(9))], vec![]));
            assert_eq!(tables.in_use(), 2);
            tables.attach(&memory, three);
            assert_eq!(memory.page(three).private.get(), 2, "a slot of its own");
            tables.set_back(&kept);
            memory.set_back(&kept_memory);
        }
    }
}
