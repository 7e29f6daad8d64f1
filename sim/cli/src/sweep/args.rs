//! `pagewalk sweep`: the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pagewalk_input::size;
use pagewalk_sweep::ShardChoice;

/// Arguments of `pagewalk sweep`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SweepArgs {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

const EXAMPLES: &str = "Examples:
  pagewalk sweep plan configs/sweeps/tlb-reach.ron
  pagewalk sweep run configs/sweeps/tlb-reach.ron
  pagewalk sweep submit configs/sweeps/tlb-reach.ron --shards 16 -- --partition=long
  pagewalk sweep report configs/sweeps/tlb-reach.ron";

/// What to do with a sweep.
#[derive(Subcommand, Clone, Debug)]
pub enum Action {
    /// List its points
    Plan(PlanArgs),
    /// Run the points that are not finished, then merge and report
    Run(RunArgs),
    /// Say how many points are finished, and how they ended
    Status(StoreArgs),
    /// Write the results as tables
    Merge(StoreArgs),
    /// Write the report, and tell it as text
    Report(StoreArgs),
    /// Hand the sweep to Slurm as a job array
    Submit(SubmitArgs),
}

/// A sweep's file.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    /// The sweep: a RON file
    #[arg(value_name = "SWEEP")]
    pub file: String,
}

/// A sweep and its results.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// The sweep: a RON file
    #[arg(value_name = "SWEEP")]
    pub file: String,
    /// Where results are [default: sweeps/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Arguments of `sweep run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The sweep
    #[command(flatten)]
    pub store: StoreArgs,
    /// Only this part: I/N, or auto for what a job array says; neither merges nor reports
    #[arg(long, value_name = "I/N")]
    pub shard: Option<ShardChoice>,
    /// Points at one time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
    /// Memory for decoded traces that points share; results do not depend on it [default: a quarter of what is free]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub decoded: Option<u64>,
}

/// Arguments of `sweep submit`.
#[derive(Args, Clone, Debug)]
pub struct SubmitArgs {
    /// The sweep
    #[command(flatten)]
    pub store: StoreArgs,
    /// Tasks of the job array, each with many points
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub shards: u32,
    /// At most so many tasks at one time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrent: Option<u32>,
    /// Write the job's script and do not submit it
    #[arg(long)]
    pub dry_run: bool,
    /// Options of sbatch
    #[arg(last = true, value_name = "SBATCH OPTIONS")]
    pub sbatch: Vec<String>,
}

impl StoreArgs {
    /// Where the results are: a directory named after the sweep, unless said otherwise.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            let name = std::path::Path::new(&self.file).file_stem().unwrap_or_default();
            PathBuf::from("sweeps").join(name)
        })
    }
}
