//! The run's history: each series with its source and its names, one entry each.

use serde::Serialize;

use crate::watch::{Epoch, Gauges, Seen};

/// A series of the history, for people.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// What it is called where room is short.
    pub label: &'static str,
    /// What it is called by itself.
    pub title: &'static str,
    /// Whether its values are levels, as they were at the end of each epoch; otherwise they count what happened in it.
    pub level: bool,
    /// A value an epoch.
    pub values: &'a [u64],
}

/// The history: `count` takes what happened in an epoch, `level` what memory held at its end.
macro_rules! timeline {
    ($($(#[$doc:meta])* $field:ident: $kind:ident $value:expr, $label:literal, $title:literal;)*) => {
        /// The run's history. All series have one value an epoch.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Timeline {
            /// Length of an epoch, in cycles.
            pub epoch_cycles: u64,
            $($(#[$doc])* pub $field: Vec<u64>,)*
        }

        impl Timeline {
            /// What was seen. What memory held is what it was at the last look, in this epoch or an earlier one.
            pub(crate) fn of(seen: &Seen) -> Self {
                let epochs = seen.epochs.all();
                let mut held: Vec<Gauges> = Vec::new();
                for epoch in epochs {
                    held.push(epoch.gauges.or(held.last().copied()).unwrap_or_default());
                }
                Self {
                    epoch_cycles: seen.epochs.cycles(),
                    $($field: timeline!(@$kind epochs, held, $value),)*
                }
            }

            /// All series.
            #[must_use]
            pub fn series(&self) -> Vec<Series<'_>> {
                vec![$(Series {
                    label: $label,
                    title: $title,
                    level: timeline!(@is $kind),
                    values: &self.$field,
                },)*]
            }
        }
    };
    (@count $epochs:ident, $held:ident, $value:expr) => {{
        let of: fn(&Epoch) -> u64 = $value;
        $epochs.iter().map(of).collect()
    }};
    (@level $epochs:ident, $held:ident, $value:expr) => {{
        let of: fn(&Gauges) -> u64 = $value;
        $held.iter().map(of).collect()
    }};
    (@is count) => { false };
    (@is level) => { true };
}

timeline! {
    /// Accesses finished in it.
    accesses: count |epoch| epoch.accesses, "accesses", "accesses";
    /// Touches that missed the TLBs.
    tlb_misses: count |epoch| epoch.tlb_misses, "TLB misses", "TLB misses";
    /// Page faults resolved.
    pgfault: count |epoch| epoch.pgfault, "faults", "page faults";
    /// Those that waited for a disk.
    pgmajfault: count |epoch| epoch.pgmajfault, "major faults", "major faults";
    /// Anonymous pages mapped at its end.
    nr_anon_pages: level |held| held.nr_anon_pages, "anonymous pages", "anonymous pages";
    /// Pages of files in the page cache at its end.
    nr_file_pages: level |held| held.nr_file_pages, "page cache", "page cache";
    /// Those that were dirty.
    nr_dirty: level |held| held.nr_dirty, "dirty", "dirty pages";
    /// Free frames at its end.
    nr_free_pages: level |held| held.nr_free_pages, "", "free frames";
    /// Pages of swap areas in use at its end.
    swap_used: level |held| held.swap_used, "in swap", "pages in swap";
    /// Pages that reclaim looked at.
    pgscan: count |epoch| epoch.counts.pgscan, "", "pages scanned";
    /// Pages that reclaim freed.
    pgsteal: count |epoch| epoch.counts.pgsteal, "reclaimed", "pages reclaimed";
    /// Pages written to swap areas.
    pswpout: count |epoch| epoch.counts.pswpout, "swapped out", "pages swapped out";
    /// Pages read from swap areas.
    pswpin: count |epoch| epoch.counts.pswpin, "swapped in", "pages swapped in";
}
