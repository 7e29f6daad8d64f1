//! How page faults are resolved, and how long each kind takes.

use std::cell::{Ref, RefCell};

use pagewalk_engine::Keep;

/// How a page fault was resolved. The numbers are part of a run's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// No page was there: a zeroed one was mapped.
    FirstTouch = 1,
    /// A write to a page that others may see: it was copied.
    Copied = 2,
    /// A write to a read-only entry whose page nobody else has: the entry was made writable.
    Permission = 3,
    /// Somebody was faster, or nothing was left to do.
    Spurious = 4,
    /// A page of a file that the page cache had.
    FileMinor = 5,
    /// A page of a file that had to be read from the disk.
    FileMajor = 6,
    /// A page that was swapped out and that the swap cache had.
    SwapMinor = 7,
    /// A page that had to be read from a swap area.
    SwapMajor = 8,
}

impl FaultKind {
    /// How many there are.
    pub const COUNT: usize = 8;
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::FirstTouch,
        Self::Copied,
        Self::Permission,
        Self::Spurious,
        Self::FileMinor,
        Self::FileMajor,
        Self::SwapMinor,
        Self::SwapMajor,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstTouch => "first_touch",
            Self::Copied => "copy_on_write",
            Self::Permission => "permission",
            Self::Spurious => "spurious",
            Self::FileMinor => "file_minor",
            Self::FileMajor => "file_major",
            Self::SwapMinor => "swap_minor",
            Self::SwapMajor => "swap_major",
        }
    }

    /// Whether it waited for a disk (`VM_FAULT_MAJOR`).
    pub fn is_major(self) -> bool {
        matches!(self, Self::FileMajor | Self::SwapMajor)
    }
}

/// The latencies of page faults by kind.
#[derive(Default)]
pub struct FaultLatencies([RefCell<Latency>; FaultKind::COUNT]);

impl Keep for FaultLatencies {
    fn keep(&self) -> Self {
        Self(self.0.keep())
    }
    fn set_back(&self, kept: &Self) {
        for (own, kept) in self.0.iter().zip(&kept.0) {
            if own.borrow().count != kept.borrow().count {
                own.set_back(kept);
            }
        }
    }
}

impl FaultLatencies {
    /// Notes one fault of `kind`, which took so many cycles.
    pub fn record(&self, kind: FaultKind, cycles: u64) {
        self.0[kind as usize - 1].borrow_mut().record(cycles);
    }

    /// The latencies of one kind.
    pub fn of(&self, kind: FaultKind) -> Ref<'_, Latency> {
        self.0[kind as usize - 1].borrow()
    }

    /// The latencies of all kinds together.
    pub fn all(&self) -> Latency {
        let mut all = Latency::default();
        self.0.iter().for_each(|kind| all.merge(&kind.borrow()));
        all
    }
}

/// Latencies in cycles: a log-linear histogram (each power of two in 16 parts), so memory is bounded and any quantile is
/// right to 6 %.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

const PARTS: u32 = 4;

impl Latency {
    /// Notes one event.
    pub fn record(&mut self, cycles: u64) {
        let bucket = Self::bucket(cycles);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.min = if self.count == 0 { cycles } else { self.min.min(cycles) };
        self.count += 1;
        self.sum += u128::from(cycles);
        self.max = self.max.max(cycles);
    }

    /// Adds what `other` has noted.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(own, &more)| *own += more);
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// How many events were noted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their latencies together, in cycles.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The shortest; 0 of none.
    pub fn min(&self) -> u64 {
        self.min
    }

    /// The longest.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The latency that `per_mille` of the events did not exceed (the lower edge of its bucket); 0 of none.
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let wanted = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Self::lower_edge(bucket);
            }
        }
        0
    }

    /// The buckets that are not empty: the least latency in each, and how many events.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let filled = self.buckets.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(bucket, &count)| (Self::lower_edge(bucket), count))
    }

    fn bucket(cycles: u64) -> usize {
        let exponent = (cycles | 1).ilog2();
        if exponent < PARTS {
            return cycles as usize;
        }
        let within = (cycles >> (exponent - PARTS)) & ((1 << PARTS) - 1);
        (((exponent - PARTS + 1) << PARTS) as u64 + within) as usize
    }

    fn lower_edge(bucket: usize) -> u64 {
        let (block, within) = (bucket >> PARTS, bucket as u64 & ((1 << PARTS) - 1));
        if block == 0 { within } else { ((1 << PARTS) + within) << (block - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_falls_in_the_bucket_whose_edges_hold_it() {
        for cycles in (0..5_000).chain([1 << 20, (1 << 40) + 12_345]) {
            let bucket = Latency::bucket(cycles);
            assert!(Latency::lower_edge(bucket) <= cycles, "{cycles}");
            assert!(Latency::lower_edge(bucket + 1) > cycles, "{cycles}");
        }
    }

    #[test]
    fn quantiles_come_from_the_counts() {
        let mut latency = Latency::default();
        (1..=100).for_each(|cycles| latency.record(cycles));
        assert_eq!(latency.quantile(0), 1);
        assert_eq!(latency.quantile(500), 50);
        assert_eq!((latency.count(), latency.max(), latency.sum()), (100, 100, 5050));
        assert_eq!(Latency::default().quantile(500), 0);
    }

    #[test]
    fn kinds_together_are_what_all_of_them_noted() {
        let latencies = FaultLatencies::default();
        let mut whole = Latency::default();
        for (n, kind) in FaultKind::ALL.into_iter().cycle().take(50).enumerate() {
            let cycles = 7 << (n % 20);
            latencies.record(kind, cycles);
            whole.record(cycles);
        }
        assert_eq!(latencies.all(), whole);
        assert_eq!(latencies.of(FaultKind::FirstTouch).count(), 7);
        assert_eq!(whole.buckets().map(|(_, count)| count).sum::<u64>(), 50);
    }
}
