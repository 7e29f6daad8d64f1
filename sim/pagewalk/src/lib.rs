//! Pagewalk as a library: traces of real programs through a simulated memory manager, and every schedule of a small one.
//!
//! A machine, a trace, and what happened:
//!
//! ```
//! # std::env::set_current_dir("../..").expect("the top of the project");
//! use pagewalk::{Machine, Replay};
//!
//! let mut machine = Machine::load("skylake")?;
//! machine.set("memory.frames=512 MiB")?;
//! let report = Replay::of("traces/tcc.pwt").on(machine).accesses(500_000).run()?;
//! println!("{} faults in {} cycles", report.faults.pgfault, report.time.cycles);
//! assert!(report.faults.pgfault > 0 && !report.is_broken());
//! # Ok::<(), pagewalk::Refusal>(())
//! ```
//!
//! The same kernel text under every schedule:
//!
//! ```
//! # std::env::set_current_dir("../..").expect("the top of the project");
//! use pagewalk::{Explore, Mutant};
//!
//! let scenario = Explore::file("configs/scenarios/lookup-and-reuse.ron")?;
//! assert!(scenario.clone().run().proves_clean());
//! let found = scenario.mutant(Mutant::SkipRecheck).run();
//! assert!(found.broken.contains_key("I9"), "a lookup returns a stranger's page");
//! # Ok::<(), pagewalk::Refusal>(())
//! ```
//!
//! What is refused, a file or a value, is refused with its place and what is allowed there ([`Refusal`]). Nothing here writes to a
//! terminal, reads an option, or catches a signal; [`Progress`] and [`SearchProgress`] are told how far a run is, and may end it.
//!
//! The packages underneath are those of the simulator itself and may be used alone: [`engine`] (steps and schedules), [`mmu`],
//! [`pages`], [`kernel`], [`explore`], [`trace`], [`machine`], [`replay`], [`sweep`].

mod exploring;
mod replaying;
mod sweeping;

pub use pagewalk_engine as engine;
pub use pagewalk_explore as explore;
pub use pagewalk_kernel as kernel;
pub use pagewalk_machine as machine;
pub use pagewalk_mmu as mmu;
pub use pagewalk_pages as pages;
pub use pagewalk_replay as replay;
pub use pagewalk_sweep as sweep;
pub use pagewalk_trace as trace;

pub use pagewalk_explore::{Case, Scenario, SearchProgress, StrategyKind};
pub use pagewalk_input::{Place, Refusal};
pub use pagewalk_kernel::Observer;
pub use pagewalk_machine::Machine;
pub use pagewalk_pages::{Fix, Mutant, Switches};
pub use pagewalk_replay::report::ReplayReport;
pub use pagewalk_replay::{Placement, Progress};

pub use self::exploring::{Explore, Explored};
pub use self::replaying::Replay;
pub use self::sweeping::{Results, Sweep};

/// What a call yields that may be refused.
pub type Result<T> = std::result::Result<T, Refusal>;
