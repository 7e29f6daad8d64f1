//! Where a process has shared mappings, as far as its events are read.

use std::collections::BTreeMap;

use pagewalk_trace::Event;

use super::feed::pages;

/// Ranges of whole pages that a process maps shared: what is discarded there comes back as it was.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedRanges {
    /// End by start; they do not overlap.
    ends: BTreeMap<u64, u64>,
}

impl SharedRanges {
    /// The next event of the process, in the order of the trace.
    pub(super) fn note(&mut self, event: &Event) {
        match *event {
            Event::Map { start, len, shared, .. } => {
                self.forget(start, len);
                if shared && let Some(range) = pages(start, len) {
                    self.ends.insert(range.start().0, range.end().0);
                }
            }
            Event::Unmap { start, len } => self.forget(start, len),
            // What moves is not followed: it counts as private from now on.
            Event::Remap { old_start, old_len, new_len, new_start } => {
                self.forget(old_start, old_len);
                if let Some(start) = new_start {
                    self.forget(start, new_len);
                }
            }
            Event::Exec { .. } => self.ends.clear(),
            _ => {}
        }
    }

    /// Whether all of the range is mapped shared.
    pub(super) fn cover(&self, start: u64, len: u64) -> bool {
        let Some(range) = pages(start, len) else { return false };
        let mut at = range.start().0;
        while at < range.end().0 {
            match self.ends.range(..=at).next_back() {
                Some((_, &end)) if end > at => at = end,
                _ => return false,
            }
        }
        true
    }

    fn forget(&mut self, start: u64, len: u64) {
        let Some(range) = pages(start, len) else { return self.ends.clear() };
        let (first, last) = (range.start().0, range.end().0);
        let hit = self.ends.range(..last).rev().take_while(|&(_, &end)| end > first);
        let hit: Vec<(u64, u64)> = hit.map(|(&start, &end)| (start, end)).collect();
        for (start, end) in hit {
            self.ends.remove(&start);
            if start < first {
                self.ends.insert(start, first);
            }
            if end > last {
                self.ends.insert(last, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pagewalk_trace::{MapKind, Prot};

    use super::*;

    const PAGE: u64 = 4096;

    fn map(start: u64, pages: u64, shared: bool) -> Event {
        let (start, len) = (start * PAGE, pages * PAGE);
        let (prot, kind) = (Prot::READ_WRITE, MapKind::Anonymous);
        Event::Map { start, len, prot, kind, shared, inferred: false }
    }

    #[test]
    fn what_is_mapped_over_unmapped_or_moved_is_shared_no_more() {
        let mut ranges = SharedRanges::default();
        let cover = |ranges: &SharedRanges, start, pages| ranges.cover(start * PAGE, pages * PAGE);
        ranges.note(&map(10, 10, true));
        ranges.note(&map(20, 5, true));
        assert!(cover(&ranges, 10, 15), "two that touch");
        assert!(!cover(&ranges, 9, 2) && !cover(&ranges, 24, 2) && !cover(&ranges, 40, 1));
        assert!(ranges.cover(10 * PAGE + 5, 1), "parts of pages");
        ranges.note(&map(12, 2, false));
        assert!(cover(&ranges, 10, 2) && !cover(&ranges, 11, 2) && cover(&ranges, 14, 11));
        ranges.note(&Event::Unmap { start: 15 * PAGE, len: 7 * PAGE });
        assert!(cover(&ranges, 14, 1) && !cover(&ranges, 15, 1) && cover(&ranges, 22, 3));
        let (old_start, old_len) = (22 * PAGE, PAGE);
        ranges.note(&Event::Remap { old_start, old_len, new_len: PAGE, new_start: Some(14 * PAGE) });
        assert!(!cover(&ranges, 22, 1) && !cover(&ranges, 14, 1) && cover(&ranges, 23, 2));
    }
}
