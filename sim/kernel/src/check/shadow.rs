//! What one address space ought to contain, page by page, with no knowledge of frames, PTEs or TLBs.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;

use pagewalk_engine::Digest;
use pagewalk_mmu::VaddrRange;

/// Pages per leaf.
const LEAF: u64 = 512;

/// The stamps of one address space. A page never stored to has stamp 0. Cheap to clone: leaves are shared until one
/// side stores.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shadow {
    leaves: BTreeMap<u64, Rc<[u64; LEAF as usize]>>,
    /// Pages of which more than one value is admitted, with those values.
    unsure: BTreeMap<u64, Vec<u64>>,
}

impl Shadow {
    /// What each page ought to contain.
    pub(super) fn absorb_into(&self, digest: &mut Digest) {
        for (&number, leaf) in &self.leaves {
            for (index, &stamp) in leaf.iter().enumerate().filter(|(_, stamp)| **stamp != 0) {
                digest.absorb(number * LEAF + index as u64);
                digest.absorb(stamp);
            }
        }
        self.unsure.hash(digest);
    }

    /// The values that page `vpn` may have.
    pub(crate) fn admitted(&self, vpn: u64) -> Vec<u64> {
        self.unsure.get(&vpn).cloned().unwrap_or_else(|| vec![self.certain(vpn)])
    }

    /// The value of a page of which only one is admitted.
    fn certain(&self, vpn: u64) -> u64 {
        self.leaves.get(&(vpn / LEAF)).map_or(0, |leaf| leaf[(vpn % LEAF) as usize])
    }

    /// Whether `stamp` is admitted for `vpn`.
    #[inline]
    pub(crate) fn admits(&self, vpn: u64, stamp: u64) -> bool {
        if self.unsure.is_empty() {
            return self.certain(vpn) == stamp;
        }
        match self.unsure.get(&vpn) {
            Some(values) => values.contains(&stamp),
            None => self.certain(vpn) == stamp,
        }
    }

    /// From now on the page has exactly this value.
    pub(crate) fn set(&mut self, vpn: u64, stamp: u64) {
        if !self.unsure.is_empty() {
            self.unsure.remove(&vpn);
        }
        if stamp == 0 && !self.leaves.contains_key(&(vpn / LEAF)) {
            return;
        }
        let leaf = self.leaves.entry(vpn / LEAF).or_insert_with(|| Rc::new([0; LEAF as usize]));
        if leaf[(vpn % LEAF) as usize] != stamp {
            Rc::make_mut(leaf)[(vpn % LEAF) as usize] = stamp;
        }
    }

    /// From now on the page may have any of these values.
    pub(crate) fn set_any(&mut self, vpn: u64, mut values: Vec<u64>) {
        values.sort_unstable();
        values.dedup();
        match values[..] {
            [only] => self.set(vpn, only),
            _ => drop(self.unsure.insert(vpn, values)),
        }
    }

    /// One value more is admitted.
    pub(crate) fn admit(&mut self, vpn: u64, stamp: u64) {
        let mut values = self.admitted(vpn);
        values.push(stamp);
        self.set_any(vpn, values);
    }

    /// The pages of `first..end` that may hold anything but zeroes.
    pub(crate) fn stored(&self, first: u64, end: u64) -> Vec<u64> {
        let leaves = self.leaves.range(first / LEAF..=(end - 1) / LEAF);
        let in_leaves = leaves.flat_map(|(&number, leaf)| {
            (0..LEAF).filter(|&n| leaf[n as usize] != 0).map(move |n| number * LEAF + n)
        });
        let mut pages: Vec<u64> = in_leaves.filter(|vpn| (first..end).contains(vpn)).collect();
        pages.extend(self.unsure.range(first..end).map(|(&vpn, _)| vpn));
        pages.sort_unstable();
        pages.dedup();
        pages
    }

    /// As [`Shadow::stored`], of a range of addresses.
    pub(super) fn stored_in(&self, range: VaddrRange) -> Vec<u64> {
        self.stored(range.start().vpn().0, range.end().vpn().0)
    }

    /// The pages of `first..end` hold zeroes.
    pub(crate) fn clear(&mut self, first: u64, end: u64) {
        for vpn in self.stored(first, end) {
            self.set(vpn, 0);
        }
        // Whole leaves of zeroes need no room.
        let empty = |leaf: &Rc<[u64; LEAF as usize]>| leaf.iter().all(|&stamp| stamp == 0);
        let inside = first / LEAF..=(end - 1) / LEAF;
        let gone: Vec<u64> =
            self.leaves.range(inside).filter(|(_, leaf)| empty(leaf)).map(|(&number, _)| number).collect();
        gone.iter().for_each(|number| drop(self.leaves.remove(number)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_had_when_the_other_side_stores() {
        let mut parent = Shadow::default();
        parent.set(7, 70);
        let child = parent.clone();
        parent.set(7, 71);
        parent.set(8, 80);
        assert!(child.admits(7, 70) && !child.admits(7, 71) && child.admits(8, 0));
        assert!(parent.admits(7, 71) && parent.admits(8, 80));
    }

    #[test]
    fn an_admitted_set_narrows_to_what_is_set() {
        let mut shadow = Shadow::default();
        shadow.set(3, 30);
        shadow.admit(3, 0);
        assert!(shadow.admits(3, 30) && shadow.admits(3, 0) && !shadow.admits(3, 1));
        shadow.set(3, 0);
        assert!(!shadow.admits(3, 30));
    }

    #[test]
    fn clearing_forgets_only_the_range() {
        let mut shadow = Shadow::default();
        for vpn in [0, 511, 512, 600, 1024] {
            shadow.set(vpn, vpn + 1);
        }
        shadow.admit(600, 9);
        assert_eq!(shadow.stored(511, 1024), [511, 512, 600]);
        shadow.clear(511, 1024);
        assert_eq!(shadow.stored(0, 2048), [0, 1024]);
        assert_eq!(shadow.leaves.len(), 2);
    }
}
