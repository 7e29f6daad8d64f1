//! Which CPU's cache holds a line: the cost of sharing.
//!
//! A direct-mapped directory of the lines touched last. A line that fell out of it counts as held by
//! nobody, so memory is bounded and a step costs one table entry.

use std::cell::Cell;

use crate::cpu::CpuId;

const LINES: usize = 1 << 12;

#[derive(Clone, Copy)]
struct Line {
    number: u64,
    owner: CpuId,
    exclusive: bool,
}

/// A line on its way: which, and when it arrives.
#[derive(Clone, Copy)]
struct Arrival {
    line: u64,
    at: u64,
}

/// The directory. Only machines with more than one CPU have one.
pub(crate) struct Coherence {
    lines: Box<[Cell<Line>]>,
    /// For each place of the directory the line that moved last, if transfers queue.
    arrivals: Option<Box<[Cell<Arrival>]>>,
}

impl Coherence {
    pub(crate) fn new(queue: bool) -> Self {
        let empty = Line { number: u64::MAX, owner: CpuId(0), exclusive: false };
        Self {
            lines: vec![Cell::new(empty); LINES].into_boxed_slice(),
            arrivals: queue
                .then(|| vec![Cell::new(Arrival { line: u64::MAX, at: 0 }); LINES].into_boxed_slice()),
        }
    }

    fn place(line: u64) -> usize {
        (line.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - LINES.trailing_zeros())) as usize
    }

    /// How long a transfer of `line` that is wanted at `now` and takes `transfer` cycles waits for those before it.
    #[inline]
    pub(crate) fn queue(&self, line: u64, now: u64, transfer: u64) -> u64 {
        let Some(arrivals) = &self.arrivals else { return 0 };
        let place = &arrivals[Self::place(line)];
        let last = place.get();
        let free = if last.line == line { last.at.max(now) } else { now };
        place.set(Arrival { line, at: free + transfer });
        free - now
    }

    /// Notes that `cpu` reads or writes `line`; true if the line had to move.
    ///
    /// A read moves a line that another CPU holds exclusively; a write moves every line that this CPU
    /// does not hold exclusively.
    #[inline]
    pub(crate) fn touch(&self, line: u64, cpu: CpuId, write: bool) -> bool {
        let entry = &self.lines[Self::place(line)];
        let held = entry.get();
        if held.number != line {
            // A cold read takes the line exclusive-clean (the E of MESI): the same CPU's next write costs nothing.
            entry.set(Line { number: line, owner: cpu, exclusive: true });
            return false;
        }
        let mine = held.owner == cpu;
        if write {
            entry.set(Line { number: line, owner: cpu, exclusive: true });
            !(mine && held.exclusive)
        } else {
            let moves = held.exclusive && !mine;
            if moves {
                entry.set(Line { number: line, owner: cpu, exclusive: false });
            }
            moves
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_moves_when_another_wrote_it_and_when_it_is_shared() {
        let directory = Coherence::new(false);
        let (a, b) = (CpuId(0), CpuId(1));
        assert!(!directory.touch(9, a, true), "cold");
        assert!(!directory.touch(9, a, false), "mine");
        assert!(directory.touch(9, b, false), "fetched from its writer");
        assert!(!directory.touch(9, a, false), "shared now");
        assert!(directory.touch(9, a, true), "taken away from the sharer");
        assert!(directory.touch(9, b, true), "taken away from the writer");
    }

    #[test]
    fn transfers_of_one_line_go_one_after_the_other_if_they_queue() {
        let directory = Coherence::new(true);
        assert_eq!(directory.queue(9, 1_000, 100), 0);
        assert_eq!(directory.queue(9, 1_020, 100), 80);
        assert_eq!(directory.queue(10, 1_020, 100), 0, "another line");
        assert_eq!(directory.queue(9, 1_500, 100), 0, "long since arrived");
        assert_eq!(Coherence::new(false).queue(9, 1_000, 100), 0);
    }

    #[test]
    fn a_line_read_by_one_cpu_alone_is_written_by_it_without_a_transfer() {
        let directory = Coherence::new(false);
        let (a, b) = (CpuId(0), CpuId(1));
        assert!(!directory.touch(9, a, false), "cold");
        assert!(!directory.touch(9, a, true), "exclusive already");
        assert!(!directory.touch(10, a, false), "cold");
        assert!(directory.touch(10, b, false), "fetched from the CPU that has it alone");
        assert!(directory.touch(10, a, true), "shared by now");
    }
}
