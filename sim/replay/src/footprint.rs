//! `--memory 50%`: of what.
//!
//! What the traces use when memory is plentiful is found by replaying them once: the most frames in use at one time, page tables apart.
//! The machine then has room for the percentage of these pages. Page tables, and what the kernel keeps free, come on top: without that a
//! tenth of a small program's memory would not even hold its tables.

use std::sync::Arc;

use pagewalk_engine::Stop;
use pagewalk_input::{Place, Refusal};
use pagewalk_machine::{Frames, Machine};
use pagewalk_pages::Watermarks;

use super::amounts::MemoryAmount;
use super::progress::Shared;
use super::run::{Replay, ReplayOptions};
use super::run_options::RunOptions;
use crate::report::Footprint;

/// Frames of the machine on which the footprint is found: 64 GiB.
const PLENTY: u64 = 1 << 24;
/// The fewest frames that pages get.
const FEWEST: u64 = 16;

/// Gives the machine the memory that was asked for. Yields what a percentage was of.
///
/// # Errors
/// If the traces cannot be replayed.
pub fn set_memory(
    machine: &mut Machine,
    traces: &[String],
    memory: MemoryAmount,
    options: &ReplayOptions,
    shared: &Arc<Shared>,
) -> Result<Option<Footprint>, Refusal> {
    match memory {
        MemoryAmount::Frames(frames) => {
            machine.memory.frames = frames;
            Ok(None)
        }
        MemoryAmount::Percent(percent) => {
            let footprint = measure(machine, traces, options, shared)?.part(percent);
            machine.memory.frames = frames_for(machine, footprint);
            Ok(Some(footprint))
        }
    }
}

/// The most frames that traces use at one time, where there is plenty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// For pages.
    pages: u64,
    /// For page tables.
    page_tables: u64,
}

impl Measured {
    /// So many percent of it.
    #[must_use]
    pub fn part(self, percent: u32) -> Footprint {
        Footprint { pages: self.pages, percent: u64::from(percent), page_tables: self.page_tables }
    }
}

/// What the traces use, on a machine of which neither memory nor swap matters.
///
/// # Errors
/// If the traces cannot be replayed.
pub fn measure(
    machine: &Machine,
    traces: &[String],
    options: &ReplayOptions,
    shared: &Arc<Shared>,
) -> Result<Measured, Refusal> {
    let mut plentiful = machine.clone();
    plentiful.memory.frames = Frames::new(PLENTY).expect("within the range");
    plentiful.memory.group_limit = pagewalk_machine::Int::of(0);
    let mut options = options.clone();
    options.run = RunOptions { switches: options.run.switches, ..RunOptions::default() };
    options.origin = false;
    options.antagonists.clear();
    let finished = Replay::run(&plentiful, traces, options, Arc::clone(shared))?;
    let stat = &finished.replay.kernel.stat;
    if finished.stop != Stop::Finished && finished.replay.kernel.oom().is_some() {
        let place = Place::in_option("--memory", "%", 0..1);
        return Err(Refusal::new(place, "the traces need more than 64 GiB of memory").expected("a size"));
    }
    Ok(Measured { pages: stat.peak_data_frames.get(), page_tables: stat.peak_page_table_pages.get() })
}

/// The frames of a machine with room for the footprint's part of its pages.
#[must_use]
pub fn frames_for(machine: &Machine, footprint: Footprint) -> Frames {
    let data = (footprint.pages * footprint.percent).div_ceil(100).max(FEWEST);
    // Another order of the steps may have more processes alive at one time.
    let tables = footprint.page_tables + footprint.page_tables / 4 + 4;
    let wanted = 1 + data + tables;
    let high = |frames: u64| {
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        let marks = match machine.memory.min_free.get_u32() {
            0 => Watermarks::of_memory(frames),
            min => Watermarks::above(min),
        };
        u64::from(marks.high)
    };
    // What is kept free grows with memory, slowly: a few rounds find the point where both fit.
    let mut frames = wanted;
    for _ in 0..8 {
        frames = wanted + high(frames);
    }
    Frames::new(frames.clamp(Frames::MIN, Frames::MAX)).expect("within the range")
}
