//! The sections that say where misses, faults and waits come from, and when.

use serde::{Serialize, Serializer};

use super::facts::FaultLatency;

/// What a mapping is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingKind {
    /// Anonymous memory.
    #[default]
    Anonymous,
    /// The heap, or a stack.
    Named,
    /// A file.
    File,
    /// No mapping: accesses that were skipped.
    Outside,
    /// All mappings beyond the first 4096.
    Rest,
}

/// What happened in one mapping of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MappingRow {
    /// Number of the trace, from 0.
    pub trace: u64,
    /// Number of the process it belongs to, as the trace gives it.
    pub pid: u32,
    /// `heap`, `stack`, `anonymous`, or the path of the file.
    pub mapping: String,
    /// What it is.
    pub kind: MappingKind,
    /// Its lowest address ever.
    #[serde(serialize_with = "address")]
    pub start: u64,
    /// The end of its highest address ever.
    #[serde(serialize_with = "address")]
    pub end: u64,
    /// Touches that missed the TLBs.
    pub tlb_misses: u64,
    /// Page faults resolved: the sum of the kinds.
    pub pgfault: u64,
    /// Those that waited for a disk.
    pub pgmajfault: u64,
    /// Page faults by kind, those that happened.
    pub faults: Vec<KindCount>,
}

/// Page faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// The kind, as in `faults`.
    pub kind: String,
    /// Faults of that kind.
    pub count: u64,
}

/// What happened in all mappings of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// The file's path.
    pub file: String,
    /// Processes that missed or faulted in it.
    pub processes: u64,
    /// Touches that missed the TLBs.
    pub tlb_misses: u64,
    /// Page faults resolved.
    pub pgfault: u64,
    /// Those that waited for a disk.
    pub pgmajfault: u64,
}

/// What one thread did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ThreadRow {
    /// Number of the trace, from 0.
    pub trace: u64,
    /// Number of the process it belongs to, as the trace gives it.
    pub pid: u32,
    /// Number of the thread, as the trace gives it.
    pub tid: u32,
    /// Accesses finished.
    pub accesses: u64,
    /// Touches that missed the TLBs.
    pub tlb_misses: u64,
    /// Page faults resolved.
    pub pgfault: u64,
    /// Those that waited for a disk.
    pub pgmajfault: u64,
}

/// A page that missed and faulted much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HotPage {
    /// Number of the trace, from 0.
    pub trace: u64,
    /// Number of the process it belongs to, as the trace gives it.
    pub pid: u32,
    /// The page's address.
    #[serde(serialize_with = "address")]
    pub address: u64,
    /// The mapping it is in.
    pub mapping: String,
    /// Touches seen that missed the TLBs.
    pub tlb_misses: u64,
    /// Page faults seen.
    pub pgfault: u64,
    /// At most so many more misses and faults were not seen; 0: the counts are exact.
    pub unseen: u64,
}

/// Where misses and faults come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// By mapping, most misses and faults first.
    pub mappings: Vec<MappingRow>,
    /// By file, likewise.
    pub files: Vec<FileRow>,
    /// By thread, in the order in which they started.
    pub threads: Vec<ThreadRow>,
    /// The hottest pages, hottest first.
    pub hot_pages: Vec<HotPage>,
}

/// Latencies of page faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindLatency {
    /// The kind, as in `faults`.
    pub kind: String,
    /// Faults of that kind.
    pub count: u64,
    /// All of them together, in cycles.
    pub cycles: u64,
    /// Shortest, median, 99th percentile, longest.
    #[serde(flatten)]
    pub quantiles: FaultLatency,
    /// The histogram: the least latency of a bucket in cycles, and how many faults it holds. A bucket is a sixteenth of a
    /// power of two.
    pub histogram: Vec<(u64, u64)>,
}

/// Waits for objects of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WaitRow {
    /// The class: `mmap_sem`.
    pub class: String,
    /// Whether it is a lock; otherwise something else that is waited for.
    pub lock: bool,
    /// Waits.
    pub count: u64,
    /// All of them together, in cycles.
    pub cycles: u64,
}

fn address<S: Serializer>(address: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{address:#x}"))
}
