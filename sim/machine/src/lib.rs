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
mod sections;
mod set;
mod value;

use pagewalk_kernel::SwapAreaSpec;
use serde::{Deserialize, Serialize};

pub use self::check::Conflict;
pub use self::leaves::leaves;
use self::paths::general;
pub use self::paths::parameter_of;
pub use self::paths::{Leaf, Origin};
pub use self::presets::{PRESETS, Preset};
pub use self::read::{MAX_TEXT_BYTES, parse_machine_str};
pub use self::sections::{
    Costs, Disk, Kernel, Memory, Paging, Parts, Scheduler, SwapArea, SwapDevice, Tlb, TlbArray, WalkCache,
    WalkCaches,
};
pub use self::value::{Cycles, Frames, Int, PageSize, PageSizes, Replacement, SomeCycles, Text, Ways};
use crate::parameters::{Parameter, row};

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

impl Machine {
    /// The rows of the parameters that are in no section.
    pub(crate) const ROWS: &[Parameter] = &[
        row::<Text<40>>(
            "name",
            "",
            "Short name, shown in the first line of every answer.",
            "the machine's own",
        ),
        row::<Text<2000>>(
            "description",
            "",
            "What the machine models, in a sentence or two.",
            "the machine's own",
        ),
        row::<Text<2000>>("source", "", "Where its numbers come from.", "the machine's own"),
        row::<Int<1, 256>>(
            "cpus",
            "CPUs",
            "Number of CPUs. Each has its own TLBs, clock and per-CPU free list.",
            "a common desktop",
        ),
        row::<Int<1, 100_000>>(
            "frequency_mhz",
            "MHz",
            "Clock of every CPU. Turns cycles into simulated seconds, and decides nothing.",
            "a round number; costs given in nanoseconds were multiplied by 3",
        ),
    ];

    /// What it is built from.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        parts.engine.cpus = self.cpus.get() as u16;
        parts.hardware.cpus = self.cpus.get() as u16;
        parts.hardware.tlb = self.tlb.spec();
        parts.hardware.walk_caches = self.walk_caches.spec(self.paging.levels.get() as u8);
        self.memory.hand_to(&mut parts);
        self.paging.hand_to(&mut parts);
        self.tlb.hand_to(&mut parts);
        self.costs.hand_to(&mut parts);
        self.scheduler.hand_to(&mut parts);
        self.disk.hand_to(&mut parts);
        self.kernel.hand_to(&mut parts);
        let area = |area: &SwapArea| {
            let mut spec = SwapAreaSpec::default();
            area.hand_to(&mut spec);
            spec
        };
        parts.kernel.swap = self.swap.iter().map(area).collect();
        parts
    }
}
