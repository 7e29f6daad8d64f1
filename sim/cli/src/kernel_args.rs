//! Which kernel runs: `--kernel`, `--fix` and `--mutant`.

use clap::{Args, ValueEnum};
use pagewalk_explore::KernelNames;
use pagewalk_pages::{Fix, Mutant, Switches};

/// The options of every command that runs a kernel.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kernel")]
pub struct KernelArgs {
    /// Which kernel
    #[arg(long, value_enum, default_value_t = KernelArg::Fixed)]
    pub kernel: KernelArg,
    /// Switch a later fix on; `config explain kernel.fixes` lists them
    ///
    /// May be repeated.
    #[arg(long, value_name = "NAME", value_parser = fix)]
    pub fix: Vec<Fix>,
    /// Make it wrong by one step; `config explain kernel` lists mutants
    ///
    /// May be repeated.
    #[arg(long, value_name = "NAME", value_parser = mutant)]
    pub mutant: Vec<Mutant>,
}

/// Which kernel.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelArg {
    /// Linux 2.6.27 with every later fix
    Fixed,
    /// Linux 2.6.27 as released, with its latent bugs
    #[value(name = "linux-2.6.27")]
    Linux2627,
    /// The same with the page cache's lookups under tree_lock, as in Linux 2.6.22
    #[value(name = "linux-2.6.22")]
    Linux2622,
}

impl KernelArg {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Linux2627 => "linux-2.6.27",
            Self::Linux2622 => "linux-2.6.22",
        }
    }

    /// Its switches.
    #[must_use]
    pub fn preset(self) -> Switches {
        match self {
            Self::Fixed => Switches::FIXED,
            Self::Linux2627 => Switches::LINUX_2_6_27,
            Self::Linux2622 => Switches::LINUX_2_6_22,
        }
    }
}

impl KernelArgs {
    /// The kernel they ask for, by names.
    #[must_use]
    pub fn names(&self) -> KernelNames {
        KernelNames {
            kernel: self.kernel.name().into(),
            fixes: self.fix.iter().map(ToString::to_string).collect(),
            mutants: self.mutant.iter().map(ToString::to_string).collect(),
        }
    }

    /// The kernel they ask for.
    #[must_use]
    pub fn switches(&self) -> Switches {
        let fixed = self.fix.iter().fold(self.kernel.preset(), |kernel, &fix| kernel.with(fix));
        self.mutant.iter().fold(fixed, |kernel, &mutant| kernel.with_mutant(mutant))
    }
}

/// The fix of this name.
fn fix(name: &str) -> Result<Fix, String> {
    Fix::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Fix::ALL.iter().map(|fix| fix.info().name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// The mutant of this name.
fn mutant(name: &str) -> Result<Mutant, String> {
    Mutant::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Mutant::ALL.iter().map(|mutant| mutant.info().name).collect();
        format!("expected one of {}", names.join(", "))
    })
}
