//! The account of a replay repeated for several seeds: one row a seed, and how far the rows lie apart.

use serde::Serialize;

use super::{ReplayReport, Schema, json};

/// One seed's replay in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SeedRow {
    /// Seed of every random choice in the run.
    pub seed: u64,
    /// Digest of the run's events.
    #[serde(serialize_with = "super::facts::hexadecimal")]
    pub digest: u128,
    /// Page faults.
    pub pgfault: u64,
    /// The latest clock of any CPU at the end, in cycles.
    pub cycles: u64,
    /// Promises not kept, leftovers included.
    pub violations: u64,
    /// Whether the run ended before its traces did.
    pub incomplete: bool,
}

impl From<&ReplayReport> for SeedRow {
    fn from(report: &ReplayReport) -> Self {
        let broken = report.verify.violations.len() + report.memory.leftovers.len();
        Self {
            seed: report.seed,
            digest: report.digest,
            pgfault: report.faults.pgfault,
            cycles: report.time.cycles,
            violations: broken as u64,
            incomplete: report.is_incomplete(),
        }
    }
}

/// How far values lie apart. The median of an even number of values is the lower of the middle two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Smallest.
    pub min: u64,
    /// Middle.
    pub median: u64,
    /// Largest.
    pub max: u64,
}

impl Spread {
    /// The spread of some values; `None` of none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { min, median: values[(values.len() - 1) / 2], max })
    }
}

/// The account of several seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeedsReport {
    /// Name and version of the JSON layout.
    pub schema: Schema,
    /// Version of this program.
    pub version: String,
    /// The command line that repeats the runs.
    pub command: String,
    /// The traces, by file name.
    pub traces: Vec<String>,
    /// Name of the machine.
    pub machine: String,
    /// Clock of every CPU, in MHz.
    pub frequency_mhz: u64,
    /// Whether promises were checked.
    pub verify: bool,
    /// Spread of page faults; absent without rows.
    pub pgfault: Option<Spread>,
    /// Spread of cycles; absent without rows.
    pub cycles: Option<Spread>,
    /// Number of different digests.
    pub distinct_digests: u64,
    /// One row a seed, in the order of seeds.
    pub seeds: Vec<SeedRow>,
}

impl SeedsReport {
    /// Gathers the rows of runs that differ in their seed only; the header is that of `first`.
    #[must_use]
    pub fn new(first: &ReplayReport, command: String, mut seeds: Vec<SeedRow>) -> Self {
        seeds.sort_by_key(|row| row.seed);
        let digests: std::collections::BTreeSet<u128> = seeds.iter().map(|row| row.digest).collect();
        Self {
            schema: Schema::ReplaySeeds,
            version: first.version.clone(),
            command,
            traces: first.traces.iter().map(|trace| trace.file.clone()).collect(),
            machine: first.machine.clone(),
            frequency_mhz: first.frequency_mhz,
            verify: first.verify.enabled,
            pgfault: Spread::of(seeds.iter().map(|row| row.pgfault)),
            cycles: Spread::of(seeds.iter().map(|row| row.cycles)),
            distinct_digests: digests.len() as u64,
            seeds,
        }
    }

    /// The account as JSON, indented, with a stable order of keys. Ends with a newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(self)
    }

    /// Whether any seed broke a promise.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.seeds.iter().any(|row| row.violations > 0)
    }

    /// Whether any seed's run ended before its traces did.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.seeds.iter().any(|row| row.incomplete)
    }
}
