//! The command line of `pagewalk`.

use std::process::ExitCode;

use clap::Parser;
use pagewalk_cli::cli::{Cli, run};

fn main() -> ExitCode {
    run(&Cli::parse()).into()
}
