//! Scenarios under many schedules.

use std::num::NonZero;
use std::rc::Rc;

use pagewalk_explore::{
    Case, Ended, Findings, KernelNames, LONGEST_RUN, Scenario, Search, SearchProgress, StrategyKind,
    Unhurried, World, follow, read_scenario, search,
};
use pagewalk_pages::{Fix, KernelPreset, Mutant, Switches};

use crate::Result;

/// A scenario, and how it is searched.
#[derive(Clone)]
pub struct Explore {
    source: String,
    scenario: Scenario,
    fixes: Vec<Fix>,
    mutants: Vec<Mutant>,
    preset: KernelPreset,
    search: Search,
    progress: Rc<dyn SearchProgress>,
}

impl Explore {
    /// The scenario in a file, on the kernel `fixed`: every class of schedules, or every state if there are too many classes.
    ///
    /// # Errors
    /// If the file cannot be read, or is no scenario.
    pub fn file(name: &str) -> Result<Self> {
        let (scenario, _) = read_scenario(name)?;
        Ok(Self::of(name, scenario))
    }

    /// A scenario, which was checked; `source` is what cases call it.
    #[must_use]
    pub fn of(source: &str, scenario: Scenario) -> Self {
        Self {
            source: source.to_owned(),
            scenario,
            fixes: Vec::new(),
            mutants: Vec::new(),
            preset: Switches::PRESETS[0],
            search: Search::new(StrategyKind::Auto),
            progress: Rc::new(Unhurried),
        }
    }

    /// On the kernel of this name; `None` if there is none.
    #[must_use]
    pub fn kernel(self, preset: &str) -> Option<Self> {
        let preset = KernelPreset::from_name(preset)?;
        Some(Self { preset, ..self })
    }

    /// With a later fix besides.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }

    /// On a kernel wrong by one step.
    #[must_use]
    pub fn mutant(mut self, mutant: Mutant) -> Self {
        self.mutants.push(mutant);
        self
    }

    /// In this way.
    ///
    /// ```
    /// # std::env::set_current_dir("../..").expect("the top of the project");
    /// use pagewalk::{Explore, StrategyKind};
    ///
    /// let found = Explore::file("configs/scenarios/insertion.ron")?.by(StrategyKind::States).run();
    /// let states = found.states.as_ref().expect("searched by state");
    /// assert!(found.proves_clean() && states.states > 100);
    /// # Ok::<(), pagewalk::Refusal>(())
    /// ```
    #[must_use]
    pub fn by(mut self, strategy: StrategyKind) -> Self {
        self.search.strategy = strategy;
        self
    }

    /// At most so many runs.
    #[must_use]
    pub fn runs(mut self, most: u64) -> Self {
        self.search.runs = Some(most);
        self
    }

    /// With this seed of random schedules.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.search.seed = seed;
        self
    }

    /// With so many threads, as far as it is searched by state. What comes out does not depend on it.
    #[must_use]
    pub fn jobs(mut self, jobs: NonZero<usize>) -> Self {
        self.search.jobs = jobs;
        self
    }

    /// `progress` is told how far it is, and may end it.
    #[must_use]
    pub fn progress(self, progress: Rc<dyn SearchProgress>) -> Self {
        Self { progress, ..self }
    }

    fn switches(&self) -> Switches {
        let fixed = self.fixes.iter().copied().fold(self.preset.switches, Switches::with);
        self.mutants.iter().copied().fold(fixed, Switches::with_mutant)
    }

    /// Searches.
    #[must_use]
    pub fn run(self) -> Explored {
        let switches = self.switches();
        let findings = search(&self.search, &self.scenario, switches, &self.progress);
        let names = KernelNames {
            kernel: self.preset.name.to_owned(),
            fixes: self.fixes.iter().map(ToString::to_string).collect(),
            mutants: self.mutants.iter().map(ToString::to_string).collect(),
        };
        let case = findings.failing.as_ref().map(|choices| {
            let run = follow(&mut World::new(self.scenario.clone(), switches), choices, LONGEST_RUN);
            Case::new(&self.source, &self.scenario, names, &run)
        });
        Explored { findings, case }
    }
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Explored {
    findings: Findings,
    case: Option<Case>,
}

impl Explored {
    /// Whether all there is was tried, every mutant's line was reached, and nothing breaks: that is a proof.
    #[must_use]
    pub fn proves_clean(&self) -> bool {
        self.ended == Ended::Complete && self.broken.is_empty() && self.not_reached.is_empty()
    }

    /// The simplest failing schedule, if there is one, for `pagewalk explain`.
    #[must_use]
    pub fn case(&self) -> Option<&Case> {
        self.case.as_ref()
    }
}

impl std::ops::Deref for Explored {
    type Target = Findings;

    fn deref(&self) -> &Findings {
        &self.findings
    }
}
