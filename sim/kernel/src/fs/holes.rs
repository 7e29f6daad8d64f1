//! Parts of a file without contents of their own: ranges of pages, merged where they touch.

use std::collections::BTreeMap;
use std::hash::Hash;

use pagewalk_engine::Digest;

/// A set of page numbers as ranges.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holes {
    /// First page to the page after the last.
    ranges: BTreeMap<u64, u64>,
}

impl Holes {
    /// The ranges in it.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        self.ranges.hash(digest);
    }

    /// Pages `first..end` are in it from now on.
    pub(crate) fn add(&mut self, mut first: u64, mut end: u64) {
        if first >= end {
            return;
        }
        let touching = self.ranges.range(..=end).rev().take_while(|&(_, &past)| past >= first);
        let touching: Vec<(u64, u64)> = touching.map(|(&from, &past)| (from, past)).collect();
        for (from, past) in touching {
            first = first.min(from);
            end = end.max(past);
            self.ranges.remove(&from);
        }
        self.ranges.insert(first, end);
    }

    /// Whether page `index` is in it.
    pub(crate) fn contains(&self, index: u64) -> bool {
        self.ranges.range(..=index).next_back().is_some_and(|(_, &end)| index < end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ranges_are_a_set_of_pages() {
        // Every sequence of three ranges within eight pages, against a set of numbers.
        let ranges: Vec<(u64, u64)> =
            (0..8).flat_map(|first| (first..=8).map(move |end| (first, end))).collect();
        for &one in &ranges {
            for &two in &ranges {
                for &three in ranges.iter().step_by(5) {
                    let (mut holes, mut model) = (Holes::default(), BTreeSet::new());
                    for (first, end) in [one, two, three] {
                        holes.add(first, end);
                        model.extend(first..end);
                    }
                    assert!(
                        (0..9).all(|index| holes.contains(index) == model.contains(&index)),
                        "{one:?} {two:?} {three:?}"
                    );
                    let ends: Vec<_> = holes.ranges.iter().collect();
                    assert!(ends.windows(2).all(|pair| pair[0].1 < pair[1].0), "merged");
                }
            }
        }
    }
}
