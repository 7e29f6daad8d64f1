//! What to generate: the parameters, their defaults, and their ranges.

use std::fmt;

use serde::Deserialize;

use crate::error::TraceError;
use crate::record::MAX_ACCESS_LEN;

/// Which pages are touched, and what else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// One address after another, around and around; each thread begins at its share of the region.
    Sequential,
    /// As sequential, but `stride` bytes apart.
    Strided,
    /// Every page equally likely.
    Uniform,
    /// Page of rank k (from 1) with a chance proportional to 1/k; ranks are scattered over the region.
    Zipf,
    /// Seven of eight accesses in a sixteenth of the pages, the eighth to the next page of a scan over all.
    HotScan,
    /// A walk along one random cycle through all pages, as of dependent loads.
    PointerChase,
    /// Processes fork children, which share pages copy-on-write, write some, and exit; parents wait for them.
    ForkStorm,
    /// Each thread maps, touches, protects, moves and unmaps memory of its own.
    MapChurn,
    /// Threads of several processes touch shared regions while others unmap, map, protect, discard and move them, move
    /// the break, and fork. Every access is valid at its place in the order.
    Stress,
    /// Each thread reads one file after another into a buffer, touches what it read, and writes some to a file of its own.
    FileStream,
    /// Processes map one set of files, and use them through the mappings and through reads and writes.
    FileShare,
    /// Processes read, write and map files while others truncate them, punch holes, write back, invalidate, drop the caches,
    /// go past the cache, and fork. Every access is valid at its place in the order.
    TruncateStorm,
    /// The same with as many pages of memory of their own, which children share copy-on-write, and as many that they share for good;
    /// both are discarded, and the former move.
    MemoryStorm,
}

/// The parameters of a generator.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorSpec {
    /// The generator, and its own parameters.
    pub pattern: Pattern,
    /// Pages of 4096 bytes in each process's region, 1 to 2^22. `map_churn` takes it as the largest mapping, the patterns that
    /// use files as the size of each file.
    #[serde(default = "defaults::pages")]
    pub pages: u64,
    /// Data accesses in total, 1 to 2^40.
    #[serde(default = "defaults::accesses")]
    pub accesses: u64,
    /// Any number; the same seed gives the same trace.
    #[serde(default)]
    pub seed: u64,
    /// Of 1000 data accesses, how many write (an eighth of these read first); the rest are loads.
    #[serde(default = "defaults::write_per_mille")]
    pub write_per_mille: u32,
    /// Processes at the start, 1 to 256.
    #[serde(default = "defaults::one")]
    pub processes: u32,
    /// Threads in each process, 1 to 256.
    #[serde(default = "defaults::one")]
    pub threads: u32,
    /// Bytes of a data access, 1 to 4096.
    #[serde(default = "defaults::length")]
    pub length: u16,
    /// Bytes from one access to the next if strided, 1 to 2^34.
    #[serde(default = "defaults::stride")]
    pub stride: u64,
    /// Instruction fetches before each data access, 0 to 1000.
    #[serde(default)]
    pub fetch_per_access: u32,
    /// Files of `pages` pages each, 1 to 1024, of the patterns that use files.
    #[serde(default = "defaults::files")]
    pub files: u32,
}

mod defaults {
    pub(super) fn pages() -> u64 {
        1024
    }
    pub(super) fn accesses() -> u64 {
        1_000_000
    }
    pub(super) fn write_per_mille() -> u32 {
        300
    }
    pub(super) fn one() -> u32 {
        1
    }
    pub(super) fn length() -> u16 {
        8
    }
    pub(super) fn stride() -> u64 {
        4096
    }
    pub(super) fn files() -> u32 {
        4
    }
}

impl GeneratorSpec {
    /// The default parameters of a pattern.
    pub fn new(pattern: Pattern) -> Self {
        Self {
            pattern,
            pages: defaults::pages(),
            accesses: defaults::accesses(),
            seed: 0,
            write_per_mille: defaults::write_per_mille(),
            processes: defaults::one(),
            threads: defaults::one(),
            length: defaults::length(),
            stride: defaults::stride(),
            fetch_per_access: 0,
            files: defaults::files(),
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the first parameter that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), TraceError> {
        let ranges = [
            ("pages", self.pages, 1, 1 << 22),
            ("accesses", self.accesses, 1, 1 << 40),
            ("write_per_mille", self.write_per_mille.into(), 0, 1000),
            ("processes", self.processes.into(), 1, 256),
            ("threads", self.threads.into(), 1, 256),
            ("length", self.length.into(), 1, u64::from(MAX_ACCESS_LEN)),
            ("stride", self.stride, 1, 1 << 34),
            ("fetch_per_access", self.fetch_per_access.into(), 0, 1000),
            ("files", self.files.into(), 1, 1024),
        ];
        for (name, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                let expected = format!("{low} to {high}");
                return Err(TraceError::Spec { name, found: value.to_string(), expected });
            }
        }
        Ok(())
    }
}

impl fmt::Display for GeneratorSpec {
    /// The specification in RON, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = match self.pattern {
            Pattern::Sequential => "sequential",
            Pattern::Strided => "strided",
            Pattern::Uniform => "uniform",
            Pattern::Zipf => "zipf",
            Pattern::HotScan => "hot_scan",
            Pattern::PointerChase => "pointer_chase",
            Pattern::ForkStorm => "fork_storm",
            Pattern::MapChurn => "map_churn",
            Pattern::Stress => "stress",
            Pattern::FileStream => "file_stream",
            Pattern::FileShare => "file_share",
            Pattern::TruncateStorm => "truncate_storm",
            Pattern::MemoryStorm => "memory_storm",
        };
        let Self { pages, accesses, seed, write_per_mille, processes, threads, length, stride, .. } = self;
        write!(f, "(pattern: {pattern}, pages: {pages}, accesses: {accesses}, seed: {seed}, ")?;
        write!(f, "write_per_mille: {write_per_mille}, processes: {processes}, threads: {threads}, ")?;
        write!(f, "length: {length}, stride: {stride}, fetch_per_access: {}", self.fetch_per_access)?;
        let files = [Pattern::FileStream, Pattern::FileShare, Pattern::TruncateStorm, Pattern::MemoryStorm];
        if files.contains(&self.pattern) {
            write!(f, ", files: {}", self.files)?;
        }
        f.write_str(")")
    }
}
