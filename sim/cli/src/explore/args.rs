//! `pagewalk explore` and `pagewalk explain`: the command line.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use pagewalk_explore::StrategyKind;
use pagewalk_input::TimeLimit;

use crate::answer_format::AnswerFormat;
use crate::kernel_args::KernelArgs;
use crate::named::{Named, one_of};

fn strategies() -> impl Iterator<Item = Named<StrategyKind>> {
    StrategyKind::EVERY.iter().map(|&kind| (kind.name(), kind.about(), kind))
}

/// Arguments of `pagewalk explore`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXPLORE_EXAMPLES)]
pub struct ExploreArgs {
    /// The scenario: a RON file
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,
    /// Which schedules are tried
    #[arg(long, value_parser = one_of(strategies()), default_value = StrategyKind::Auto.name(), help_heading = "Search")]
    pub strategy: StrategyKind,
    /// At most so many runs [default: 10000 random ones; 1000000 of an exhaustive search]; not of a search by state
    #[arg(long, value_name = "N", help_heading = "Search", value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: Option<u64>,
    /// At most so much time, as in 30s, 10m or 1h: then it answers how far it came
    #[arg(long, value_name = "TIME", help_heading = "Search")]
    pub budget: Option<TimeLimit>,
    /// Threads that search by state [default: one for each core]; the answer does not depend on how many
    #[arg(long, value_name = "N", help_heading = "Search")]
    pub jobs: Option<NonZero<usize>>,
    /// Keep what a search by state has found in this file, and go on from it if it is there
    #[arg(long, value_name = "FILE", help_heading = "Search")]
    pub checkpoint: Option<PathBuf>,
    /// The seed of the random schedules
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Search")]
    pub seed: u64,
    /// The kernel
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// How to answer
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text, help_heading = "Output")]
    pub format: AnswerFormat,
    /// Write the failing schedule, if there is one, for `pagewalk explain`
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub save: Option<PathBuf>,
}

const EXPLORE_EXAMPLES: &str = "Examples:
  pagewalk explore configs/scenarios/lookup-and-reuse.ron
  pagewalk explore configs/scenarios/lookup-and-reuse.ron --mutant skip-recheck --save case.json
  pagewalk explore configs/scenarios/shrinking-tree.ron --kernel linux-2.6.27 --strategy random --runs 20000";

/// Arguments of `pagewalk explain`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub struct ExplainArgs {
    /// A failing schedule, written by `pagewalk explore --save`
    #[arg(value_name = "CASE")]
    pub case: String,
    /// How to answer
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
    pub format: AnswerFormat,
}

const EXPLAIN_EXAMPLES: &str = "Example:
  pagewalk explore configs/scenarios/lookup-and-reuse.ron --mutant skip-recheck --save case.json
  pagewalk explain case.json";
