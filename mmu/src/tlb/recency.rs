//! Which way of a full set is given up: exact LRU by stamps, or tree-PLRU by bits.

use super::{Replacement, TlbGeometry};

/// The replacement state of every set of an array.
#[derive(Clone, Debug)]
pub(super) enum Recency {
    /// The time each slot was last used; 0 in a slot that is invalid, so that the minimum finds it first.
    Lru {
        stamps: Vec<u64>,
        now: u64,
    },
    TreePlru(Trees),
}

impl Recency {
    pub(super) fn new(geometry: &TlbGeometry) -> Self {
        match geometry.replacement {
            Replacement::Lru => Self::Lru { stamps: vec![0; geometry.entries as usize], now: 0 },
            Replacement::TreePlru => {
                Self::TreePlru(Trees::new(geometry.sets() as usize, geometry.ways as usize))
            }
        }
    }

    /// Notes that `slot` (way `slot - set * ways` of `set`) was used.
    #[inline]
    pub(super) fn touch(&mut self, slot: usize, set_of: impl FnOnce() -> (usize, usize)) {
        match self {
            Self::Lru { stamps, now } => {
                *now += 1;
                stamps[slot] = *now;
            }
            Self::TreePlru(trees) => {
                let (set, way) = set_of();
                trees.touch(set, way);
            }
        }
    }

    /// Notes that `slot` holds nothing any more.
    pub(super) fn forget(&mut self, slot: usize) {
        if let Self::Lru { stamps, .. } = self {
            stamps[slot] = 0;
        }
    }

    /// The way to fill next in `set`, whose slots start at `base`.
    pub(super) fn victim(
        &self,
        set: usize,
        base: usize,
        ways: usize,
        is_valid: impl Fn(usize) -> bool,
    ) -> usize {
        match self {
            Self::Lru { stamps, .. } => {
                let mut best = (u64::MAX, 0);
                for (way, &stamp) in stamps[base..base + ways].iter().enumerate() {
                    best = if stamp < best.0 { (stamp, way) } else { best };
                }
                best.1
            }
            Self::TreePlru(trees) => {
                (0..ways).find(|&way| !is_valid(base + way)).unwrap_or_else(|| trees.victim(set))
            }
        }
    }
}

/// One tree of bits per set. Node 1 is the root, the children of node n are 2n and 2n+1, the leaves are the ways.
/// Bit n set means: the right half of node n is the older one.
#[derive(Clone, Debug)]
pub(super) struct Trees {
    ways: usize,
    /// Depth of the tree over the next power of two.
    depth: u32,
    words_per_set: usize,
    bits: Vec<u64>,
    /// For each way, while a tree fits one word: the nodes above it, and the value they take when it is used.
    paths: Vec<(u64, u64)>,
}

impl Trees {
    fn new(sets: usize, ways: usize) -> Self {
        let leaves = ways.next_power_of_two();
        let depth = leaves.trailing_zeros();
        let words_per_set = leaves.div_ceil(64);
        let paths =
            if words_per_set == 1 { (0..ways).map(|way| path(depth, way)).collect() } else { Vec::new() };
        Self { ways, depth, words_per_set, bits: vec![0; sets * words_per_set], paths }
    }

    #[inline]
    fn touch(&mut self, set: usize, way: usize) {
        if let Some(&(nodes, away)) = self.paths.get(way) {
            let word = &mut self.bits[set];
            *word = *word & !nodes | away;
            return;
        }
        let base = set * self.words_per_set;
        let mut node = 1;
        for level in (0..self.depth).rev() {
            let right = way >> level & 1;
            let (word, bit) = (base + node / 64, node % 64);
            self.bits[word] = self.bits[word] & !(1 << bit) | ((1 - right) as u64) << bit;
            node = 2 * node + right;
        }
    }

    fn victim(&self, set: usize) -> usize {
        let base = set * self.words_per_set;
        let (mut node, mut way) = (1, 0);
        for level in (0..self.depth).rev() {
            let points_right = self.bits[base + node / 64] >> (node % 64) & 1 == 1;
            // The right half starts at this way; if that is absent, so is the whole half.
            let right = usize::from(points_right && way + (1 << level) < self.ways);
            way += right << level;
            node = 2 * node + right;
        }
        way
    }
}

/// The nodes above `way` as a mask, and those of them that must point right when the way is used (it is on the left).
fn path(depth: u32, way: usize) -> (u64, u64) {
    let (mut nodes, mut away, mut node) = (0_u64, 0_u64, 1);
    for level in (0..depth).rev() {
        let right = way >> level & 1;
        nodes |= 1 << node;
        away |= ((1 - right) as u64) << node;
        node = 2 * node + right;
    }
    (nodes, away)
}
