//! Which kernel runs: `--kernel`, `--fix` and `--mutant`.

use clap::Args;
use pagewalk_explore::KernelNames;
use pagewalk_pages::{Fix, KernelPreset, Mutant, Switches};

use crate::named::{Named, one_of};

fn presets() -> [Named<KernelPreset>; 3] {
    Switches::PRESETS.map(|preset| (preset.name, preset.about, preset))
}

/// The options of every command that runs a kernel.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Kernel")]
pub struct KernelArgs {
    /// Which kernel
    #[arg(long, value_parser = one_of(presets()), default_value = Switches::PRESETS[0].name)]
    pub kernel: KernelPreset,
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

impl KernelArgs {
    /// The kernel they ask for, by names.
    #[must_use]
    pub fn names(&self) -> KernelNames {
        KernelNames {
            kernel: self.kernel.name.into(),
            fixes: self.fix.iter().map(ToString::to_string).collect(),
            mutants: self.mutant.iter().map(ToString::to_string).collect(),
        }
    }

    /// The kernel they ask for.
    #[must_use]
    pub fn switches(&self) -> Switches {
        let fixed = self.fix.iter().fold(self.kernel.switches, |kernel, &fix| kernel.with(fix));
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
