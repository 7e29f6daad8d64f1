//! Rows of mappings: which row an address belongs to, and what happened in it.

use std::collections::BTreeMap;

use pagewalk_kernel::{FaultKind, Task, Vma, VmaKind};
use pagewalk_mmu::{Vaddr, VaddrRange};

/// Whose: the trace and the process.
pub type Owner = (usize, u32);

/// What happened in one mapping of one process.
#[derive(Clone, Debug)]
pub struct Row {
    /// Whose it is.
    pub owner: Owner,
    /// What it is.
    pub what: What,
    /// The addresses it has had.
    pub range: VaddrRange,
    /// Touches that missed the TLBs.
    pub misses: u64,
    /// Page faults by kind.
    pub faults: [u64; FaultKind::COUNT],
    /// It is part of another row by now.
    joined: Option<usize>,
}

/// What a row stands for. Order is that of the index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Anonymous memory, told apart by where it is.
    Anonymous,
    /// The heap, a stack, shared anonymous memory: by their names.
    Named(String),
    /// A file, by its path.
    File(String),
    /// No mapping at all.
    Outside,
    /// Mappings beyond those that have rows.
    Rest,
}

/// The most rows; what comes later shares one.
pub(super) const MAX_ROWS: usize = 4096;

/// The rows of a run.
#[derive(Default)]
pub struct Rows {
    rows: Vec<Row>,
    named: BTreeMap<(Owner, What), usize>,
    /// Rows of anonymous memory by owner and first address.
    anonymous: BTreeMap<(Owner, u64), usize>,
    /// Raised when rows become one, or mappings may have changed.
    pub generation: u64,
}

impl Rows {
    /// The row of the area that `address` is in.
    pub fn find(&mut self, owner: Owner, area: Option<&Vma>) -> usize {
        let nowhere = VaddrRange::with_len(Vaddr(0), 0).expect("an empty range");
        match area {
            None => self.named(owner, What::Outside, nowhere),
            Some(area) => match &area.kind {
                VmaKind::Anonymous => self.anonymous(owner, area.range),
                VmaKind::File(_) if area.label().starts_with("anonymous") => {
                    self.named(owner, What::Named(area.label().to_owned()), area.range)
                }
                VmaKind::File(_) => self.named(owner, What::File(area.label().to_owned()), area.range),
                VmaKind::Heap | VmaKind::Stack => {
                    self.named(owner, What::Named(area.label().to_owned()), area.range)
                }
            },
        }
    }

    fn named(&mut self, owner: Owner, what: What, range: VaddrRange) -> usize {
        let key = (owner, what);
        if let Some(&row) = self.named.get(&key) {
            self.rows[row].range = hull(self.rows[row].range, range);
            return row;
        }
        if self.rows.len() >= MAX_ROWS && key.1 != What::Rest {
            return self.named((0, 0), What::Rest, range);
        }
        let row = self.add(owner, key.1.clone(), range);
        self.named.insert(key, row);
        row
    }

    /// Areas of anonymous memory that overlap are one row, for they come from each other by splitting, merging, growing,
    /// or from using addresses again.
    fn anonymous(&mut self, owner: Owner, range: VaddrRange) -> usize {
        let before = self.anonymous.range(..(owner, range.end().0)).next_back();
        let mut found: Option<usize> = None;
        let mut at = before.map(|(&key, &row)| (key, row));
        while let Some((key, row)) = at {
            if key.0 != owner || self.rows[row].range.end() <= range.start() {
                break;
            }
            self.anonymous.remove(&key);
            found = Some(match found {
                None => row,
                Some(other) => self.join(row, other),
            });
            at = self.anonymous.range(..key).next_back().map(|(&key, &row)| (key, row));
        }
        let row = match found {
            Some(row) => row,
            None if self.rows.len() >= MAX_ROWS => return self.named((0, 0), What::Rest, range),
            None => self.add(owner, What::Anonymous, range),
        };
        self.rows[row].range = hull(self.rows[row].range, range);
        self.anonymous.insert((owner, self.rows[row].range.start().0), row);
        row
    }

    fn add(&mut self, owner: Owner, what: What, range: VaddrRange) -> usize {
        let faults = [0; FaultKind::COUNT];
        self.rows.push(Row { owner, what, range, misses: 0, faults, joined: None });
        self.rows.len() - 1
    }

    /// Makes `from` part of `into`.
    fn join(&mut self, into: usize, from: usize) -> usize {
        let Row { range, misses, faults, .. } = self.rows[from].clone();
        let row = &mut self.rows[into];
        row.range = hull(row.range, range);
        row.misses += misses;
        row.faults.iter_mut().zip(faults).for_each(|(own, more)| *own += more);
        self.rows[from].joined = Some(into);
        self.generation += 1;
        into
    }

    /// A row by number.
    #[inline]
    pub fn row_mut(&mut self, row: usize) -> &mut Row {
        &mut self.rows[row]
    }

    /// The row that `row` is or has become part of.
    pub fn resolve(&self, mut row: usize) -> &Row {
        while let Some(into) = self.rows[row].joined {
            row = into;
        }
        &self.rows[row]
    }

    /// All rows.
    pub fn all(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.joined.is_none())
    }
}

/// The smallest range that holds both.
fn hull(one: VaddrRange, other: VaddrRange) -> VaddrRange {
    if one.is_empty() {
        return other;
    }
    if other.is_empty() {
        return one;
    }
    let (start, end) = (one.start().min(other.start()), one.end().max(other.end()));
    VaddrRange::new(start, end).expect("the ends are in order")
}

/// The area that a context's last miss was in.
#[derive(Clone, Copy, Default)]
pub(super) struct Recent {
    start: u64,
    len: u64,
    pub(super) row: usize,
    generation: u64,
}

impl Recent {
    /// Whether `address` is in it, and no mapping has changed since.
    #[inline]
    pub(super) fn holds(&self, address: Vaddr, generation: u64) -> bool {
        address.0.wrapping_sub(self.start) < self.len && self.generation == generation
    }

    /// Remembers `area`.
    pub(super) fn of(area: Option<VaddrRange>, row: usize, generation: u64) -> Self {
        let (start, len) = area.map_or((0, 0), |range| (range.start().0, range.len()));
        Self { start, len, row, generation }
    }
}

/// What the areas of `current`'s address space say of `address`.
pub(super) fn area_of<R>(current: &Task, address: Vaddr, tell: impl FnOnce(Option<&Vma>) -> R) -> R {
    let mm = current.mm();
    let areas = mm.observe_areas();
    tell(areas.find_vma(address).filter(|area| area.range.contains(address)).map(AsRef::as_ref))
}

#[cfg(test)]
mod tests {
    use pagewalk_kernel::Prot;

    use super::*;

    fn area(start: u64, end: u64, kind: VmaKind) -> Vma {
        let range = VaddrRange::new(Vaddr(start << 12), Vaddr(end << 12)).expect("in order");
        Vma::new(range, Prot::RW, kind)
    }

    #[test]
    fn overlapping_anonymous_areas_of_one_process_become_one_row() {
        let mut rows = Rows::default();
        let mut miss = |owner, start, end| {
            let row = rows.find(owner, Some(&area(start, end, VmaKind::Anonymous)));
            rows.row_mut(row).misses += 1;
            row
        };
        let (one, two) = ((0, 1), (0, 2));
        let first = miss(one, 10, 20);
        assert_eq!(miss(one, 12, 14), first, "a part");
        let apart = miss(one, 20, 30);
        assert_ne!(apart, first, "neighbours are not one");
        assert_ne!(miss(two, 10, 20), first, "another process");
        let joined = miss(one, 15, 25);
        assert!(joined == first || joined == apart);
        let counts: Vec<_> = rows.all().map(|row| (row.owner, row.range.len() >> 12, row.misses)).collect();
        assert_eq!(counts, [(one, 20, 4), (two, 10, 1)]);
        assert_eq!(rows.resolve(apart).misses, 4);
    }

    #[test]
    fn heaps_stacks_and_what_is_outside_have_a_row_for_each_process() {
        let mut rows = Rows::default();
        let heap = rows.find((0, 1), Some(&area(1, 2, VmaKind::Heap)));
        assert_eq!(rows.find((0, 1), Some(&area(1, 9, VmaKind::Heap))), heap);
        assert_ne!(rows.find((1, 1), Some(&area(1, 9, VmaKind::Heap))), heap);
        assert_ne!(rows.find((0, 1), Some(&area(90, 91, VmaKind::Stack))), heap);
        let outside = rows.find((0, 1), None);
        assert_eq!(rows.resolve(outside).what, What::Outside);
        assert_eq!(rows.resolve(heap).range.len(), 8 << 12);
    }

    #[test]
    fn rows_are_bounded() {
        let mut rows = Rows::default();
        for n in 0..MAX_ROWS as u64 + 500 {
            let row = rows.find((0, 1), Some(&area(n * 4, n * 4 + 2, VmaKind::Anonymous)));
            rows.row_mut(row).misses += 1;
        }
        assert_eq!(rows.all().count(), MAX_ROWS + 1);
        let rest = rows.all().find(|row| row.what == What::Rest).expect("a row for the rest");
        assert_eq!(rest.misses, 500);
    }
}
