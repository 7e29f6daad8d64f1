//! The commands of `pagewalk`, from one definition: parsing, help, completions and the manual page.

use clap::{CommandFactory, Parser, Subcommand};
use pagewalk_input::shell;

use crate::config_cmd::{self, ConfigArgs};
use crate::diff::{self, DiffArgs};
use crate::exit::Exit;
use crate::explore::{
    self,
    args::{ExplainArgs, ExploreArgs},
};
use crate::replay::{self, args::ReplayArgs};
use crate::style::ColorChoice;
use crate::sweep::{self, args::SweepArgs};
use crate::trace_cmd::{self, TraceArgs};

/// A full-system memory simulator with a virtual MMU
///
/// Simulated CPUs replay memory-access traces of real programs through TLBs, page tables and the paths of a kernel.
#[derive(Parser, Clone, Debug)]
#[command(name = "pagewalk", version, after_help = after_help(), max_term_width = 100)]
pub struct Cli {
    /// When to colour the answer
    #[arg(long, value_enum, default_value_t = ColorChoice::Auto, global = true)]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Drive traces through a simulated machine and say what happened
    Replay(ReplayArgs),
    /// Say what changed between two runs
    Diff(DiffArgs),
    /// Try the schedules of a scenario until one breaks an invariant, or all are done
    Explore(ExploreArgs),
    /// Show one failing schedule, shortened, a column for each CPU
    Explain(ExplainArgs),
    /// Run many points of a configuration, and say what they show together
    Sweep(SweepArgs),
    /// Import, make and look at traces
    Trace(TraceArgs),
    /// Check, show and explain machine descriptions
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

fn after_help() -> String {
    format!(
        "Examples:
  pagewalk replay traces/gzip.pwt
  pagewalk explore configs/scenarios/lookup-and-reuse.ron
  pagewalk sweep run configs/sweeps/tlb-reach.ron
  pagewalk trace info traces/gzip.pwt
  pagewalk config explain tlb

Exit codes:
{}",
        Exit::table()
    )
}

/// Runs a command line.
pub fn run(cli: &Cli) -> Exit {
    match &cli.command {
        Command::Replay(args) => replay::run(args, &command_line(), cli.color),
        Command::Diff(args) => diff::run(args, cli.color),
        Command::Explore(args) => explore::explore(args, &command_line(), cli.color),
        Command::Explain(args) => explore::explain(args, cli.color),
        Command::Sweep(args) => sweep::run(args, cli.color),
        Command::Trace(args) => trace_cmd::run(args, cli.color),
        Command::Config(args) => config_cmd::run(args, cli.color),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "pagewalk", &mut script);
            replay::write_answer(&String::from_utf8_lossy(&script), Exit::Held)
        }
        Command::Man => {
            let mut page = Vec::new();
            match clap_mangen::Man::new(Cli::command()).render(&mut page) {
                Ok(()) => replay::write_answer(&String::from_utf8_lossy(&page), Exit::Held),
                Err(_) => Exit::Internal,
            }
        }
    }
}

/// The command that repeats this run: its words, quoted for a shell where that is needed.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| shell::word(&word.to_string_lossy()));
    std::iter::once("pagewalk".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}
