//! What the hit loop counts, in as few instructions per touch as can be.

use crate::{AccessCounters, AccessKind};

/// By kind: one in its lane.
const ONE: [u64; 4] = [1, 1 << 16, 1 << 32, 1 << 48];

/// Touches by kind, in four 16-bit lanes of one word that the hit loop keeps in a register: a counter in memory for
/// each kind would make every touch wait for the store of the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes(u64);

impl Lanes {
    /// Touches that [`Tally::lanes`] has room for.
    pub(crate) const ROOM: usize = 1 << 15;

    #[inline(always)]
    pub(crate) fn touch(&mut self, kind: AccessKind) {
        self.0 += ONE[kind as usize];
    }
}

/// What hit loops on one TLB counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// The lanes as the last loop left them.
    lanes: u64,
    /// By kind: touches that left the lanes.
    touches: [u64; 4],
    /// By kind: touches in the above that did not finish their access.
    first_halves: [u64; 4],
    /// By side: touches in the above that L2 translated.
    l2_touches: [u64; 2],
    /// By kind: accesses whose last touch is none of the above.
    finished_elsewhere: [u64; 4],
    /// Split accesses finished.
    splits: u64,
}

impl Tally {
    /// The lanes, for a loop to go on with and to give back.
    #[inline]
    pub(crate) fn lanes(&mut self) -> Lanes {
        const ANY_LANE_HALF_FULL: u64 = 0x8000_8000_8000_8000;
        if self.lanes & ANY_LANE_HALF_FULL != 0 {
            self.touches = self.all_touches();
            self.lanes = 0;
        }
        Lanes(self.lanes)
    }

    #[inline]
    pub(crate) fn give_back(&mut self, lanes: Lanes) {
        self.lanes = lanes.0;
    }

    /// What is beyond the lanes about a touch that was searched for: if L2 translated it, if its access is split, and if
    /// it is then the second half.
    #[inline]
    pub(crate) fn touch_searched(&mut self, kind: AccessKind, in_l2: bool, split: bool, second_half: bool) {
        self.l2_touches[kind.side() as usize] += u64::from(in_l2);
        if split {
            self.splits += u64::from(second_half);
            self.first_halves[kind as usize] += u64::from(!second_half);
        }
    }

    /// The second touch of a split access was done elsewhere.
    pub(crate) fn finish_split(&mut self) {
        self.splits += 1;
    }

    /// An access is finished whose last touch was not counted here.
    #[inline]
    pub(crate) fn finish_elsewhere(&mut self, kind: AccessKind) {
        self.finished_elsewhere[kind as usize] += 1;
    }

    /// By side: the touches that L1 translated.
    pub(crate) fn l1_hits(&self) -> [u64; 2] {
        let [fetch, load, store, modify] = self.all_touches();
        let [fetch_l2, data_l2] = self.l2_touches;
        [fetch - fetch_l2, load + store + modify - data_l2]
    }

    /// The accesses finished.
    pub(crate) fn accesses(&self) -> AccessCounters {
        let mut finished = self.all_touches();
        for (kind, finished) in finished.iter_mut().enumerate() {
            *finished = *finished - self.first_halves[kind] + self.finished_elsewhere[kind];
        }
        let [fetches, loads, stores, modifies] = finished;
        AccessCounters { fetches, loads, stores, modifies, splits: self.splits }
    }

    fn all_touches(&self) -> [u64; 4] {
        let mut touches = self.touches;
        for (kind, touches) in touches.iter_mut().enumerate() {
            *touches += self.lanes >> (16 * kind) & 0xffff;
        }
        touches
    }
}
