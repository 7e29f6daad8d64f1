//! What one point of a sweep runs, from the values that it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use pagewalk_engine::Schedule;
use pagewalk_explore::{Scenario, StrategyKind};
use pagewalk_input::{Place, shell};
use pagewalk_machine::Machine;
use pagewalk_pages::{Fix, Mutant, Switches};
use pagewalk_replay::SCHEDULES;
use pagewalk_replay::amounts::{AntagonistChoice, MemoryAmount, SwapChoice};

use super::inputs::{Inputs, traces};

/// What an axis may name beside the parameters of a machine.
pub const NAMES: [(&str, &str); 14] = [
    ("trace", "the trace; several by spaces between them"),
    ("machine", "a preset, or a file with a machine"),
    (
        "memory",
        "memory as `replay --memory` takes it: a size, frames, or a percentage of what the trace uses",
    ),
    ("swap", "the swap device as `replay --swap` takes it"),
    ("seed", "the seed"),
    ("schedule", "timed, or random"),
    ("kernel", "fixed, linux-2.6.27 or linux-2.6.22"),
    ("fix", "a later fix on top of the kernel, or none"),
    ("mutant", "a mutant of the kernel, or none"),
    ("verify", "true to check contents and invariants, or false"),
    ("antagonist", "antagonists as `replay --antagonist` takes them, or none"),
    ("scenario", "a scenario to explore instead of a trace to replay"),
    ("strategy", "how the scenario is explored: dpor, or random"),
    ("runs", "the most runs of the scenario"),
];

/// A run, ready to begin.
#[derive(Clone, Debug)]
pub enum Job {
    /// Traces through a machine.
    Replay(Box<ReplayJob>),
    /// Schedules of a scenario, until one fails.
    Explore(ExploreJob),
}

/// Traces through a machine.
#[derive(Clone, Debug)]
pub struct ReplayJob {
    /// The traces.
    pub traces: Vec<String>,
    /// The machine, but for its memory if that is a percentage.
    pub machine: Machine,
    /// Its memory, if the sweep says.
    pub memory: Option<MemoryAmount>,
    /// Later fixes and mutants of the kernel.
    pub switches: Switches,
    /// How steps are ordered.
    pub schedule: Schedule,
    /// What acts beside the programs.
    pub antagonists: Vec<AntagonistChoice>,
    /// Whether contents and invariants are checked.
    pub verify: bool,
    /// Seed of every random choice in the run.
    pub seed: u64,
}

/// Schedules of a scenario.
#[derive(Clone, Debug)]
pub struct ExploreJob {
    /// The scenario whose schedules are searched.
    pub scenario: Scenario,
    /// Later fixes and mutants of the kernel.
    pub switches: Switches,
    /// Which schedules.
    pub strategy: StrategyKind,
    /// At most so many.
    pub runs: u64,
    /// The seed of random ones.
    pub seed: u64,
}

/// The values of a point by name. Points share what they have in common.
pub type Values = BTreeMap<Arc<str>, Arc<str>>;

/// A value that no run can have.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// Its name.
    pub name: String,
    /// What is wrong with it, in a line.
    pub why: String,
}

impl Wrong {
    fn new(name: &str, why: impl std::fmt::Display) -> Self {
        Self { name: name.to_owned(), why: format!("{name}: {why}") }
    }
}

/// The option of the command line and the rest of what a point's values say.
struct Reader<'a> {
    values: &'a Values,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| &**value)
    }

    fn parse<T: std::str::FromStr<Err = String>>(&self, name: &str) -> Result<Option<T>, Wrong> {
        self.text(name).map(|text| text.parse().map_err(|error: String| Wrong::new(name, error))).transpose()
    }

    fn number(&self, name: &str, usual: u64) -> Result<u64, Wrong> {
        let Some(text) = self.text(name) else { return Ok(usual) };
        text.parse().map_err(|_| Wrong::new(name, format!("`{text}` is no whole number from 0 on")))
    }

    /// One of `choices`; `usual` unless the values say.
    fn choice<T: Copy>(&self, name: &str, usual: T, choices: &[(&str, T)]) -> Result<T, Wrong> {
        let Some(text) = self.text(name) else { return Ok(usual) };
        choices.iter().find(|(known, _)| *known == text).map(|&(_, choice)| choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
            Wrong::new(name, format!("`{text}` is none of {}", names.join(", ")))
        })
    }

    fn switches(&self) -> Result<Switches, Wrong> {
        let named = |name: &str| self.text(name).filter(|&value| value != "none");
        let unknown = |name: &str, value: &str| Wrong::new(name, format!("there is no `{value}`"));
        let fix = named("fix").map(|name| Fix::from_name(name).ok_or_else(|| unknown("fix", name)));
        let mutant =
            named("mutant").map(|name| Mutant::from_name(name).ok_or_else(|| unknown("mutant", name)));
        let kernels = Switches::PRESETS.map(|preset| (preset.name, preset.switches));
        let fixed = fix
            .transpose()?
            .into_iter()
            .fold(self.choice("kernel", Switches::FIXED, &kernels)?, Switches::with);
        Ok(mutant.transpose()?.into_iter().fold(fixed, Switches::with_mutant))
    }

    /// Refuses names that would not change what is run.
    fn has_none_of(&self, names: &[&str], what: &str) -> Result<(), Wrong> {
        match names.iter().find(|&&name| self.text(name).is_some()) {
            Some(name) => Err(Wrong::new(name, format!("{what} has none"))),
            None => Ok(()),
        }
    }
}

/// Whether a name is that of something else than a parameter of the machine.
#[must_use]
pub fn is_special(name: &str) -> bool {
    NAMES.iter().any(|(known, _)| *known == name)
}

/// The settings of the machine among the values, as `--set` takes them.
fn sets(values: &Values) -> Vec<String> {
    values
        .iter()
        .filter(|(name, _)| !is_special(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

impl Job {
    /// What the values say.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(values: &Values, inputs: &Inputs) -> Result<Self, Wrong> {
        let reader = Reader { values };
        match inputs.scenario(values) {
            Some(scenario) => explore(&reader, scenario).map(Self::Explore),
            None => replay(&reader, inputs).map(|job| Self::Replay(Box::new(job))),
        }
    }

    /// The command that repeats the point alone.
    #[must_use]
    pub fn command(values: &Values) -> String {
        let text = |name: &str| values.get(name).map(|value| &**value);
        let mut words = vec!["pagewalk".to_owned()];
        match text("scenario") {
            Some(scenario) => {
                words.extend(["explore".into(), shell::word(scenario)]);
                if text("strategy").is_none() {
                    words.push("--strategy random".into()); // which is not what `explore` does by itself
                }
            }
            None => {
                words.push("replay".into());
                words.extend(traces(values).map(shell::word));
            }
        }
        let same = [
            "machine",
            "memory",
            "swap",
            "schedule",
            "kernel",
            "fix",
            "mutant",
            "antagonist",
            "strategy",
            "runs",
            "seed",
        ];
        for name in same {
            if let Some(value) = text(name).filter(|&value| value != "none" || name == "swap") {
                words.push(format!("--{name} {}", shell::word(value)));
            }
        }
        if text("verify") == Some("true") {
            words.push("--verify".into());
        }
        words.extend(sets(values).iter().map(|set| format!("--set {}", shell::word(set))));
        words.join(" ")
    }
}

fn explore(reader: &Reader<'_>, scenario: &Scenario) -> Result<ExploreJob, Wrong> {
    if let Some((odd, _)) = reader.values.iter().find(|(name, _)| !is_special(name)) {
        return Err(Wrong::new(odd, "a scenario has no machine"));
    }
    reader.has_none_of(
        &["trace", "machine", "memory", "swap", "schedule", "verify", "antagonist"],
        "a scenario",
    )?;
    let strategy = reader.choice(
        "strategy",
        StrategyKind::Random,
        &StrategyKind::EVERY.iter().map(|&kind| (kind.name(), kind)).collect::<Vec<_>>(),
    )?;
    Ok(ExploreJob {
        scenario: scenario.clone(),
        switches: reader.switches()?,
        strategy,
        runs: reader.number("runs", strategy.default_runs())?.max(1),
        seed: reader.number("seed", 1)?,
    })
}

fn replay(reader: &Reader<'_>, inputs: &Inputs) -> Result<ReplayJob, Wrong> {
    let traces: Vec<String> = traces(reader.values).map(str::to_owned).collect();
    if traces.is_empty() {
        return Err(Wrong::new("trace", "there is none: name one in `set`, or in an axis `trace`"));
    }
    reader.has_none_of(&["strategy", "runs"], "a replay")?;
    let mut machine = inputs.machine(reader.values);
    if let Some(swap) = reader.parse::<SwapChoice>("swap")? {
        machine.swap = swap.device.areas(swap.pages);
    }
    machine.set_all(&sets(reader.values)).map_err(|problem| {
        let name = match &*problem.place {
            Place::Option { excerpt, .. } => excerpt.split('=').next().unwrap_or("").to_owned(),
            _ => String::new(),
        };
        Wrong { name, why: problem.line() }
    })?;
    let schedule =
        reader.choice("schedule", Schedule::Timed, &SCHEDULES.map(|(name, _, schedule)| (name, schedule)))?;
    let antagonists = match reader.text("antagonist") {
        None | Some("none") => Vec::new(),
        Some(list) => {
            let all: Result<_, String> = list.split(',').map(str::parse).collect();
            all.map_err(|why| Wrong::new("antagonist", why))?
        }
    };
    let (memory, switches) = (reader.parse("memory")?, reader.switches()?);
    let verify = match reader.text("verify") {
        None | Some("false") => false,
        Some("true") => true,
        Some(odd) => return Err(Wrong::new("verify", format!("`{odd}` is neither true nor false"))),
    };
    Ok(ReplayJob {
        traces,
        machine,
        memory,
        switches,
        schedule,
        antagonists,
        verify,
        seed: reader.number("seed", 1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../traces/tcc.pwt");
    const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/scenarios/dirty-page.ron");

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    fn job(values: &Values) -> Result<Job, Wrong> {
        Job::new(values, &Inputs::read([values].into_iter()).expect("its files are there"))
    }

    #[test]
    fn a_point_repeats_by_its_command() {
        let settings = [("memory", "64 MiB"), ("cpus", "2"), ("antagonist", "none"), ("seed", "3")];
        let traces = format!("{TRACE} {TRACE}");
        let point = values(&[&[("trace", traces.as_str())], &settings[..]].concat());
        let Ok(Job::Replay(job)) = job(&point) else { panic!("it replays") };
        assert_eq!((job.traces.len(), job.machine.cpus.get(), job.seed), (2, 2, 3));
        let point = values(&[&[("trace", "a.pwt b;c.pwt")], &settings[..]].concat());
        let command = "pagewalk replay a.pwt 'b;c.pwt' --memory '64 MiB' --seed 3 --set cpus=2";
        assert_eq!(Job::command(&point), command);
        let scenario = values(&[("scenario", "a b.ron"), ("runs", "7")]);
        assert_eq!(Job::command(&scenario), "pagewalk explore 'a b.ron' --strategy random --runs 7");
    }

    #[test]
    fn what_no_run_could_have_is_said_in_a_line_with_its_name() {
        let (trace, scenario) = (("trace", TRACE), ("scenario", SCENARIO));
        let wrong = [
            (vec![], "trace", "there is none"),
            (vec![trace, ("cpus", "0")], "cpus", "1 to"),
            (vec![trace, ("cpu", "1")], "cpu", "cpus"),
            (vec![trace, ("memory", "lots")], "memory", "memory: `lots`"),
            (vec![trace, ("kernel", "linux-3")], "kernel", "linux-2.6.27"),
            (vec![trace, ("schedule", "fair")], "schedule", "timed"),
            (vec![trace, ("mutant", "x")], "mutant", "there is no `x`"),
            (vec![trace, ("antagonist", "x")], "antagonist", "x"),
            (vec![trace, ("verify", "yes")], "verify", "neither true nor false"),
            (vec![trace, ("runs", "7")], "runs", "a replay has none"),
            (vec![scenario, ("cpus", "1")], "cpus", "has no machine"),
            (vec![scenario, ("swap", "zram")], "swap", "a scenario has none"),
        ];
        for (point, name, why) in wrong {
            let error = job(&values(&point)).expect_err("it is wrong");
            assert_eq!(error.name, name, "{error:?}");
            assert!(error.why.contains(why) && !error.why.contains('\n'), "{error:?}");
        }
    }
}
