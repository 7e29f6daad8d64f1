//! The hit loop: runs accesses as long as the TLB translates them. The hot path of the whole simulator.

use crate::tlb::{Lanes, Translation};
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
#[inline(never)] // alone, its registers are its own: inlined it is a tenth slower
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
    tlb.last.switch_to(asid);
    let costs =
        [tlb.l1_hit_cycles, tlb.l2_hit_cycles].map(|cycles| u64::from(access_cost) + u64::from(cycles));
    loop {
        let block_end = accesses.len().min(at.index.saturating_add(BLOCK));
        let block = &accesses[..block_end];
        let end = run_block(tlb, asid, block, at, clock, limit, costs, observer);
        if end != RunEnd::Done || block_end == accesses.len() {
            return end;
        }
    }
}

/// Accesses whose touches, at most two each, fit the lanes.
const BLOCK: usize = Lanes::ROOM / 2;

/// [`run_hits`] for at most [`BLOCK`] accesses, in the address space switched to; `costs` are those of a touch that hits
/// L1, and L2.
#[expect(clippy::too_many_arguments, reason = "the arguments of run_hits")]
#[inline]
fn run_block<O: AccessObserver>(
    tlb: &mut TlbHierarchy,
    asid: Asid,
    accesses: &[Access],
    at: &mut Position,
    clock: &mut u64,
    limit: u64,
    costs: [u64; 2],
    observer: &mut O,
) -> RunEnd {
    let mut lanes = tlb.tally.lanes();
    let Position { mut index, mut second_half } = *at;
    let mut now = *clock;
    let end = loop {
        // Apart from the rest, so that all it needs stays in registers.
        let access = loop {
            let Some(&access) = accesses.get(index) else { break None };
            if now > limit || !tlb.last.serves(access) {
                break Some(access);
            }
            now += costs[0];
            lanes.touch(access.kind());
            tlb.last.tell(access, observer);
            second_half = false;
            index += 1;
        };
        let Some(access) = access else { break RunEnd::Done };
        if now > limit {
            break RunEnd::Limit;
        }
        let kind = access.kind();
        if !access.is_split() && tlb.hits_hint(access.vaddr(), asid, kind) {
            now += costs[0];
            lanes.touch(kind);
            tlb.last.tell(access, observer);
            second_half = false;
            index += 1;
            continue;
        }
        let half = access.is_split() && second_half;
        let vaddr = if half { access.second_half() } else { access.vaddr() };
        let (level, payload) = match tlb.translate(vaddr, asid, kind) {
            Translation::L1(payload) => (0, payload),
            Translation::L2(payload) => (1, payload),
            Translation::Miss => break RunEnd::Miss { vaddr, kind },
        };
        now += costs[level];
        lanes.touch(kind);
        observer.touch(vaddr, payload.base_frame(vaddr), kind);
        second_half = access.is_split() && !half;
        index += usize::from(!second_half);
        tlb.tally.touch_searched(kind, level == 1, access.is_split(), half);
    };
    (at.index, at.second_half) = (index, second_half);
    *clock = now;
    tlb.tally.give_back(lanes);
    end
}

/// Moves `at` over the touch that missed: the walk has translated it, and it is executed. It was counted as a miss and
/// is no hit; the access is counted when its last touch is done.
pub fn complete_touch(tlb: &mut TlbHierarchy, accesses: &[Access], at: &mut Position) {
    let access = accesses[at.index];
    let split = access.is_split();
    if split && !at.second_half {
        at.second_half = true;
        return;
    }
    tlb.tally.finish_elsewhere(access.kind());
    if split {
        tlb.tally.finish_split();
    }
    *at = Position { index: at.index + 1, second_half: false };
}
