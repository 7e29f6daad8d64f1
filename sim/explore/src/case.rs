//! A case: one failing schedule of a scenario, with all that is needed to run it again and to notice if it no longer is what
//! it was.

use std::path::Path;

use pagewalk_engine::{Actor, CpuId};
use pagewalk_input::{Place, Refusal, read_text, write_whole};
use pagewalk_pages::{Fix, KernelPreset, Mutant, Switches};
use serde::{Deserialize, Serialize};

use crate::read::MAX_BYTES;
use crate::{GuidedRun, MOST_CPUS, Scenario, Teller};

/// What a case file says it is.
const SCHEMA: &str = "pagewalk.case/1";

/// A kernel by names: what a case and an answer say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelNames {
    /// The preset.
    pub kernel: String,
    /// Later fixes that are on besides the preset's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
    /// Names of the mutants that the kernel carries.
    pub mutants: Vec<String>,
}

impl KernelNames {
    /// `kernel fixed with mutant skip-recheck`.
    #[must_use]
    pub fn words(&self) -> String {
        let fixes: String = self.fixes.iter().map(|name| format!(" with fix {name}")).collect();
        let mutants: String = self.mutants.iter().map(|name| format!(" with mutant {name}")).collect();
        format!("kernel {}{fixes}{mutants}", self.kernel)
    }
}

/// One failing schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    schema: String,
    /// The file that the scenario was read from.
    pub source: String,
    /// The scenario that was explored, whole.
    pub scenario: Scenario,
    /// The kernel's preset.
    pub kernel: String,
    /// Later fixes that are on besides the preset's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
    /// Names of the mutants that the kernel carries.
    pub mutants: Vec<String>,
    /// The invariant that breaks.
    pub invariant: String,
    /// What is said of it.
    pub message: String,
    /// Who takes each step, and what it is.
    pub steps: Vec<CaseStep>,
}

/// One step of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseStep {
    /// Who takes it, as [`actor_name`] says.
    pub actor: String,
    /// What it does, in words.
    pub operation: String,
}

/// An actor as cases name it: `cpu0`, `irq0`, `rcu0`.
#[must_use]
pub fn actor_name(actor: usize, cpus: usize) -> String {
    match Actor::from_index(actor, cpus) {
        Actor::Cpu(cpu) => format!("cpu{}", cpu.0),
        Actor::Interrupt(cpu) => format!("irq{}", cpu.0),
        Actor::Callback(cpu) => format!("rcu{}", cpu.0),
    }
}

fn actor_of(name: &str, cpus: usize) -> Option<usize> {
    let (kind, number) = name.split_at_checked(3)?;
    let cpu = CpuId(number.parse().ok().filter(|&cpu: &u16| usize::from(cpu) < cpus.min(MOST_CPUS))?);
    let actor = match kind {
        "cpu" => Actor::Cpu(cpu),
        "irq" => Actor::Interrupt(cpu),
        "rcu" => Actor::Callback(cpu),
        _ => return None,
    };
    Some(actor.index(cpus))
}

impl Case {
    /// The failing run of a scenario, which was read from `source`.
    #[must_use]
    pub fn new(source: &str, scenario: &Scenario, kernel: KernelNames, run: &GuidedRun) -> Self {
        let cpus = scenario.cpus.len();
        let teller = Teller::new(scenario);
        let steps = run.trace.events().iter().map(|event| CaseStep {
            actor: actor_name(event.access.actor, cpus),
            operation: teller.label(event),
        });
        let violation = run.violation.as_ref();
        Self {
            schema: SCHEMA.into(),
            source: source.into(),
            scenario: scenario.clone(),
            kernel: kernel.kernel,
            fixes: kernel.fixes,
            mutants: kernel.mutants,
            invariant: violation.map_or_else(String::new, |violation| violation.invariant.into()),
            message: violation.map_or_else(String::new, |violation| teller.message(&violation.message)),
            steps: steps.collect(),
        }
    }

    /// Its text, which [`Case::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a case is plain data with text keys") + "\n"
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, file: &Path) -> Result<(), Refusal> {
        write_whole(file, self.to_text().as_bytes())
    }

    /// Reads and checks one.
    ///
    /// # Errors
    /// If the file is no case, or names what does not exist.
    pub fn load(name: &str) -> Result<Self, Refusal> {
        Self::parse(name, &read_text(name, "case", MAX_BYTES)?)
    }

    /// The case of this text, checked; `name` is what messages call it.
    ///
    /// # Errors
    /// If it is no case, or names what does not exist.
    pub fn parse(name: &str, text: &str) -> Result<Self, Refusal> {
        let case: Self = serde_json::from_str(text).map_err(|error| {
            let line_start =
                text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
            let at = line_start + error.column().saturating_sub(1);
            Refusal::new(Place::in_text(name, text, at..at + 1), error.to_string())
        })?;
        let here = |word: &str| {
            let quoted = format!("\"{word}\"");
            let at = text.find(&quoted).map_or(0..0, |at| at..at + quoted.len());
            Place::in_text(name, text, at)
        };
        if case.schema != SCHEMA {
            return Err(Refusal::new(here(&case.schema), "this is no case")
                .expected(format!("\"schema\": \"{SCHEMA}\"")));
        }
        case.scenario.check().map_err(|problem| Refusal::new(here(&problem.word), problem.message))?;
        case.preset().ok_or_else(|| {
            Refusal::new(here(&case.kernel), format!("no kernel is named `{}`", case.kernel))
        })?;
        if let Some(unknown) = case.mutants.iter().find(|name| Mutant::from_name(name).is_none()) {
            return Err(Refusal::new(here(unknown), format!("no mutant is named `{unknown}`")));
        }
        if let Some(unknown) = case.fixes.iter().find(|name| Fix::from_name(name).is_none()) {
            return Err(Refusal::new(here(unknown), format!("no fix is named `{unknown}`")));
        }
        let cpus = case.scenario.cpus.len();
        if let Some(step) = case.steps.iter().find(|step| actor_of(&step.actor, cpus).is_none()) {
            let place = here(&step.actor);
            return Err(Refusal::new(place, format!("`{}` is nobody", step.actor))
                .expected("cpu, irq or rcu, and a CPU's number"));
        }
        Ok(case)
    }

    fn preset(&self) -> Option<Switches> {
        KernelPreset::from_name(&self.kernel).map(|preset| preset.switches)
    }

    /// The kernel's names.
    #[must_use]
    pub fn kernel_names(&self) -> KernelNames {
        let Self { kernel, fixes, mutants, .. } = self.clone();
        KernelNames { kernel, fixes, mutants }
    }

    /// The kernel of the case.
    ///
    /// # Panics
    /// If the case was not [read](Self::load).
    #[must_use]
    pub fn switches(&self) -> Switches {
        let preset = self.preset().expect("checked when it was read");
        let fixed = self.fixes.iter().filter_map(|name| Fix::from_name(name)).fold(preset, Switches::with);
        self.mutants.iter().filter_map(|name| Mutant::from_name(name)).fold(fixed, Switches::with_mutant)
    }

    /// Who takes each step.
    #[must_use]
    pub fn choices(&self) -> Vec<usize> {
        let cpus = self.scenario.cpus.len();
        self.steps.iter().filter_map(|step| actor_of(&step.actor, cpus)).collect()
    }
}
