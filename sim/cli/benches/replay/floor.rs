//! The floor: a bare loop with TLBs of a fixed geometry and nothing else.
//!
//! Written apart from the simulator's TLBs, so that a slow TLB cannot hide behind itself: same geometry (64x4 data,
//! 128x8 instructions, 1536x12 unified), same replacement (LRU), permission bits, counters and page-run shortcut.

use pagewalk_mmu::{Access, AccessKind};

const WRITABLE: u8 = 1;
const DIRTY: u8 = 2;

/// One array: `sets` sets (a power of two) of `WAYS` ways.
struct Array<const WAYS: usize> {
    tags: Vec<[u64; WAYS]>,
    used: Vec<[u64; WAYS]>,
    rights: Vec<[u8; WAYS]>,
    mask: usize,
    now: u64,
}

impl<const WAYS: usize> Array<WAYS> {
    fn new(sets: usize) -> Self {
        Self {
            tags: vec![[u64::MAX; WAYS]; sets],
            used: vec![[0; WAYS]; sets],
            rights: vec![[0; WAYS]; sets],
            mask: sets - 1,
            now: 0,
        }
    }

    #[inline]
    fn lookup(&mut self, page: u64, need: u8) -> Option<u8> {
        let set = page as usize & self.mask;
        let way = self.tags[set].iter().position(|&tag| tag == page)?;
        let rights = self.rights[set][way];
        if rights & need != need {
            return None;
        }
        self.now += 1;
        self.used[set][way] = self.now;
        Some(rights)
    }

    fn insert(&mut self, page: u64, rights: u8) {
        let set = page as usize & self.mask;
        let same = self.tags[set].iter().position(|&tag| tag == page);
        let oldest = || (0..WAYS).min_by_key(|&way| self.used[set][way]).unwrap_or(0);
        let way = same.unwrap_or_else(oldest);
        self.now += 1;
        self.tags[set][way] = page;
        self.used[set][way] = self.now;
        self.rights[set][way] = rights;
    }
}

/// What the bare loop counts, by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FloorCounters {
    /// Hits in the first level.
    pub(crate) l1: u64,
    /// Hits in the second level.
    pub(crate) l2: u64,
    /// Hits in neither.
    pub(crate) misses: u64,
}

/// The TLBs of one CPU and their counters.
pub(crate) struct Floor {
    l1i: Array<8>,
    l1d: Array<4>,
    l2: Array<12>,
    last: [(u64, u8); 2],
    /// Instruction side, data side.
    pub(crate) counters: [FloorCounters; 2],
    /// Cycles, as the default machine charges them.
    pub(crate) clock: u64,
}

impl Floor {
    /// Empty TLBs.
    pub(crate) fn new() -> Self {
        Self {
            l1i: Array::new(16),
            l1d: Array::new(16),
            l2: Array::new(128),
            last: [(u64::MAX, 0); 2],
            counters: Default::default(),
            clock: 0,
        }
    }

    /// Translates every access; a miss is filled at once, as if the walk cost nothing.
    pub(crate) fn run(&mut self, accesses: &[Access]) {
        // Both sides' quick hits in one register: a counter in memory would make each access wait for the last.
        let mut quick = 0_u64;
        let mut splits = 0;
        for access in accesses {
            let kind = access.kind();
            let side = usize::from(kind != AccessKind::Fetch);
            let need = if kind.is_write() { WRITABLE | DIRTY } else { 0 };
            let page = access.vaddr().0 >> 12;
            if self.last[side].0 == page && self.last[side].1 & need == need {
                quick += 1 << (32 * side);
            } else {
                self.touch(side, page, need);
            }
            if access.is_split() {
                splits += 1;
                self.touch(side, page + 1, need);
            }
        }
        self.clock += 4 * (accesses.len() as u64 + splits);
        self.counters[0].l1 += quick & 0xffff_ffff;
        self.counters[1].l1 += quick >> 32;
    }

    #[inline(never)]
    fn touch(&mut self, side: usize, page: u64, need: u8) {
        let hit = if side == 0 { self.l1i.lookup(page, need) } else { self.l1d.lookup(page, need) };
        let rights = match hit {
            Some(rights) => {
                self.counters[side].l1 += 1;
                rights
            }
            None => self.refill(side, page, need),
        };
        self.last[side] = (page, rights);
    }

    fn refill(&mut self, side: usize, page: u64, need: u8) -> u8 {
        let rights = match self.l2.lookup(page, need) {
            Some(rights) => {
                self.counters[side].l2 += 1;
                self.clock += 9;
                rights
            }
            None => {
                self.counters[side].misses += 1;
                let rights = WRITABLE | need;
                self.l2.insert(page, rights);
                rights
            }
        };
        if side == 0 {
            self.l1i.insert(page, rights);
        } else {
            self.l1d.insert(page, rights);
        }
        rights
    }
}
