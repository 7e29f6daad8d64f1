//! Which way of a full set is given up: exact LRU by stamps, or tree-PLRU by bits.

use std::hash::Hash;

use pagewalk_engine::Digest;

use super::{Replacement, TlbGeometry};

/// In sets wider than this the order of use is a list: finding the minimum of the stamps would take longer than all the
/// rest of an insertion.
const STAMPED_WAYS: usize = 16;

/// The replacement state of every set of an array.
#[derive(Clone, Debug)]
pub(super) enum Recency {
    Lru(Stamps),
    WideLru(Lists),
    TreePlru(Trees),
}

impl Recency {
    /// Which slot of each set goes first, then, and so on.
    pub(super) fn absorb_into(&self, digest: &mut Digest) {
        match self {
            // Only the order of the stamps of a set matters, and which slots have none.
            Self::Lru(Stamps { ways, stamps, .. }) => {
                for set in stamps.chunks(*ways) {
                    let rank = |stamp: i16| set.iter().filter(|&&other| other < stamp).count() as u64;
                    set.iter().for_each(|&stamp| digest.absorb(rank(stamp) << 1 | u64::from(stamp == 0)));
                }
            }
            Self::WideLru(Lists { older, .. }) => older.hash(digest),
            Self::TreePlru(Trees { bits, .. }) => bits.hash(digest),
        }
    }
    pub(super) fn new(geometry: &TlbGeometry) -> Self {
        let (sets, ways) = (geometry.sets() as usize, geometry.ways as usize);
        match geometry.replacement {
            Replacement::Lru if ways > STAMPED_WAYS => Self::WideLru(Lists::new(sets, ways)),
            Replacement::Lru => Self::Lru(Stamps::new(sets, ways)),
            Replacement::TreePlru => Self::TreePlru(Trees::new(sets, ways)),
        }
    }

    /// Back to what `kept` is, which was cloned from it.
    pub(super) fn set_back(&mut self, kept: &Self) {
        match (self, kept) {
            (Self::Lru(own), Self::Lru(kept)) => {
                own.stamps.clone_from(&kept.stamps);
                own.clocks.clone_from(&kept.clocks);
            }
            (own, kept) => own.clone_from(kept),
        }
    }

    /// Notes that `slot`, which is in `set`, was used.
    #[inline(always)]
    pub(super) fn touch(&mut self, set: usize, slot: usize) {
        match self {
            Self::Lru(stamps) => stamps.touch(set, slot),
            Self::WideLru(lists) => lists.touch(set, slot),
            Self::TreePlru(trees) => trees.touch(set, slot - set * trees.ways),
        }
    }

    /// Notes that `slot` holds nothing any more.
    pub(super) fn forget(&mut self, slot: usize) {
        if let Self::Lru(stamps) = self {
            stamps.stamps[slot] = 0;
        }
    }

    /// The way to fill next in `set`. `free` finds its first invalid way.
    #[inline]
    pub(super) fn victim(&self, set: usize, free: impl FnOnce() -> Option<usize>) -> usize {
        match self {
            Self::Lru(stamps) => stamps.oldest(set),
            Self::WideLru(lists) => free().unwrap_or_else(|| lists.oldest(set)),
            Self::TreePlru(trees) => free().unwrap_or_else(|| trees.victim(set)),
        }
    }
}

/// When each slot was used, on a clock of its set: 16 bits, because the minimum of a set is then found eight ways at a
/// time. When a clock is at its end the stamps of its set are replaced by their ranks.
#[derive(Clone, Debug)]
pub(super) struct Stamps {
    ways: usize,
    /// 0 in a slot that is invalid, so that the minimum finds it first.
    stamps: Vec<i16>,
    /// For each set, the last stamp given.
    clocks: Vec<i16>,
}

impl Stamps {
    fn new(sets: usize, ways: usize) -> Self {
        Self { ways, stamps: vec![0; sets * ways], clocks: vec![0; sets] }
    }

    #[inline(always)]
    fn touch(&mut self, set: usize, slot: usize) {
        let clock = &mut self.clocks[set];
        if let Some(now) = clock.checked_add(1) {
            *clock = now;
            self.stamps[slot] = now;
        } else {
            self.rank(set, slot);
        }
    }

    /// Replaces the stamps of a set by 1, 2, 3, ... in the same order, but that `slot` becomes the last.
    #[cold]
    #[inline(never)]
    fn rank(&mut self, set: usize, slot: usize) {
        self.stamps[slot] = i16::MAX;
        self.clocks[set] = self.ways as i16;
        let stamps = &mut self.stamps[set * self.ways..][..self.ways];
        let mut valid: Vec<usize> = (0..stamps.len()).filter(|&way| stamps[way] != 0).collect();
        // The slot used last and the one used now can have the same stamp.
        valid.sort_unstable_by_key(|&way| (stamps[way], way == slot - set * self.ways));
        for (&way, rank) in valid.iter().zip(1..) {
            stamps[way] = rank;
        }
    }

    /// The first way with the least stamp.
    #[inline]
    fn oldest(&self, set: usize) -> usize {
        let stamps = &self.stamps[set * self.ways..][..self.ways];
        match self.ways {
            4 => oldest_of::<4>(stamps),
            8 => oldest_of::<8>(stamps),
            12 => oldest_of::<12>(stamps),
            16 => oldest_of::<16>(stamps),
            _ => first_least(stamps),
        }
    }
}

/// [`first_least`] without a branch, for a number of ways known to the compiler: which way is the oldest is not
/// predictable.
#[inline]
fn oldest_of<const WAYS: usize>(stamps: &[i16]) -> usize {
    let stamps: &[i16; WAYS] = stamps.try_into().expect("a set has as many stamps as ways");
    let least = stamps.iter().fold(i16::MAX, |least, &stamp| least.min(stamp));
    let mut ways = [i16::MAX; WAYS];
    for (way, &stamp) in stamps.iter().enumerate() {
        ways[way] = if stamp == least { way as i16 } else { i16::MAX };
    }
    ways.iter().fold(i16::MAX, |first, &way| first.min(way)) as usize
}

fn first_least(stamps: &[i16]) -> usize {
    let least = stamps.iter().min().expect("a set has a way");
    stamps.iter().position(|stamp| stamp == least).expect("the minimum is there")
}

/// The slots of each set, those that are invalid too, in the order of their last use, as a ring with a head.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    ways: usize,
    /// Of set s, node `s * (ways + 1)` is way 0, and so on; node `s * (ways + 1) + ways` is the head. Towards older
    /// slots; the head's is the slot used last.
    older: Vec<u32>,
    /// Towards younger slots; the head's is the oldest slot.
    younger: Vec<u32>,
}

impl Lists {
    fn new(sets: usize, ways: usize) -> Self {
        let ring = ways + 1;
        let neighbour = |step: usize| {
            (0..sets * ring).map(|node| (node / ring * ring + (node % ring + step) % ring) as u32).collect()
        };
        Self { ways, older: neighbour(1), younger: neighbour(ways) }
    }

    #[inline(always)]
    fn touch(&mut self, set: usize, slot: usize) {
        let (node, head) = (slot + set, set * (self.ways + 1) + self.ways);
        let first = self.older[head] as usize;
        if first == node {
            return;
        }
        let (older, younger) = (self.older[node], self.younger[node]);
        self.older[younger as usize] = older;
        self.younger[older as usize] = younger;
        self.older[node] = first as u32;
        self.younger[node] = head as u32;
        self.younger[first] = node as u32;
        self.older[head] = node as u32;
    }

    #[inline]
    fn oldest(&self, set: usize) -> usize {
        let first = set * (self.ways + 1);
        self.younger[first + self.ways] as usize - first
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

    #[inline(always)]
    fn touch(&mut self, set: usize, way: usize) {
        if let Some(&(nodes, away)) = self.paths.get(way) {
            let word = &mut self.bits[set];
            *word = *word & !nodes | away;
        } else {
            self.touch_in_words(set, way);
        }
    }

    #[inline(never)]
    fn touch_in_words(&mut self, set: usize, way: usize) {
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
