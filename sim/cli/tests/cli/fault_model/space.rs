//! The model's address spaces: areas, and the pages mapped in them. Page numbers, not addresses.

use std::collections::BTreeMap;

use pagewalk_trace::{Advice, Prot};

/// What an area shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backing {
    Anonymous,
    /// This open file.
    File(usize),
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) prot: Prot,
    pub(crate) backing: Backing,
    pub(crate) shared: bool,
    /// What `madvise` said.
    pub(crate) advice: Advice,
    /// The file's page at `start`; of anonymous memory, where it began when it was mapped.
    pub(crate) first: u64,
    /// Set once it has pages of its own (`anon_vma`): without, a fork copies none of its entries of a file.
    pub(crate) family: Option<u64>,
}

impl Area {
    pub(crate) fn index(&self, page: u64) -> u64 {
        self.first + (page - self.start)
    }

    pub(crate) fn open(&self) -> Option<usize> {
        match self.backing {
            Backing::Anonymous => None,
            Backing::File(open) => Some(open),
        }
    }

    fn part(&self, start: u64, end: u64) -> Self {
        Self { start, end, first: self.index(start), ..self.clone() }
    }

    /// Whether two areas become one. `mremap` refuses a range of more than one.
    fn merges_with(&self, next: &Self) -> bool {
        self.end == next.start
            && (self.prot, self.backing) == (next.prot, next.backing)
            && (self.shared, self.advice) == (next.shared, next.advice)
            && self.index(self.end) == next.first
            && (self.family == next.family || self.family.is_none() || next.family.is_none())
    }

    fn joined(&self, next: &Self) -> Self {
        Self { end: next.end, family: self.family.or(next.family), ..self.clone() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// By number: the users are counted elsewhere.
    Anonymous(usize),
    /// A page of an inode.
    File(usize, u64),
}

/// A page that is mapped.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) frame: Frame,
    pub(crate) writable: bool,
    pub(crate) dirty: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Space {
    areas: BTreeMap<u64, Area>,
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// Beginning and end of the heap.
    pub(crate) heap: Option<(u64, u64)>,
}

impl Space {
    pub(crate) fn area(&self, page: u64) -> Option<&Area> {
        self.areas.range(..=page).next_back().map(|(_, area)| area).filter(|area| page < area.end)
    }

    pub(crate) fn area_mut(&mut self, page: u64) -> Option<&mut Area> {
        self.areas.range_mut(..=page).next_back().map(|(_, area)| area).filter(|area| page < area.end)
    }

    /// The family of a neighbour that the area of a page could be one with.
    pub(crate) fn mergeable_family(&self, page: u64) -> Option<u64> {
        let area = self.area(page)?;
        let next =
            self.areas.get(&area.end).filter(|next| area.merges_with(next)).and_then(|next| next.family);
        let before = || {
            let (_, before) = self.areas.range(..area.start).next_back()?;
            before.family.filter(|_| before.merges_with(area))
        };
        next.or_else(before)
    }

    pub(crate) fn areas(&self) -> impl Iterator<Item = &Area> {
        self.areas.values()
    }

    pub(crate) fn overlapping(&self, start: u64, end: u64) -> Vec<Area> {
        self.areas.values().filter(|area| area.start < end && start < area.end).cloned().collect()
    }

    pub(crate) fn covers(&self, start: u64, end: u64) -> bool {
        let inside = self.overlapping(start, end);
        inside.iter().map(|area| area.end.min(end) - area.start.max(start)).sum::<u64>() == end - start
    }

    /// An area that overlaps none, as one with its neighbours where that can be.
    pub(crate) fn insert(&mut self, mut area: Area) {
        let before = self.areas.range(..area.start).next_back().map(|(_, before)| before.clone());
        if let Some(before) = before.filter(|before| before.merges_with(&area)) {
            area = before.joined(&area);
        }
        let after = self.areas.get(&area.end).filter(|after| area.merges_with(after)).cloned();
        if let Some(after) = after {
            self.areas.remove(&after.start);
            area = area.joined(&after);
        }
        self.areas.insert(area.start, area);
    }

    /// Takes the areas of a range out, as parts inside it. Their entries stay.
    pub(crate) fn cut(&mut self, start: u64, end: u64) -> Vec<Area> {
        let mut inside = Vec::new();
        for area in self.overlapping(start, end) {
            self.areas.remove(&area.start);
            for (from, to) in [(area.start, area.end.min(start)), (area.start.max(end), area.end)] {
                if from < to {
                    let part = area.part(from, to);
                    self.areas.insert(part.start, part);
                }
            }
            inside.push(area.part(area.start.max(start), area.end.min(end)));
        }
        inside
    }

    /// Entries of a range, which are removed.
    pub(crate) fn take_entries(&mut self, start: u64, end: u64) -> Vec<(u64, Entry)> {
        let pages: Vec<u64> = self.entries.range(start..end).map(|(&page, _)| page).collect();
        pages.into_iter().filter_map(|page| Some((page, self.entries.remove(&page)?))).collect()
    }
}
