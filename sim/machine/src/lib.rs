//! Machines: what a simulated machine is made of, described in RON, with every parameter documented.
//!
//! These are plain data. [`Machine::default`] is the small default machine; `configs/machines/default.ron`
//! spells it out, and a test holds the two equal. Costs, times and sizes are by default those of the engine, the hardware and the kernel. What each parameter means is one table, [`parameters`].

mod check;
mod leaves;
mod locate;
pub mod parameters;
mod paths;
mod presets;
mod read;
mod set;
mod storage;
mod value;

use pagewalk_engine::EngineConfig;
use pagewalk_kernel::KernelConfig;
use pagewalk_mmu::HardwareCosts;
use serde::{Deserialize, Serialize};

pub use self::check::Conflict;
pub use self::leaves::leaves;
use self::paths::general;
pub use self::paths::parameter_of;
pub use self::paths::{Leaf, Origin};
pub use self::presets::{PRESETS, Preset};
pub use self::read::{MAX_TEXT_BYTES, parse_machine_str};
pub use self::storage::{Disk, SwapArea, SwapDevice};
pub use self::value::{Frames, Int, PageSize, PageSizes, Replacement, Text, Ways};

/// A cost or a time in cycles of the CPU.
pub type Cycles = Int<0, 1_000_000_000>;
/// A cost that cannot be zero, so that simulated time always advances.
pub type SomeCycles = Int<1, 1_000_000_000>;

/// A machine: the hardware, what its operations cost, and the sizes its kernel was built with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Machine {
    /// Short name, shown in the first line of every answer.
    pub name: Text<40>,
    /// What it models, in a sentence or two.
    pub description: Text<2000>,
    /// Where its numbers come from.
    pub source: Text<2000>,
    /// Number of CPUs.
    pub cpus: Int<1, 256>,
    /// Clock of every CPU, in MHz: turns cycles into simulated seconds.
    pub frequency_mhz: Int<1, 100_000>,
    /// Physical memory.
    pub memory: Memory,
    /// The page-table format.
    pub paging: Paging,
    /// Translation lookaside buffers of each CPU.
    pub tlb: Tlb,
    /// Page-walk caches of each CPU.
    pub walk_caches: WalkCaches,
    /// What operations cost, in cycles.
    pub costs: Costs,
    /// How CPU time is divided.
    pub scheduler: Scheduler,
    /// The disk that files are on.
    pub disk: Disk,
    /// Swap areas; none: anonymous pages stay in memory.
    pub swap: Vec<SwapArea>,
    /// Sizes the kernel was built with.
    pub kernel: Kernel,
    #[serde(skip)]
    origins: paths::Origins,
}

impl Default for Machine {
    fn default() -> Self {
        let text = |text| Text::new(text).expect("the default machine's own texts are short");
        Self {
            name: text("default"),
            description: Text::new(
                "A small machine for everyday runs: four CPUs with TLBs of the size of a desktop core.",
            )
            .expect("the default machine's own texts are short"),
            source: Text::new(
                "TLB geometry: Intel Skylake client (WikiChip; Intel 64 and IA-32 Optimization Reference \
                 Manual). Costs: see the comments.",
            )
            .expect("the default machine's own texts are short"),
            cpus: Int::of(4),
            frequency_mhz: Int::of(3000),
            memory: Memory::default(),
            paging: Paging::default(),
            tlb: Tlb::default(),
            walk_caches: WalkCaches::default(),
            costs: Costs::default(),
            scheduler: Scheduler::default(),
            disk: Disk::default(),
            swap: vec![SwapArea::default()],
            kernel: Kernel::default(),
            origins: paths::Origins::default(),
        }
    }
}

/// Physical memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Frames of 4 KiB; in a file or option also a size such as `"512 MiB"`.
    pub frames: Frames,
    /// Frames that ordinary allocations leave free; 0: as `min_free_kbytes` is computed.
    pub min_free: Int<0, 67_108_864>,
    /// Frames that the processes of one trace may have together; 0: no limit.
    pub group_limit: Int<0, 268_435_456>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            frames: Frames::new(131_072).expect("512 MiB is within the range"),
            min_free: Int::of(0),
            group_limit: Int::of(0),
        }
    }
}

/// The page-table format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paging {
    /// Levels of the x86-64 page table: 4 (48-bit addresses) or 5 (57-bit).
    pub levels: Int<4, 5>,
}

impl Default for Paging {
    fn default() -> Self {
        Self { levels: Int::of(4) }
    }
}

/// Translation lookaside buffers of each CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tlb {
    /// First level, instruction side: arrays looked up in parallel.
    pub l1i: Vec<TlbArray>,
    /// First level, data side.
    pub l1d: Vec<TlbArray>,
    /// Second level, shared by both sides; empty for none.
    pub l2: Vec<TlbArray>,
    /// Cycles added to an access that hits in the first level.
    pub l1_hit_cycles: Cycles,
    /// Cycles added to an access that hits in the second level, the lookup in the first included.
    pub l2_hit_cycles: Cycles,
    /// Whether entries are tagged with an address-space id (PCID), and so survive a context switch.
    pub pcid: bool,
}

impl Default for Tlb {
    fn default() -> Self {
        use PageSize::{Base, Huge, Large};
        Self {
            l1i: vec![TlbArray::new(128, 8, &[Base]), TlbArray::new(8, 8, &[Large])],
            l1d: vec![
                TlbArray::new(64, 4, &[Base]),
                TlbArray::new(32, 4, &[Large]),
                TlbArray::new(4, 4, &[Huge]),
            ],
            l2: vec![TlbArray::new(1536, 12, &[Base, Large]), TlbArray::new(16, 4, &[Huge])],
            l1_hit_cycles: Int::of(0),
            l2_hit_cycles: Int::of(9),
            pcid: true,
        }
    }
}

/// One array of a TLB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlbArray {
    /// Translations it holds.
    pub entries: Int<1, 65_536>,
    /// Entries a set.
    pub ways: Ways,
    /// Page sizes it holds.
    #[serde(default)]
    pub page_sizes: PageSizes,
    /// How a victim is chosen within a set.
    #[serde(default)]
    pub replacement: Replacement,
}

impl TlbArray {
    fn new(entries: u64, ways: u32, sizes: &[PageSize]) -> Self {
        Self {
            entries: Int::of(entries),
            ways: Ways::Count(ways),
            page_sizes: PageSizes::new(sizes.to_vec()).expect("a constant list of distinct sizes"),
            replacement: Replacement::Lru,
        }
    }
}

/// Page-walk caches of each CPU: each keeps entries of one level of the page table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalkCaches {
    /// Level-5 entries; used with five levels only.
    pub pml5e: WalkCache,
    /// Level-4 entries.
    pub pml4e: WalkCache,
    /// Level-3 entries.
    pub pdpte: WalkCache,
    /// Level-2 entries.
    pub pde: WalkCache,
}

impl Default for WalkCaches {
    fn default() -> Self {
        let cache = |entries, ways| WalkCache { entries: Int::of(entries), ways };
        Self {
            pml5e: cache(0, Ways::Full),
            pml4e: cache(2, Ways::Full),
            pdpte: cache(4, Ways::Full),
            pde: cache(32, Ways::Count(4)),
        }
    }
}

/// One page-walk cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalkCache {
    /// Entries it holds; 0 for no cache of this level.
    pub entries: Int<0, 4096>,
    /// Entries a set.
    #[serde(default = "WalkCache::fully_associative")]
    pub ways: Ways,
}

impl WalkCache {
    fn fully_associative() -> Ways {
        Ways::Full
    }
}

/// What operations cost, in cycles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Costs {
    /// One memory access of the program, translation apart.
    pub access: SomeCycles,
    /// One page-table entry read by the walker.
    pub walk_step: Cycles,
    /// One access of the kernel to a shared word in its own cache.
    pub shared_access: SomeCycles,
    /// One locked read-modify-write of a word in its own cache.
    pub atomic: SomeCycles,
    /// A cache line fetched from another CPU's cache, on top of the access.
    pub line_transfer: Cycles,
    /// Whether transfers of one line wait for each other.
    pub line_queue: bool,
    /// Entry to and return from an exception.
    pub fault_entry: Cycles,
    /// Entry to and return from a system call.
    pub syscall: Cycles,
    /// Clearing a base page.
    pub clear_page: Cycles,
    /// Copying a base page.
    pub copy_page: Cycles,
    /// Invalidating one page in the local TLB.
    pub invlpg: Cycles,
    /// Invalidating the whole local TLB.
    pub flush_all: Cycles,
    /// Sending an inter-processor interrupt, for each target.
    pub ipi_send: Cycles,
    /// Interruption of the receiver of an inter-processor interrupt.
    pub ipi_deliver: Cycles,
    /// Time from sending an inter-processor interrupt to its arrival.
    pub ipi_latency: Cycles,
    /// Switching a CPU to another context.
    pub context_switch: Cycles,
    /// Taking or releasing a free lock, beyond the transfer of its line.
    pub lock: Cycles,
}

impl Default for Costs {
    fn default() -> Self {
        let (steps, kernel) = (pagewalk_engine::Costs::default(), KernelConfig::default());
        let hardware = HardwareCosts::default();
        Self {
            access: Int::of(hardware.access.into()),
            walk_step: Int::of(hardware.walk_step.into()),
            shared_access: Int::of(steps.shared_access.into()),
            atomic: Int::of(steps.atomic.into()),
            line_transfer: Int::of(steps.line_transfer.into()),
            line_queue: steps.line_queue,
            fault_entry: Int::of(kernel.fault_entry.into()),
            syscall: Int::of(kernel.syscall.into()),
            clear_page: Int::of(hardware.clear_page.into()),
            copy_page: Int::of(hardware.copy_page.into()),
            invlpg: Int::of(hardware.invlpg.into()),
            flush_all: Int::of(hardware.flush_all.into()),
            ipi_send: Int::of(steps.ipi_send.into()),
            ipi_deliver: Int::of(steps.ipi_deliver.into()),
            ipi_latency: Int::of(steps.ipi_latency.into()),
            context_switch: Int::of(steps.context_switch.into()),
            lock: Int::of(steps.lock.into()),
        }
    }
}

/// How CPU time is divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scheduler {
    /// Cycles a context may run while others wait for its CPU.
    pub quantum: Int<1000, 1_000_000_000_000>,
    /// Cycles a CPU may run ahead of the others through TLB hits.
    pub slack: Int<0, 1_000_000>,
    /// Most cycles added at random to each entry into the kernel.
    pub jitter: Int<0, 1_000_000>,
}

impl Default for Scheduler {
    fn default() -> Self {
        let EngineConfig { quantum, slack, jitter, .. } = EngineConfig::default();
        Self { quantum: Int::of(quantum), slack: Int::of(slack), jitter: Int::of(jitter.into()) }
    }
}

/// Sizes the kernel was built with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kernel {
    /// Most pages flushed one by one; beyond, the whole TLB is flushed.
    pub tlb_flush_ceiling: Int<0, 1_048_576>,
    /// Frames moved at once between a per-CPU free list and the buddy allocator.
    pub pcp_batch: Int<1, 65_536>,
    /// Frames on a per-CPU free list above which a batch is given back.
    pub pcp_high: Int<1, 65_536>,
    /// Pages gathered by an unmapping before it flushes and frees them.
    pub mmu_gather_batch: Int<1, 65_536>,
    /// The largest readahead window, in pages; 0 for none.
    pub readahead: Int<0, 65_536>,
    /// Pages around a read fault on a file that are mapped with it if they are cached; 0 for none.
    pub fault_around: Int<0, 512>,
    /// Cycles between two runs of the periodic flusher; 0: it never runs.
    pub writeback_interval: Int<0, 1_000_000_000_000>,
    /// Pages of the block around a swapped-out page that are read with it, as a power of two.
    pub page_cluster: Int<0, 8>,
    /// How readily anonymous pages are reclaimed compared with pages of files.
    pub swappiness: Int<0, 100>,
    /// Dirty pages, in percent of memory that can be dirty, above which writers write back; 0: never.
    pub dirty_ratio: Int<0, 100>,
    /// The same, above which writing back begins beside the writers.
    pub dirty_background_ratio: Int<0, 100>,
}

impl Default for Kernel {
    fn default() -> Self {
        let kernel = KernelConfig::default();
        Self {
            tlb_flush_ceiling: Int::of(kernel.tlb_flush_ceiling),
            pcp_batch: Int::of(31),
            pcp_high: Int::of(186),
            mmu_gather_batch: Int::of(kernel.gather_batch as u64),
            readahead: Int::of(kernel.readahead_pages),
            fault_around: Int::of(kernel.fault_around_pages),
            writeback_interval: Int::of(kernel.writeback_interval),
            page_cluster: Int::of(kernel.page_cluster.into()),
            swappiness: Int::of(kernel.swappiness.into()),
            dirty_ratio: Int::of(kernel.dirty_ratio.into()),
            dirty_background_ratio: Int::of(kernel.dirty_background_ratio.into()),
        }
    }
}
