//! Page tables in simulated frames: the entries a frame holds while it is a table, and the table's lock.
//!
//! A frame becomes a table by [`Tables::attach`], which gives it a slot with room for its entries. Slots are
//! reused, so host memory follows the number of tables in use.

use std::cell::{Cell, OnceCell, RefCell};

use pagewalk_engine::{Class, Digest, Keep, ObjectId, SpinLock, Word};

use crate::{Format, PerFrame, Pfn, Pte};

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
    /// The slot of each frame that is a table; 0 of any other.
    slot_of: PerFrame<Cell<u32>>,
    free: RefCell<Vec<u32>>,
    slots: Cell<u32>,
    in_use: Cell<u32>,
}

impl Keep for Tables {
    fn keep(&self) -> Self {
        let kept = Self {
            format: self.format,
            chunks: self.chunks.iter().map(|_| OnceCell::new()).collect(),
            slot_of: self.slot_of.keep(),
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
        self.slot_of.set_back(&kept.slot_of);
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
        let slot_of = PerFrame::new(frames);
        Self { format, chunks, slot_of, free: RefCell::default(), slots: Cell::new(0), in_use: Cell::new(0) }
    }

    /// Tables in use, all levels.
    pub fn in_use(&self) -> u32 {
        self.in_use.get()
    }

    /// What every table holds, and which frame it is in.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        for pfn in (0..self.slot_of.frames()).map(Pfn) {
            let slot = self.slot_of.peek(pfn).map_or(0, Cell::get);
            if slot != 0 {
                digest.absorb(u64::from(pfn.0) << 32 | u64::from(slot));
            }
        }
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
    pub fn attach(&self, pfn: Pfn) {
        let slot = self.free.borrow_mut().pop().unwrap_or_else(|| {
            self.slots.set(self.slots.get() + 1);
            self.slots.get() - 1
        });
        self.in_use.set(self.in_use.get() + 1);
        self.slot_of.get(pfn).set(slot);
        let (chunk, base) = self.chunk(slot);
        let entries = usize::from(self.format.entries());
        for entry in &chunk.entries[base * entries..(base + 1) * entries] {
            entry.set(Pte::NONE);
        }
    }

    /// The frame stops being a table. Every entry is none and no walker can reach it.
    pub fn detach(&self, pfn: Pfn) {
        self.free.borrow_mut().push(self.slot_of.get(pfn).replace(0));
        self.in_use.set(self.in_use.get() - 1);
    }

    /// Entry `index` of the table in frame `table`.
    #[inline]
    pub fn entry(&self, table: Pfn, index: u16) -> Word<'_, Pte> {
        let id = ObjectId::new(&PTE, u64::from(table.0) << self.format.index_bits | u64::from(index));
        let (chunk, base) = self.chunk(self.slot_of.get(table).get());
        Word::new(&chunk.entries[(base << self.format.index_bits) + usize::from(index)], id)
    }

    /// The entries of the table in frame `table` that are not none, with their indices, for observers outside the steps.
    pub fn observe_used(&self, table: Pfn) -> impl Iterator<Item = (u16, Pte)> {
        let (entries, _) = self.slot(self.slot_of.get(table).get());
        let used = entries.iter().map(Cell::get).enumerate().filter(|(_, entry)| !entry.is_none());
        used.map(|(index, entry)| (index as u16, entry))
    }

    /// The lock of the table in frame `table`.
    pub fn lock(&self, table: Pfn) -> &SpinLock {
        let (chunk, base) = self.chunk(self.slot_of.get(table).get());
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
        let tables = Tables::new(Format::x86_64(4).expect("four levels"), 64);
        let entry = |frame: u32| Pte(u64::from(frame) << 12 | 1);
        let [one, two, three] = [Pfn(1), Pfn(2), Pfn(3)];
        tables.attach(one);
        tables.attach(two);
        tables.entry(one, 7).set_up(entry(9));
        let kept = tables.keep();
        for _ in 0..2 {
            tables.entry(one, 7).set_up(Pte::NONE);
            tables.entry(one, 511).set_up(entry(8));
            tables.detach(two);
            tables.attach(three); // where the second was
            tables.entry(three, 0).set_up(entry(5));
            tables.attach(two);
            tables.detach(three);
            tables.set_back(&kept);
            let used = |table: Pfn| tables.observe_used(table).collect::<Vec<_>>();
            assert_eq!((used(one), used(two)), (vec![(7, entry(9))], vec![]));
            assert_eq!(tables.in_use(), 2);
            tables.attach(three);
            assert_eq!(tables.slot_of.get(three).get(), 2, "a slot of its own");
            tables.set_back(&kept);
        }
    }
}
