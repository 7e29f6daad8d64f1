//! A set of CPUs from which one is drawn in constant time.

use std::cell::Cell;

use crate::cpu::CpuId;

/// The members in one dense list, in an order that depends on the history of the run only.
pub(crate) struct CpuSet {
    members: Box<[Cell<u16>]>,
    /// Where in `members` each CPU is; `ABSENT` if nowhere.
    places: Box<[Cell<u16>]>,
    len: Cell<usize>,
}

const ABSENT: u16 = u16::MAX;

impl CpuSet {
    /// An empty set of CPUs below `cpus`.
    pub(crate) fn new(cpus: u16) -> Self {
        let of = |value| (0..cpus).map(|_| Cell::new(value)).collect();
        Self { members: of(0), places: of(ABSENT), len: Cell::new(0) }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> CpuId {
        CpuId(self.members[index].get())
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = CpuId> {
        self.members[..self.len()].iter().map(|member| CpuId(member.get()))
    }

    #[inline]
    pub(crate) fn contains(&self, cpu: CpuId) -> bool {
        self.places[usize::from(cpu.0)].get() != ABSENT
    }

    pub(crate) fn insert(&self, cpu: CpuId) {
        if !self.contains(cpu) {
            let end = self.len();
            self.members[end].set(cpu.0);
            self.places[usize::from(cpu.0)].set(end as u16);
            self.len.set(end + 1);
        }
    }

    pub(crate) fn clear(&self) {
        self.members[..self.len()]
            .iter()
            .for_each(|member| self.places[usize::from(member.get())].set(ABSENT));
        self.len.set(0);
    }

    pub(crate) fn remove(&self, cpu: CpuId) {
        let place = self.places[usize::from(cpu.0)].replace(ABSENT);
        if place != ABSENT {
            let end = self.len() - 1;
            let last = self.members[end].get();
            self.len.set(end);
            if last != cpu.0 {
                self.members[usize::from(place)].set(last);
                self.places[usize::from(last)].set(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_tree_set_holds(changes in prop::collection::vec((any::<bool>(), 0..9_u16), 0..60)) {
            let (set, mut model) = (CpuSet::new(9), BTreeSet::new());
            for (add, cpu) in changes {
                if add {
                    set.insert(CpuId(cpu));
                    model.insert(CpuId(cpu));
                } else {
                    set.remove(CpuId(cpu));
                    model.remove(&CpuId(cpu));
                }
                prop_assert_eq!(set.len(), model.len());
                prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
                prop_assert!((0..9).all(|n| set.contains(CpuId(n)) == model.contains(&CpuId(n))));
            }
        }
    }
}
