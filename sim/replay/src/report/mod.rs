//! The account of a run: plain facts, filled by the replay, told as JSON.
//!
//! Field names are part of the JSON interface (`"schema": "pagewalk.replay/1"`): they may be added, never
//! renamed. Counters carry the names of `/proc/vmstat` where one exists.

mod counted;
mod facts;
mod origin;
mod seeds;
mod timeline;

use serde::Serialize;

pub use self::counted::{Faults, KernelWork, MemoryUse, Pressure};
pub use self::facts::{
    Accesses, CpuTime, FaultLatency, Footprint, Held, OutOfMemory, ProcessRow, Refusals, Schedule, Segv,
    SyscallCount, Time, TlbSide, TraceFile, Translation, Verification, Violation, WalkCacheUse,
};
pub use self::origin::{
    FileRow, HotPage, KindCount, KindLatency, MappingKind, MappingRow, Origin, ThreadRow, WaitRow,
};
pub use self::seeds::{SeedRow, SeedsReport, Spread};
pub use self::timeline::{Series, Timeline};

/// Everything a replay has to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Name and version of the JSON layout; the default is right.
    pub schema: Schema,
    /// Version of this program.
    pub version: String,
    /// The command line that repeats the run.
    pub command: String,
    /// The traces, in the order given.
    pub traces: Vec<TraceFile>,
    /// Name of the machine.
    pub machine: String,
    /// Number of CPUs.
    pub cpus: u32,
    /// Frames of physical memory.
    pub frames: u64,
    /// Clock of every CPU, in MHz.
    pub frequency_mhz: u64,
    /// All other parameters of the machine, as `config show` has them.
    pub parameters: serde_json::Value,
    /// How steps were ordered.
    pub schedule: Schedule,
    /// Seed of every random choice in the run.
    pub seed: u64,
    /// 128-bit digest of the run's events; equal for equal configuration, trace, seed and version.
    #[serde(serialize_with = "facts::hexadecimal")]
    pub digest: u128,
    /// Steps granted by the scheduler.
    pub steps: u64,
    /// Why the run ended before its traces did; absent if it did not.
    pub incomplete: Option<String>,
    /// Whether the run was interrupted from the keyboard.
    pub interrupted: bool,
    /// What the programs asked for.
    pub accesses: Accesses,
    /// What the MMU did.
    pub translation: Translation,
    /// Page faults by cause.
    pub faults: Faults,
    /// Accesses outside every mapping.
    pub segv: Segv,
    /// Recorded calls that the kernel refused.
    pub refusals: Refusals,
    /// What the kernel did.
    pub kernel: KernelWork,
    /// Where simulated time went.
    pub time: Time,
    /// What memory held.
    pub memory: MemoryUse,
    /// What reclaim, swap and writeback did.
    pub pressure: Pressure,
    /// Where misses and faults come from.
    pub origin: Origin,
    /// The run's history.
    pub timeline: Timeline,
    /// What was checked.
    pub verify: Verification,
    /// One row a process.
    pub processes: Vec<ProcessRow>,
}

/// The name and version of a JSON document's layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Schema {
    /// The account of one replay.
    #[default]
    #[serde(rename = "pagewalk.replay/1")]
    Replay,
    /// The account of one replay for each of several seeds.
    #[serde(rename = "pagewalk.replay-seeds/1")]
    ReplaySeeds,
}

impl ReplayReport {
    /// The account as JSON, indented, with a stable order of keys. Ends with a newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(self)
    }

    /// Whether a promise that was checked did not hold, or something was left over at the end.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !self.verify.violations.is_empty() || !self.memory.leftovers.is_empty()
    }

    /// Whether the run ended before its traces did.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.interrupted || self.incomplete.is_some()
    }
}

fn json<T: Serialize>(report: &T) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report is plain data with text keys");
    text.push('\n');
    numbers_on_one_line(&text)
}

/// Indented JSON with every list of nothing but numbers on a line of its own: a series is not worth a page.
fn numbers_on_one_line(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let number = |line: &&str| line.trim().trim_end_matches(',').parse::<u64>().is_ok();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        told.push_str(line);
        let count = if line.ends_with('[') { lines.clone().take_while(number).count() } else { 0 };
        let closed = lines.clone().nth(count).is_some_and(|line| line.trim().starts_with(']'));
        if count > 0 && closed {
            let numbers: Vec<&str> = lines.by_ref().take(count).map(str::trim).collect();
            told.push_str(&numbers.join(" "));
            told.push_str(lines.next().map_or("", str::trim));
        }
        told.push('\n');
    }
    told
}
