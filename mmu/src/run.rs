//! The hit loop: runs accesses as long as the TLB translates them. The hot path of the whole simulator.

use crate::tlb::Translation;
use crate::{Access, AccessKind, AccessObserver, Asid, TlbHierarchy, Vaddr};

/// Where a program is in its accesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The next access.
    pub index: usize,
    /// Its first page is done; it goes on at the second one.
    pub second_half: bool,
}

/// Why the hit loop stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// All accesses are done.
    Done,
    /// The clock has passed the limit; the next touch is not begun.
    Limit,
    /// The next touch missed, which is counted. The caller walks; a walk that succeeds executes the touch itself and
    /// says so by [`complete_touch`]. If the caller calls again instead, that looks up again.
    Miss {
        /// First byte touched in the page that missed.
        vaddr: Vaddr,
        /// What the access does.
        kind: AccessKind,
    },
}

/// Runs user-mode `accesses` from `at` on while they hit, and moves `at` and `clock` on.
///
/// A touch costs `access_cost` and the cycles of its L1 or L2 hit. The loop stops *before* a touch if `clock` is above
/// `limit`: a single touch may overshoot, none begins late. The unit of touching is the base page, whatever the size of
/// the mapping. Calling with an observer of `()` is the floor against which everything above the TLB is measured.
#[expect(
    clippy::too_many_arguments,
    reason = "a struct of borrows would have to be rebuilt around every miss"
)]
pub fn run_hits<O: AccessObserver>(
    tlb: &mut TlbHierarchy,
    asid: Asid,
    accesses: &[Access],
    at: &mut Position,
    clock: &mut u64,
    limit: u64,
    access_cost: u32,
    observer: &mut O,
) -> RunEnd {
    let l1_cost = u64::from(access_cost) + u64::from(tlb.l1_hit_cycles);
    let l2_cost = u64::from(access_cost) + u64::from(tlb.l2_hit_cycles);
    let mut tally = Tally::default();
    let Position { mut index, mut second_half } = *at;
    let mut now = *clock;
    let end = loop {
        let Some(&access) = accesses.get(index) else { break RunEnd::Done };
        if now > limit {
            break RunEnd::Limit;
        }
        let kind = access.kind();
        let split = access.is_split();
        let vaddr = if split && second_half { access.second_half() } else { access.vaddr() };
        let (side, need) = (kind.side(), kind.rights());
        let last = &tlb.last[side as usize];
        let frame = if last.serves(vaddr, asid, need) {
            now += l1_cost;
            last.frame
        } else {
            match tlb.translate(vaddr, asid, side, need) {
                Translation::L1(_, frame) => {
                    now += l1_cost;
                    frame
                }
                Translation::L2(_, frame) => {
                    now += l2_cost;
                    tally.l2_touches[side as usize] += 1;
                    frame
                }
                Translation::Miss => break RunEnd::Miss { vaddr, kind },
            }
        };
        observer.touch(vaddr, frame, kind);
        tally.touch(kind);
        if split && !second_half {
            tally.first_halves[kind as usize] += 1;
            second_half = true;
        } else {
            tally.splits += u64::from(split);
            second_half = false;
            index += 1;
        }
    };
    (at.index, at.second_half) = (index, second_half);
    *clock = now;
    tally.add_to(tlb);
    end
}

/// Moves `at` over the touch that missed: the walk has translated it, and it is executed. It was counted as a miss and
/// is no hit; the access is counted when its last touch is done.
pub fn complete_touch(tlb: &mut TlbHierarchy, accesses: &[Access], at: &mut Position) {
    let access = accesses[at.index];
    if access.is_split() && !at.second_half {
        at.second_half = true;
        return;
    }
    let counters = &mut tlb.accesses;
    match access.kind() {
        AccessKind::Fetch => counters.fetches += 1,
        AccessKind::Load => counters.loads += 1,
        AccessKind::Store => counters.stores += 1,
        AccessKind::Modify => counters.modifies += 1,
    }
    counters.splits += u64::from(access.is_split());
    *at = Position { index: at.index + 1, second_half: false };
}

/// Touches of one call, counted in four 16-bit lanes of one register: a counter in memory for each kind would make
/// every touch wait for the store of the one before.
#[derive(Default)]
struct Tally {
    lanes: u64,
    /// By kind: what left the lanes.
    touches: [u64; 4],
    /// By kind: touches that did not finish their access.
    first_halves: [u64; 4],
    /// Split accesses finished.
    splits: u64,
    /// By side: touches translated by L2.
    l2_touches: [u64; 2],
}

impl Tally {
    #[inline]
    fn touch(&mut self, kind: AccessKind) {
        const ANY_LANE_HALF_FULL: u64 = 0x8000_8000_8000_8000;
        self.lanes += 1 << (16 * kind as u32);
        if self.lanes & ANY_LANE_HALF_FULL != 0 {
            self.spill();
        }
    }

    #[cold]
    fn spill(&mut self) {
        for (kind, touches) in self.touches.iter_mut().enumerate() {
            *touches += self.lanes >> (16 * kind) & 0xffff;
        }
        self.lanes = 0;
    }

    fn add_to(&mut self, tlb: &mut TlbHierarchy) {
        self.spill();
        let [fetch, load, store, modify] = self.touches;
        let by_side = [fetch, load + store + modify];
        for (side, touches) in by_side.into_iter().enumerate() {
            tlb.sides[side].l1_hits += touches - self.l2_touches[side];
        }
        let [fetch_halves, load_halves, store_halves, modify_halves] = self.first_halves;
        let accesses = &mut tlb.accesses;
        accesses.fetches += fetch - fetch_halves;
        accesses.loads += load - load_halves;
        accesses.stores += store - store_halves;
        accesses.modifies += modify - modify_halves;
        accesses.splits += self.splits;
    }
}
