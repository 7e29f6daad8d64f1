//! What a process has mapped as far as its log says, so that what the log does not say can be inferred.

use std::collections::BTreeMap;

use crate::pages::PAGE_SIZE;
use crate::record::{Op, Prot, RawAccess};

/// Entries of the cache of recent pages.
const CACHE: usize = 1024;

/// The mapped ranges of one process, by page.
#[derive(Clone)]
pub(super) struct Areas {
    /// First page, to the page after the last and the permissions. Ranges do not overlap.
    ranges: BTreeMap<u64, (u64, Prot)>,
    /// Recent pages: page number times 8, plus permissions that they surely have.
    cache: Box<[u64; CACHE]>,
}

impl Default for Areas {
    fn default() -> Self {
        Self { ranges: BTreeMap::new(), cache: Box::new([0; CACHE]) }
    }
}

/// What is missing before a range can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing is mapped at these pages.
    Mapping { first: u64, end: u64 },
    /// These pages lack a permission; this is what they should have.
    Permission { first: u64, end: u64, prot: Prot },
}

/// The permission that an operation needs.
pub(super) fn need(op: Op) -> Prot {
    match op {
        Op::Fetch => Prot::EXEC,
        Op::Load => Prot::READ,
        Op::Store => Prot::WRITE,
        Op::Modify => Prot::READ_WRITE,
    }
}

/// The pages of a range of bytes that is not empty: the first, and the one after the last.
pub(super) fn pages(start: u64, len: u64) -> (u64, u64) {
    (start / PAGE_SIZE, start.saturating_add(len).div_ceil(PAGE_SIZE))
}

impl Areas {
    /// True if the access is surely allowed.
    #[inline]
    pub(super) fn surely(&self, access: RawAccess) -> bool {
        let first = access.addr / PAGE_SIZE;
        let last = (access.addr + u64::from(access.len) - 1) / PAGE_SIZE;
        let known = |page: u64| {
            let entry = self.cache[page as usize % CACHE];
            entry >> 3 == page && Prot(entry as u8 & 7).contains(need(access.op))
        };
        known(first) && (first == last || known(last))
    }

    /// Remembers that an access was allowed.
    pub(super) fn remember(&mut self, access: RawAccess) {
        let last = (access.addr + u64::from(access.len) - 1) / PAGE_SIZE;
        for page in access.addr / PAGE_SIZE..=last {
            if let Some(prot) = self.prot(page) {
                self.cache[page as usize % CACHE] = page << 3 | u64::from(prot.0);
            }
        }
    }

    /// The permissions of a mapped page.
    pub(super) fn prot(&self, page: u64) -> Option<Prot> {
        let (_, (end, prot)) = self.ranges.range(..=page).next_back()?;
        (page < *end).then_some(*prot)
    }

    /// Maps the pages from `first` up to `end`, in place of what is there.
    pub(super) fn map(&mut self, first: u64, end: u64, prot: Prot) {
        self.unmap(first, end);
        self.ranges.insert(first, (end, prot));
        // Neighbours with the same permissions are one range, or their number would grow with the number of calls.
        if let Some((&before, &(_, same))) = self.ranges.range(..first).next_back().filter(|r| r.1.0 == first)
            && same == prot
        {
            self.ranges.remove(&first);
            self.ranges.insert(before, (end, prot));
        }
    }

    /// Unmaps the pages from `first` up to `end`.
    pub(super) fn unmap(&mut self, first: u64, end: u64) {
        self.cache.fill(0);
        self.split(first);
        self.split(end);
        let gone: Vec<u64> = self.ranges.range(first..end).map(|(start, _)| *start).collect();
        for start in gone {
            self.ranges.remove(&start);
        }
    }

    /// Makes a range begin at `page` if one goes across it.
    fn split(&mut self, page: u64) {
        let across = self.ranges.range(..page).next_back().map(|(start, range)| (*start, *range));
        if let Some((start, (end, prot))) = across.filter(|(_, (end, _))| *end > page) {
            self.ranges.insert(start, (page, prot));
            self.ranges.insert(page, (end, prot));
        }
    }

    /// Gives the mapped ones of these pages other permissions.
    pub(super) fn protect(&mut self, first: u64, end: u64, prot: Prot) {
        self.cache.fill(0);
        self.split(first);
        self.split(end);
        for (_, range) in self.ranges.range_mut(first..end) {
            range.1 = prot;
        }
    }

    /// What has to change so that the pages from `first` up to `end` are mapped with the permissions of `need`.
    pub(super) fn missing(&self, first: u64, end: u64, need: Prot) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut at = first;
        let before = self.ranges.range(..first).next_back().filter(|(_, range)| range.0 > first);
        for (start, (range_end, prot)) in before.into_iter().chain(self.ranges.range(first..end)) {
            let (from, to) = ((*start).max(first), (*range_end).min(end));
            if at < from {
                missing.push(Missing::Mapping { first: at, end: from });
            }
            if !prot.contains(need) {
                let prot = Prot(prot.0 | need.0);
                missing.push(Missing::Permission { first: from, end: to, prot });
            }
            at = to;
        }
        if at < end {
            missing.push(Missing::Mapping { first: at, end });
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn areas_are_those_of_a_table_of_pages(
            calls in proptest::collection::vec((0u8..3, 0u64..40, 1u64..20, 0u8..8), 0..60),
            (first, len, needed) in (0u64..40, 1u64..30, 0u8..8),
        ) {
            let (mut areas, mut table) = (Areas::default(), [None; 128]);
            for (call, first, len, prot) in calls {
                let (end, prot) = (first + len, Prot(prot));
                let range = &mut table[first as usize..end as usize];
                match call {
                    0 => {
                        areas.map(first, end, prot);
                        range.fill(Some(prot));
                    }
                    1 => {
                        areas.unmap(first, end);
                        range.fill(None);
                    }
                    _ => {
                        areas.protect(first, end, prot);
                        range.iter_mut().flatten().for_each(|p| *p = prot);
                    }
                }
            }
            for (page, prot) in table.iter().enumerate() {
                prop_assert_eq!(areas.prot(page as u64), *prot);
            }
            for missing in areas.missing(first, first + len, Prot(needed)) {
                let (from, to) = match missing {
                    Missing::Mapping { first, end } => (first, end),
                    Missing::Permission { first, end, .. } => (first, end),
                };
                for page in &mut table[from as usize..to as usize] {
                    match missing {
                        Missing::Mapping { .. } => prop_assert_eq!(page.replace(Prot(needed)), None),
                        Missing::Permission { prot, .. } => {
                            prop_assert_eq!(prot.0, page.replace(prot).unwrap().0 | needed);
                        }
                    }
                }
            }
            let all = &table[first as usize..(first + len) as usize];
            prop_assert!(all.iter().all(|prot| prot.is_some_and(|prot| prot.contains(Prot(needed)))));
        }
    }
}
