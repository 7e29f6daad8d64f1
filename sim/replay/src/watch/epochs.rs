//! A run's history in a bounded number of epochs, however long the run is.
//!
//! An epoch is a power of two of cycles. When the run outgrows the last one, neighbours become one and epochs are twice as
//! long: so a finished run has between half the limit and the limit of them, unless it was very short.

use pagewalk_kernel::Kernel;

/// What happened in one epoch, and what memory held when it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Accesses finished.
    pub accesses: u64,
    /// Touches that missed the TLBs.
    pub tlb_misses: u64,
    /// Page faults resolved.
    pub pgfault: u64,
    /// Those that waited for a disk.
    pub pgmajfault: u64,
    /// What reclaim and swap did.
    pub counts: Counts,
    /// What memory held; absent if nobody entered the kernel.
    pub gauges: Option<Gauges>,
}

/// What is looked at in the kernel, field by field with its source.
macro_rules! looks {
    (counts $(#[$about:meta])* $name:ident at $kernel:ident: $($(#[$doc:meta])* $field:ident = $value:expr,)*) => {
        looks! { $(#[$about])* $name at $kernel: $($(#[$doc])* $field = $value,)* }

        impl $name {
            /// Both together.
            pub fn plus(self, other: Self) -> Self {
                Self { $($field: self.$field + other.$field,)* }
            }

            /// What has come since it was `before`.
            pub fn since(self, before: Self) -> Self {
                Self { $($field: self.$field - before.$field,)* }
            }
        }
    };
    ($(#[$about:meta])* $name:ident at $kernel:ident: $($(#[$doc:meta])* $field:ident = $value:expr,)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl $name {
            /// What it is now.
            pub(super) fn of($kernel: &Kernel) -> Self {
                Self { $($field: $value,)* }
            }
        }
    };
}

looks! {
    /// What memory held, in pages.
    Gauges at kernel:
    /// Anonymous pages mapped.
    nr_anon_pages = kernel.stat.nr_anon_pages.get(),
    /// Pages of files in the page cache.
    nr_file_pages = kernel.cache.nr_file_pages(),
    /// Those that are dirty.
    nr_dirty = kernel.cache.nr_file_dirty(),
    /// Free frames.
    nr_free_pages = u64::from(kernel.zone.nr_free_pages()),
    /// Pages of swap areas in use.
    swap_used = kernel.swap.total_swap_pages().saturating_sub(kernel.swap.nr_swap_pages()),
}

looks! {
    counts
    /// What reclaim and swap did, in pages.
    Counts at kernel:
    /// Looked at by reclaim.
    pgscan = kernel.stat.pgscan_kswapd.get() + kernel.stat.pgscan_direct.get(),
    /// Freed by reclaim.
    pgsteal = kernel.stat.pgsteal_kswapd.get() + kernel.stat.pgsteal_direct.get(),
    /// Written to swap areas.
    pswpout = kernel.stat.pswpout.get(),
    /// Read from swap areas.
    pswpin = kernel.stat.pswpin.get(),
}

impl Epoch {
    /// `later` happened after this one: both as one epoch.
    fn with(self, later: Self) -> Self {
        Self {
            accesses: self.accesses + later.accesses,
            tlb_misses: self.tlb_misses + later.tlb_misses,
            pgfault: self.pgfault + later.pgfault,
            pgmajfault: self.pgmajfault + later.pgmajfault,
            counts: self.counts.plus(later.counts),
            gauges: later.gauges.or(self.gauges),
        }
    }
}

/// The epochs of a run so far.
#[derive(Clone, Debug)]
pub struct Epochs {
    /// The length of an epoch is two to this power, in cycles.
    shift: u32,
    limit: usize,
    epochs: Vec<Epoch>,
}

/// The shortest epoch: 1024 cycles.
const SHORTEST: u32 = 10;

impl Epochs {
    /// No epochs yet, and at most `limit` (an even number, 2 or more) ever.
    pub fn new(limit: usize) -> Self {
        assert!(limit >= 2 && limit.is_multiple_of(2), "epochs are joined two by two");
        Self { shift: SHORTEST, limit, epochs: Vec::new() }
    }

    /// The length of an epoch now, in cycles.
    pub fn cycles(&self) -> u64 {
        1 << self.shift
    }

    /// All of them, from the beginning of the run.
    pub fn all(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The epoch of a clock.
    #[inline]
    pub fn at(&mut self, clock: u64) -> &mut Epoch {
        let index = (clock >> self.shift) as usize;
        if index < self.epochs.len() { &mut self.epochs[index] } else { self.reach(clock) }
    }

    #[cold]
    fn reach(&mut self, clock: u64) -> &mut Epoch {
        while clock >> self.shift >= self.limit as u64 {
            let pairs =
                self.epochs.chunks(2).map(|pair| pair[0].with(pair.get(1).copied().unwrap_or_default()));
            self.epochs = pairs.collect();
            self.shift += 1;
        }
        let index = (clock >> self.shift) as usize;
        if self.epochs.len() <= index {
            self.epochs.resize(index + 1, Epoch::default());
        }
        &mut self.epochs[index]
    }

    /// Accesses that were finished, at an even pace, from the clock `began` to the clock `now`, and TLB misses now.
    #[inline]
    pub fn ran(&mut self, began: u64, now: u64, (mut accesses, misses): (u64, u64)) {
        if (began ^ now) >> self.shift != 0 {
            self.spread(began, now, std::mem::take(&mut accesses));
        }
        let epoch = self.at(now);
        epoch.accesses += accesses;
        epoch.tlb_misses += misses;
    }

    #[cold]
    fn spread(&mut self, began: u64, now: u64, accesses: u64) {
        self.at(now);
        let whole = u128::from(now - began);
        let mut told = 0;
        for index in began >> self.shift..=now >> self.shift {
            let end = ((index + 1) << self.shift).min(now);
            let until = (u128::from(accesses) * u128::from(end - began)).checked_div(whole);
            let until = until.map_or(accesses, |until| until as u64);
            self.at(index << self.shift).accesses += until - told;
            told = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_double_and_nothing_is_lost() {
        let mut epochs = Epochs::new(8);
        let mut sums = (0, 0);
        for n in 0..5_000_u64 {
            let clock = n * n;
            epochs.ran(clock, clock + 2 * n + 1, (n % 7, 0));
            let epoch = epochs.at(clock);
            epoch.tlb_misses += 1;
            epoch.gauges = Some(Gauges { nr_anon_pages: n, ..Gauges::default() });
            sums = (sums.0 + n % 7, sums.1 + 1);
        }
        let all = epochs.all();
        assert!((4..=8).contains(&all.len()), "{}", all.len());
        assert!(epochs.cycles() * all.len() as u64 >= 4_999 * 4_999);
        assert_eq!(all.iter().map(|epoch| epoch.accesses).sum::<u64>(), sums.0);
        assert_eq!(all.iter().map(|epoch| epoch.tlb_misses).sum::<u64>(), sums.1);
        let held: Vec<u64> = all.iter().map(|epoch| epoch.gauges.map_or(0, |g| g.nr_anon_pages)).collect();
        assert!(held.is_sorted() && held.last() == Some(&4_999), "the latest look counts: {held:?}");
    }

    #[test]
    fn a_long_stretch_of_hits_is_spread_over_its_epochs() {
        let mut epochs = Epochs::new(100);
        epochs.ran(512, 10 * 1024, (19, 0));
        let accesses: Vec<u64> = epochs.all().iter().map(|epoch| epoch.accesses).collect();
        assert_eq!(accesses, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0]);
        epochs.ran(u64::MAX - 9, u64::MAX, (10, 0));
        assert_eq!(epochs.all().iter().map(|epoch| epoch.accesses).sum::<u64>(), 29);
    }
}
