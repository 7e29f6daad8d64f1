//! What an engine is built from: CPUs, costs in cycles, the schedule and its seed.

/// What each kind of step costs, in CPU cycles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    /// One plain, acquire or release access to a shared word that this CPU's cache holds.
    pub shared_access: u32,
    /// One locked read-modify-write.
    pub atomic: u32,
    /// A cache line that another CPU wrote last (or must give up) moves to this CPU.
    pub line_transfer: u32,
    /// Whether transfers of one line wait for each other: a line is in one place at a time, so that CPUs that all want it get it
    /// one after the other. Without, each pays its own transfer only.
    pub line_queue: bool,
    /// Taking or releasing a free lock, beyond the transfer of its line.
    pub lock: u32,
    /// Sending one inter-processor interrupt.
    pub ipi_send: u32,
    /// From the send to the earliest delivery.
    pub ipi_latency: u32,
    /// What a delivered interrupt takes from its receiver.
    pub ipi_deliver: u32,
    /// Switching a CPU from one context to another.
    pub context_switch: u32,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            shared_access: 5,
            atomic: 18,
            line_transfer: 150,
            line_queue: false,
            lock: 20,
            ipi_send: 600,
            ipi_latency: 1_500,
            ipi_deliver: 1_500,
            context_switch: 3_000,
        }
    }
}

/// Who grants the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// The CPU whose virtual clock is earliest goes on; ties go to the lowest number.
    Timed,
    /// A seeded uniform choice among all enabled CPUs and pending interrupts, at every step.
    Random,
    /// An [`crate::Explorer`] chooses every step: [`crate::Engine::explore`]. Clocks and costs mean nothing.
    Explore,
}

/// The parameters of an [`crate::Engine`].
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Simulated CPUs, 1 to 256.
    pub cpus: u16,
    /// The cost table.
    pub costs: Costs,
    /// Who grants the next step.
    pub schedule: Schedule,
    /// The one user seed; every random stream of the run is derived from it.
    pub seed: u64,
    /// How many cycles a CPU may run ahead of the others through TLB hits (timed schedule only).
    pub slack: u64,
    /// The largest random addition, in cycles, to the cost of entering the kernel.
    pub jitter: u32,
    /// How many cycles a context may keep its CPU while others wait for it.
    pub quantum: u64,
    /// Watch lock order, sleeping in atomic sections and lost guards.
    pub checks: bool,
    /// Keep the last `record` steps (0: keep none). Recording never changes a result.
    pub record: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            cpus: 1,
            costs: Costs::default(),
            schedule: Schedule::Timed,
            seed: 1,
            slack: 1_000,
            jitter: 100,
            quantum: 12_000_000,
            checks: false,
            record: 0,
        }
    }
}
