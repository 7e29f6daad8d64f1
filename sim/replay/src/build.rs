//! From a machine's description to the parameters of engine, hardware and kernel.

use pagewalk_engine::{Costs, EngineConfig, Schedule};
use pagewalk_kernel::{DeviceSpec, KernelConfig, SwapAreaSpec};
use pagewalk_machine::{self as machine, Machine};
use pagewalk_mmu::{
    Format, HardwareCosts, HardwareSpec, PageSize, PageSizes, Replacement, TlbGeometry, TlbSpec,
    WalkCacheGeometry, WalkCacheSpec,
};
use pagewalk_pages::{Switches, ZoneSpec};

/// What one run is built from, machine apart.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// The seed.
    pub seed: u64,
    /// Who grants the next step.
    pub schedule: Schedule,
    /// Which later fixes the kernel has, and which mutants it carries.
    pub switches: Switches,
    /// Check contents and invariants.
    pub verify: bool,
    /// Keep so many last steps.
    pub record: usize,
}

impl Default for RunOptions {
    /// As `pagewalk replay` without options: the fixed kernel in the order of time, seed 1, nothing checked or kept.
    fn default() -> Self {
        Self { seed: 1, schedule: Schedule::Timed, switches: Switches::FIXED, verify: false, record: 0 }
    }
}

/// The engine's parameters.
pub fn engine(machine: &Machine, options: RunOptions) -> EngineConfig {
    let costs = &machine.costs;
    EngineConfig {
        cpus: machine.cpus.get() as u16,
        costs: Costs {
            shared_access: costs.shared_access.get_u32(),
            atomic: costs.atomic.get_u32(),
            line_transfer: costs.line_transfer.get_u32(),
            line_queue: costs.line_queue,
            lock: costs.lock.get_u32(),
            ipi_send: costs.ipi_send.get_u32(),
            ipi_latency: costs.ipi_latency.get_u32(),
            ipi_deliver: costs.ipi_deliver.get_u32(),
            context_switch: costs.context_switch.get_u32(),
        },
        schedule: options.schedule,
        seed: options.seed,
        slack: machine.scheduler.slack.get(),
        jitter: machine.scheduler.jitter.get_u32(),
        quantum: machine.scheduler.quantum.get(),
        checks: options.verify,
        record: options.record,
    }
}

/// The hardware's parameters.
pub fn hardware(machine: &Machine) -> HardwareSpec {
    let costs = &machine.costs;
    let levels = machine.paging.levels.get() as u8;
    HardwareSpec {
        cpus: machine.cpus.get() as u16,
        frames: u32::try_from(machine.memory.frames.get()).expect("at most 2^28 frames"),
        format: Format::x86_64(levels).expect("4 or 5 levels"),
        tlb: tlb(&machine.tlb),
        walk_caches: walk_caches(&machine.walk_caches, levels),
        costs: HardwareCosts {
            access: costs.access.get_u32(),
            walk_step: costs.walk_step.get_u32(),
            clear_page: costs.clear_page.get_u32(),
            copy_page: costs.copy_page.get_u32(),
            invlpg: costs.invlpg.get_u32(),
            flush_all: costs.flush_all.get_u32(),
        },
    }
}

/// The kernel's parameters.
pub fn kernel(machine: &Machine, switches: Switches, track_contents: bool) -> KernelConfig {
    KernelConfig {
        tlb_flush_ceiling: machine.kernel.tlb_flush_ceiling.get(),
        gather_batch: machine.kernel.mmu_gather_batch.get() as usize,
        fault_entry: machine.costs.fault_entry.get_u32(),
        syscall: machine.costs.syscall.get_u32(),
        disk: DeviceSpec {
            channels: machine.disk.channels.get() as u16,
            latency: machine.disk.latency.get(),
            seek: machine.disk.seek.get(),
            page: machine.disk.page.get(),
            synchronous: false,
        },
        readahead_pages: machine.kernel.readahead.get(),
        fault_around_pages: machine.kernel.fault_around.get(),
        writeback_interval: machine.kernel.writeback_interval.get(),
        pcid: machine.tlb.pcid,
        swap: machine.swap.iter().map(swap_area).collect(),
        page_cluster: machine.kernel.page_cluster.get_u32(),
        swappiness: machine.kernel.swappiness.get_u32(),
        pages_min: Some(machine.memory.min_free.get_u32()).filter(|&frames| frames > 0),
        group_limit: machine.memory.group_limit.get_u32(),
        dirty_ratio: machine.kernel.dirty_ratio.get_u32(),
        dirty_background_ratio: machine.kernel.dirty_background_ratio.get_u32(),
        zone: ZoneSpec {
            pcp_batch: machine.kernel.pcp_batch.get_u32(),
            pcp_high: machine.kernel.pcp_high.get_u32(),
            track_contents,
        },
        switches,
    }
}

fn swap_area(area: &machine::SwapArea) -> SwapAreaSpec {
    SwapAreaSpec {
        pages: area.pages.get_u32(),
        priority: area.priority.get() as i16,
        device: DeviceSpec {
            channels: area.channels.get() as u16,
            latency: area.latency.get(),
            seek: area.seek.get(),
            page: area.page.get(),
            synchronous: area.synchronous,
        },
    }
}

/// The TLBs, as the hardware describes them.
pub fn tlb(tlb: &machine::Tlb) -> TlbSpec {
    let level = |arrays: &[machine::TlbArray]| arrays.iter().map(array).collect();
    TlbSpec {
        l1i: level(&tlb.l1i),
        l1d: level(&tlb.l1d),
        l2: level(&tlb.l2),
        l1_hit_cycles: tlb.l1_hit_cycles.get_u32(),
        l2_hit_cycles: tlb.l2_hit_cycles.get_u32(),
    }
}

fn array(array: &machine::TlbArray) -> TlbGeometry {
    let size = |size: &machine::PageSize| PageSize::from_shift(size.shift()).expect("a page size of x86-64");
    let sizes: Vec<PageSize> = array.page_sizes.as_slice().iter().map(size).collect();
    TlbGeometry {
        entries: array.entries.get_u32(),
        ways: array.ways.of_entries(array.entries.get()) as u32,
        sizes: PageSizes::of(&sizes),
        replacement: match array.replacement {
            machine::Replacement::Lru => Replacement::Lru,
            machine::Replacement::TreePlru => Replacement::TreePlru,
        },
    }
}

fn walk_caches(caches: &machine::WalkCaches, levels: u8) -> WalkCacheSpec {
    let by_level = [&caches.pde, &caches.pdpte, &caches.pml4e, &caches.pml5e];
    let geometry = |cache: &&machine::WalkCache| {
        let entries = cache.entries.get_u32();
        let ways = cache.ways.of_entries(cache.entries.get()) as u32;
        (entries > 0).then_some(WalkCacheGeometry { entries, ways })
    };
    WalkCacheSpec { levels: by_level.iter().take(usize::from(levels) - 1).map(geometry).collect() }
}
