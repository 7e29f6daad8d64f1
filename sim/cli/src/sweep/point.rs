//! What one point of a sweep runs, from the values that it has.

use std::collections::BTreeMap;
use std::sync::Mutex;

use clap::ValueEnum;
use pagewalk_engine::Schedule;
use pagewalk_mmu::{Fix, Mutant, Switches};

use crate::explore::args::StrategyArg;
use crate::kernel_args::{KernelArg, KernelArgs};
use crate::machine::Machine;
use crate::replay::args::ScheduleArg;
use crate::replay::memory_arg::{AntagonistArg, MemoryArg, SwapArg};
use crate::shell;

/// What an axis may name beside the parameters of a machine.
pub(crate) const NAMES: [(&str, &str); 13] = [
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
    ("antagonist", "antagonists as `replay --antagonist` takes them, or none"),
    ("scenario", "a scenario to explore instead of a trace to replay"),
    ("strategy", "how the scenario is explored: dpor, or random"),
    ("runs", "the most runs of the scenario"),
];

/// A run, ready to begin.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Traces through a machine.
    Replay(Box<ReplayJob>),
    /// Schedules of a scenario, until one fails.
    Explore(ExploreJob),
}

/// Traces through a machine.
#[derive(Clone, Debug)]
pub(crate) struct ReplayJob {
    /// The traces.
    pub(crate) traces: Vec<String>,
    /// The machine, but for its memory if that is a percentage.
    pub(crate) machine: Machine,
    /// Its memory, if the sweep says.
    pub(crate) memory: Option<MemoryArg>,
    /// The kernel.
    pub(crate) switches: Switches,
    /// How steps are ordered.
    pub(crate) schedule: Schedule,
    /// What acts beside the programs.
    pub(crate) antagonists: Vec<AntagonistArg>,
    /// The seed.
    pub(crate) seed: u64,
}

/// Schedules of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct ExploreJob {
    /// The scenario's file.
    pub(crate) scenario: String,
    /// The kernel.
    pub(crate) switches: Switches,
    /// Which schedules.
    pub(crate) strategy: StrategyArg,
    /// At most so many.
    pub(crate) runs: u64,
    /// The seed of random ones.
    pub(crate) seed: u64,
}

/// The values of a point by name.
pub(crate) type Values = BTreeMap<String, String>;

/// The machines that points begin with, each read once.
#[derive(Default)]
pub(crate) struct Machines(Mutex<BTreeMap<String, Machine>>);

impl Machines {
    fn load(&self, name: &str) -> Result<Machine, String> {
        let mut known = self.0.lock().expect("nobody panics while it has the map");
        if let Some(machine) = known.get(name) {
            return Ok(machine.clone());
        }
        let machine = Machine::load(name).map_err(|problem| problem.line())?;
        known.insert(name.to_owned(), machine.clone());
        Ok(machine)
    }
}

/// The option of the command line and the rest of what a point's values say.
struct Reader<'a> {
    values: &'a Values,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn parse<T: std::str::FromStr<Err = String>>(&self, name: &str) -> Result<Option<T>, String> {
        self.text(name).map(|text| text.parse().map_err(|error| format!("{name}: {error}"))).transpose()
    }

    fn number(&self, name: &str, usual: u64) -> Result<u64, String> {
        let Some(text) = self.text(name) else { return Ok(usual) };
        text.parse().map_err(|_| format!("{name}: `{text}` is no whole number from 0 on"))
    }

    fn choice<T: ValueEnum>(&self, name: &str, usual: T) -> Result<T, String> {
        let Some(text) = self.text(name) else { return Ok(usual) };
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|value| value.to_possible_value().map(|value| value.get_name().to_owned()))
            .collect();
        T::from_str(text, false).map_err(|_| format!("{name}: `{text}` is none of {}", names.join(", ")))
    }

    fn switches(&self) -> Result<Switches, String> {
        let named = |name: &str| self.text(name).filter(|&value| value != "none");
        let fix =
            named("fix").map(|name| Fix::from_name(name).ok_or_else(|| format!("fix: there is no `{name}`")));
        let mutant = named("mutant")
            .map(|name| Mutant::from_name(name).ok_or_else(|| format!("mutant: there is no `{name}`")));
        let (fix, mutant) =
            (fix.transpose()?.into_iter().collect(), mutant.transpose()?.into_iter().collect());
        Ok(KernelArgs { kernel: self.choice("kernel", KernelArg::Fixed)?, fix, mutant }.switches())
    }
}

/// Whether a name is that of something else than a parameter of the machine.
#[must_use]
pub(crate) fn is_special(name: &str) -> bool {
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
    /// What is wrong with them, in a line.
    pub(crate) fn new(values: &Values, machines: &Machines) -> Result<Self, String> {
        let reader = Reader { values };
        match reader.text("scenario") {
            Some(scenario) => explore(&reader, scenario).map(Self::Explore),
            None => replay(&reader, machines).map(|job| Self::Replay(Box::new(job))),
        }
    }

    /// The command that repeats the point alone.
    #[must_use]
    pub(crate) fn command(values: &Values) -> String {
        let text = |name: &str| values.get(name).map(String::as_str);
        let mut words = vec!["pagewalk".to_owned()];
        match text("scenario") {
            Some(scenario) => words.extend(["explore".into(), scenario.to_owned()]),
            None => {
                words.push("replay".into());
                words.extend(text("trace").unwrap_or("").split_whitespace().map(str::to_owned));
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
        words.extend(sets(values).iter().map(|set| format!("--set {}", shell::word(set))));
        words.join(" ")
    }
}

fn explore(reader: &Reader<'_>, scenario: &str) -> Result<ExploreJob, String> {
    if let Some(odd) = sets(reader.values).first() {
        return Err(format!("a scenario has no machine: `{odd}`"));
    }
    let strategy = reader.choice("strategy", StrategyArg::Random)?;
    Ok(ExploreJob {
        scenario: scenario.to_owned(),
        switches: reader.switches()?,
        strategy,
        runs: reader.number("runs", strategy.default_runs())?.max(1),
        seed: reader.number("seed", 1)?,
    })
}

fn replay(reader: &Reader<'_>, machines: &Machines) -> Result<ReplayJob, String> {
    let traces: Vec<String> =
        reader.text("trace").unwrap_or("").split_whitespace().map(str::to_owned).collect();
    if traces.is_empty() {
        return Err("there is no trace: name one in `set`, or in an axis `trace`".into());
    }
    let name = reader.text("machine").unwrap_or("default");
    let mut machine = machines.load(name)?;
    if let Some(swap) = reader.parse::<SwapArg>("swap")? {
        machine.swap = swap.device.areas(swap.pages);
    }
    machine.set_all(&sets(reader.values)).map_err(|problem| problem.line())?;
    let schedule = reader.choice("schedule", ScheduleArg::Timed)?.into();
    let antagonists = match reader.text("antagonist") {
        None | Some("none") => Vec::new(),
        Some(list) => list.split(',').map(str::parse).collect::<Result<_, String>>()?,
    };
    let (memory, switches) = (reader.parse("memory")?, reader.switches()?);
    Ok(ReplayJob {
        traces,
        machine,
        memory,
        switches,
        schedule,
        antagonists,
        seed: reader.number("seed", 1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_point_repeats_by_its_command() {
        let point = values(&[
            ("trace", "a.pwt b.pwt"),
            ("memory", "64 MiB"),
            ("cpus", "2"),
            ("antagonist", "none"),
            ("seed", "3"),
        ]);
        let command = "pagewalk replay a.pwt b.pwt --memory '64 MiB' --seed 3 --set cpus=2";
        assert_eq!(Job::command(&point), command);
        let Ok(Job::Replay(job)) = Job::new(&point, &Machines::default()) else { panic!("it replays") };
        assert_eq!((job.traces.len(), job.machine.cpus.get(), job.seed), (2, 2, 3));
    }

    #[test]
    fn what_no_run_could_have_is_said_in_a_line() {
        let trace = ("trace", "a.pwt");
        let wrong = [
            (vec![], "there is no trace"),
            (vec![trace, ("cpus", "0")], "cpus"),
            (vec![trace, ("cpu", "1")], "cpu"),
            (vec![trace, ("memory", "lots")], "memory: `lots`"),
            (vec![trace, ("kernel", "linux-3")], "linux-2.6.27"),
            (vec![trace, ("schedule", "fair")], "schedule"),
            (vec![trace, ("mutant", "x")], "there is no `x`"),
            (vec![trace, ("machine", "zen3")], "zen3"),
            (vec![("scenario", "a.ron"), ("cpus", "1")], "has no machine"),
        ];
        for (point, why) in wrong {
            let error = Job::new(&values(&point), &Machines::default()).expect_err("it is wrong");
            assert!(error.contains(why) && !error.contains('\n'), "{error}");
        }
    }
}
