//! What one run is, its machine apart: seed, schedule, kernel, checks.

use pagewalk_engine::Schedule;
use pagewalk_machine::{Machine, Parts};
use pagewalk_pages::Switches;

/// The schedules of a replay: name, what it is, and the engine's.
pub const SCHEDULES: [(&str, &str, Schedule); 2] = [
    ("timed", "The CPU whose clock is earliest", Schedule::Timed),
    ("random", "A seeded random choice at every step", Schedule::Random),
];

/// What one run is built from, machine apart.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Seed of every random choice in the run.
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

impl RunOptions {
    /// What `machine` is built from for this run.
    #[must_use]
    pub fn parts(self, machine: &Machine) -> Parts {
        let mut parts = machine.parts();
        parts.engine.schedule = self.schedule;
        parts.engine.seed = self.seed;
        parts.engine.checks = self.verify;
        parts.engine.record = self.record;
        parts.kernel.zone.track_contents = self.verify;
        parts.kernel.switches = self.switches;
        parts
    }
}
