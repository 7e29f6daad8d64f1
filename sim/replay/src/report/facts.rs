//! The sections of the account of a run. Counts are events, times are cycles, sizes are frames of 4 KiB.

use serde::{Serialize, Serializer};

use super::origin::{KindLatency, WaitRow};

/// One trace that was replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TraceFile {
    /// The file, as the user named it.
    pub file: String,
    /// Memory accesses replayed from it.
    pub accesses: u64,
}

/// How steps of different CPUs were ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The CPU whose clock is earliest goes first.
    #[default]
    Timed,
    /// A seeded random choice at every step.
    Random,
}

/// What the programs asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accesses {
    /// All of them.
    pub total: u64,
    /// Instruction fetches.
    pub fetches: u64,
    /// Loads.
    pub loads: u64,
    /// Stores.
    pub stores: u64,
    /// Read-modify-writes.
    pub modifies: u64,
    /// Those that crossed a page boundary, and so were translated twice.
    pub page_crossing: u64,
}

/// One side of the TLB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TlbSide {
    /// Translations asked for.
    pub lookups: u64,
    /// Found in the first level.
    pub l1_hits: u64,
    /// Found in the second level.
    pub l2_hits: u64,
    /// Found in neither.
    pub misses: u64,
    /// Misses by an entry that was there but did not grant the access (write or dirty bit missing).
    pub upgrades: u64,
}

/// Use of the page-walk cache of one level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WalkCacheUse {
    /// Level of the entries it keeps: `pml5e`, `pml4e`, `pdpte` or `pde`.
    pub level: String,
    /// Lookups that found an entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
}

/// What the MMU did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Translation {
    /// The instruction side of the TLB.
    pub instruction: TlbSide,
    /// The data side of the TLB.
    pub data: TlbSide,
    /// Page walks.
    pub walks: u64,
    /// Page-table entries read by walks.
    pub walk_steps: u64,
    /// Walks that ended in a page fault.
    pub faulting_walks: u64,
    /// Accessed bits set.
    pub accessed_updates: u64,
    /// Dirty bits set.
    pub dirty_updates: u64,
    /// Walks repeated because an entry had changed under a compare-exchange.
    pub cmpxchg_retries: u64,
    /// TLB entries invalidated.
    pub invalidated_entries: u64,
    /// Page-walk caches, from the deepest level up.
    pub walk_caches: Vec<WalkCacheUse>,
}

/// Accesses outside every mapping, or against its permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Segv {
    /// Accesses that were skipped.
    pub count: u64,
    /// The address of the first.
    #[serde(serialize_with = "optional_address")]
    pub first_address: Option<u64>,
}

/// Recorded calls that the kernel refused: the trace and the simulated address spaces disagree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Refusals {
    /// Calls that were refused.
    pub count: u64,
    /// The first few, one line each.
    pub first: Vec<String>,
}

/// Calls of one system call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SyscallCount {
    /// Name, such as `munmap`.
    pub name: String,
    /// Calls.
    pub count: u64,
}

/// Memory ran out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OutOfMemory {
    /// Who asked: a process and what it was doing.
    pub who: String,
    /// Order of the allocation: 2^order frames.
    pub order: u32,
    /// Frames that were free.
    pub nr_free_pages: u64,
}

/// Where the time of one CPU went, in cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CpuTime {
    /// In the programs, translation included.
    pub user: u64,
    /// In the kernel: page faults, system calls, switching.
    pub kernel: u64,
    /// Taken by interrupts.
    pub interrupt: u64,
    /// Waiting for locks and acknowledgements.
    pub waiting: u64,
    /// With nothing to run.
    pub idle: u64,
}

impl CpuTime {
    /// The sum of all parts.
    #[must_use]
    pub fn total(&self) -> u128 {
        [self.user, self.kernel, self.interrupt, self.waiting, self.idle].into_iter().map(u128::from).sum()
    }
}

/// Latency of page faults, in cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultLatency {
    /// Shortest.
    pub min: u64,
    /// Median.
    pub median: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Longest.
    pub max: u64,
}

/// Where simulated time went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Time {
    /// The latest clock of any CPU at the end, in cycles.
    pub cycles: u64,
    /// One entry a CPU.
    pub per_cpu: Vec<CpuTime>,
    /// Latency of page faults; absent if there were none.
    pub fault_latency: Option<FaultLatency>,
    /// The same by kind, those that happened.
    pub fault_latencies: Vec<KindLatency>,
    /// What contexts waited for, by class.
    pub waits: Vec<WaitRow>,
}

/// Of what a percentage of memory was meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// Pages that the traces touch.
    pub pages: u64,
    /// The part of them that memory has room for, in percent.
    pub percent: u64,
    /// Page tables that they need at most at one time.
    pub page_tables: u64,
}

/// A promise that was not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Id of the invariant, such as `I7`.
    pub invariant: String,
    /// What happened, in one line.
    pub message: String,
}

/// A promise that was checked and held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Id of the invariant.
    pub invariant: String,
    /// What it promises, in plain words.
    pub promise: String,
}

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether `--verify` was given.
    pub enabled: bool,
    /// Loads compared with the memory oracle.
    pub loads_checked: u64,
    /// Stores the oracle recorded.
    pub stores_recorded: u64,
    /// Promises not kept, in the order found.
    pub violations: Vec<Violation>,
    /// Promises checked that held.
    pub held: Vec<Held>,
}

/// One process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProcessRow {
    /// Process id in the trace.
    pub pid: u32,
    /// Name of the program.
    pub name: String,
    /// Threads it had over its life.
    pub threads: u64,
    /// Memory accesses.
    pub accesses: u64,
    /// Page faults.
    pub pgfault: u64,
    /// Most resident pages at once.
    pub peak_rss: u64,
}

pub(super) fn hexadecimal<S: Serializer>(digest: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{digest:032x}"))
}

fn optional_address<S: Serializer>(address: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serializer.collect_str(&format_args!("{address:#x}")),
        None => serializer.serialize_none(),
    }
}
