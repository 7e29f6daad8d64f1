//! `pagewalk replay`: the command line.

use clap::{Args, ValueEnum};
use pagewalk_engine::Schedule;
use pagewalk_replay::amounts::{AntagonistChoice, MemoryAmount, SwapChoice};
use pagewalk_replay::{Placement, SCHEDULES};

use crate::answer_format::AnswerFormat;
use crate::kernel_args::KernelArgs;
use crate::named::one_of;

/// Arguments of `pagewalk replay`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReplayArgs {
    /// Native traces (.pwt); each is a program of its own, all run at once
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<String>,
    /// The machine: a preset's name or a RON file
    #[arg(long, short, default_value = "default", value_name = "NAME|FILE", help_heading = "Machine")]
    pub machine: String,
    /// Change a parameter, as in memory.frames=4096; may be repeated
    #[arg(long, value_name = "PATH=VALUE", help_heading = "Machine")]
    pub set: Vec<String>,
    /// Physical memory: 64MiB, a number of frames, or a part of what the traces use: 50%
    #[arg(long, value_name = "SIZE|PERCENT", help_heading = "Machine")]
    pub memory: Option<MemoryAmount>,
    /// The swap area: none, nvme, ssd, hdd or zram; with a size: zram:64MiB
    #[arg(long, value_name = "DEVICE", help_heading = "Machine")]
    pub swap: Option<SwapChoice>,
    /// Which thread runs where: spread (round the CPUs), process (a process's threads together), or a list as 0,2,1
    #[arg(long, default_value = "spread", value_name = "PLACEMENT", help_heading = "Machine")]
    pub place: Placement,
    /// The seed of every random decision
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Run")]
    pub seed: u64,
    /// Run once for each seed from A up to, but not including, B
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "seed", help_heading = "Run")]
    pub seeds: Option<(u64, u64)>,
    /// Host threads for several seeds
    ///
    /// Results do not depend on it.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256),
          help_heading = "Run")]
    pub jobs: u16,
    /// Who takes the next step
    #[arg(long, value_parser = one_of(SCHEDULES), default_value = SCHEDULES[0].0, help_heading = "Run")]
    pub schedule: Schedule,
    /// Actors beside the programs: all, or names as in reclaim,punch:200
    ///
    /// Programs cannot tell that they are there. The names: truncate, punch, reclaim, migrate, swapoff, dontneed, drop-caches,
    /// direct-io. With :N each acts N times in a million accesses, otherwise 50 times.
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Run")]
    pub antagonist: Vec<AntagonistChoice>,
    /// How threads of a process keep the order of the trace
    #[arg(long, value_enum, default_value_t = OrderArg::Recorded, help_heading = "Run")]
    pub order: OrderArg,
    /// Pass over the accesses of the first N records
    ///
    /// Events among them happen.
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "Run")]
    pub skip: u64,
    /// Stop after N records beyond those passed over
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub max: Option<u64>,
    /// The kernel
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Compare every load with what ought to be there, and watch the kernel's invariants
    #[arg(long, help_heading = "Checks")]
    pub verify: bool,
    /// Print the last N steps, of a broken promise those before it, on standard error
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000_000),
          help_heading = "Checks")]
    pub record: u32,
    /// Do not count where misses and faults come from: traces that miss the TLBs often replay faster
    #[arg(long, conflicts_with = "perfetto", help_heading = "Output")]
    pub no_origin: bool,
    /// Write what the CPUs did over time into a file for Perfetto's viewer (ui.perfetto.dev)
    #[arg(long, value_name = "FILE", conflicts_with = "seeds", help_heading = "Output")]
    pub perfetto: Option<String>,
    /// Stop writing it after about N events; the run goes on
    #[arg(
        long,
        default_value_t = 1_000_000,
        value_name = "N",
        requires = "perfetto",
        help_heading = "Output"
    )]
    pub perfetto_limit: u64,
    /// Write the account as JSON into a file as well, for `pagewalk diff` and other programs
    #[arg(long, value_name = "FILE", conflicts_with = "seeds", help_heading = "Output")]
    pub json: Option<String>,
    /// How to answer
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text, help_heading = "Output")]
    pub format: AnswerFormat,
}

const EXAMPLES: &str = "Examples:
  pagewalk replay traces/gzip.pwt
  pagewalk replay traces/gzip.pwt traces/perl-hash.pwt --machine zen4 --set memory.frames=65536
  pagewalk replay traces/sqlite.pwt --memory 50% --verify --antagonist all
  pagewalk replay traces/perl-hash.pwt --verify --schedule random --seeds 1..51 --jobs 2";

/// How threads of a process keep the order of the trace.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderArg {
    /// No access overtakes an event that changes what it touches, nor the other way round
    Recorded,
    /// Each thread keeps its own order only: a stress for the kernel, not what the program did
    Free,
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let expected = || format!("`{text}` is no range of seeds; expected A..B with A below B, as in 1..51");
    let (first, end) = text.split_once("..").ok_or_else(expected)?;
    let (first, end) = (first.parse().map_err(|_| expected())?, end.parse().map_err(|_| expected())?);
    if first < end && end - first <= MAX_SEEDS { Ok((first, end)) } else { Err(expected()) }
}

/// The most seeds of one command.
const MAX_SEEDS: u64 = 1_000_000;
