//! What `pagewalk explore` answers.

use pagewalk_explore::{
    BrokenInvariant, Findings, GuidedRun, KernelNames, LONGEST_RUN, Scenario, StateSummary, StrategyKind,
    Teller, switches,
};
use serde::Serialize;

use super::args::ExploreArgs;
use super::search::Outcome;
use super::watch::Ended;
use crate::exit::Exit;
use crate::style::{Paint, group, visible, wrap};

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ExploreReport {
    schema: &'static str,
    command: String,
    scenario: String,
    about: String,
    #[serde(flatten)]
    kernel: KernelNames,
    /// Those of them whose line no run has reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mutants_not_reached: Vec<String>,
    strategy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    programs: Vec<Vec<String>>,
    runs: u64,
    /// Classes of schedules visited (exhaustive search) or runs that came to an end (random).
    finished: u64,
    sleep_blocked: u64,
    cut_off: u64,
    steps: u64,
    /// What a search by state was like.
    #[serde(skip_serializing_if = "Option::is_none")]
    states: Option<States>,
    complete: bool,
    ended: Ended,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<String>,
    failing: u64,
    broken: Vec<BrokenInvariant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shown: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<String>,
}

/// A search by state in numbers.
#[derive(Clone, Debug, Serialize)]
struct States {
    states: u64,
    transitions: u64,
    /// Steps to the state that is farthest from the first one.
    depth: u64,
    /// States in which a run ends.
    ends: u64,
    bytes_per_state: u64,
    /// How likely it is at most that two states were taken for one.
    collision: f64,
}

impl States {
    fn of(found: &StateSummary) -> Self {
        Self {
            states: found.states,
            transitions: found.transitions,
            depth: found.depth,
            ends: found.ends,
            bytes_per_state: found.bytes.div_ceil(found.states.max(1)),
            collision: found.collision(),
        }
    }

    /// The same in words.
    fn told(&self, complete: bool) -> String {
        let all = if complete { "all " } else { "" };
        let two = match self.collision {
            0.0 => String::new(),
            chance => format!(
                " (two of them share a digest of 128 bits with a chance of 10^{})",
                chance.log10().ceil()
            ),
        };
        format!(
            "{all}{} states{two}, {} steps between them, {} in which it can end, none farther than {} steps from the first",
            tied(self.states),
            tied(self.transitions),
            tied(self.ends),
            tied(self.depth)
        )
    }
}

/// The failing schedule with the fewest switches.
#[derive(Clone, Debug, Serialize)]
struct Shown {
    invariant: String,
    steps: usize,
    switches: usize,
}

impl ExploreReport {
    pub(super) fn new(
        args: &ExploreArgs,
        scenario: &Scenario,
        command: &str,
        outcome: Outcome,
        shown: Option<&GuidedRun>,
    ) -> Self {
        let random = args.strategy == StrategyKind::Random;
        let Outcome { findings: Findings { summary, states, broken, not_reached, .. }, ended } = outcome;
        let mut broken: Vec<_> = broken.into_values().collect();
        let teller = Teller::new(scenario);
        for one in &mut broken {
            one.message = teller.message(&one.message);
        }
        broken.sort_by(|a, b| b.runs.cmp(&a.runs).then(a.invariant.cmp(b.invariant)));
        Self {
            schema: "pagewalk.explore/1",
            command: command.to_owned(),
            scenario: args.scenario.clone(),
            about: scenario.about.clone(),
            kernel: args.kernel.names(),
            mutants_not_reached: not_reached.iter().map(ToString::to_string).collect(),
            strategy: match (args.strategy, &states) {
                (_, Some(_)) => StrategyKind::States.name(),
                (StrategyKind::Auto, None) => StrategyKind::Dpor.name(),
                (strategy, None) => strategy.name(),
            },
            seed: random.then_some(args.seed),
            programs: scenario
                .cpus
                .iter()
                .map(|ops| ops.iter().map(pagewalk_explore::Operation::describe).collect())
                .collect(),
            runs: summary.runs,
            finished: if random { summary.runs - summary.cut } else { summary.classes },
            sleep_blocked: summary.sleep_blocked,
            cut_off: summary.cut,
            steps: summary.steps,
            states: states.as_ref().map(States::of),
            complete: summary.complete,
            ended,
            budget: args.budget.map(|budget| budget.to_string()),
            failing: summary.failing,
            broken,
            shown: shown.map(|run| Shown {
                invariant: run
                    .violation
                    .as_ref()
                    .map_or_else(String::new, |violation| violation.invariant.into()),
                steps: run.choices.len(),
                switches: switches(&run.choices),
            }),
            saved: args.save.as_ref().filter(|_| shown.is_some()).map(|file| file.display().to_string()),
        }
    }

    pub(super) fn exit(&self) -> Exit {
        let all = self.complete || (self.seed.is_some() && self.ended == Ended::Runs);
        match (self.ended, self.failing > 0) {
            (Ended::Interrupted, _) => Exit::Interrupted,
            (_, true) => Exit::Broken,
            (_, false) if all && self.mutants_not_reached.is_empty() => Exit::Held,
            (_, false) => Exit::Incomplete,
        }
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data with text keys") + "\n"
    }

    pub(super) fn to_text(&self, paint: Paint, width: usize) -> String {
        let mut lines = vec![paint.dim(&visible(&self.command)), String::new()];
        lines.extend(wrap(&visible(&self.about), width));
        for (cpu, program) in self.programs.iter().enumerate() {
            lines.extend(under(&format!("  CPU {cpu}  "), &visible(&program.join("; ")), width));
        }
        lines.push(String::new());
        let searched = wrap(&self.searched(), width).into_iter();
        lines.extend(searched.map(|line| line.replace(TIE, " ")));
        if self.failing == 0 {
            lines.push(self.held());
        } else {
            lines.extend(self.told_broken(paint, width));
        }
        lines.extend(self.told_not_reached(paint, width));
        lines.join("\n") + "\n"
    }

    fn kernel(&self) -> String {
        self.kernel.words()
    }

    /// What was tried.
    fn searched(&self) -> String {
        let (runs, steps, kernel) = (tied(self.runs), tied(self.steps), self.kernel());
        let head = if self.ended == Ended::Interrupted { format!("{kernel}, interrupted") } else { kernel };
        let tried = match self.seed.filter(|_| self.states.is_none()) {
            Some(seed) => format!("{runs} random schedules, seed {seed}, {steps} steps"),
            None if self.states.is_some() => {
                self.states.as_ref().map_or_else(String::new, |states| states.told(self.complete))
            }
            None if self.strategy == "all" => {
                format!("{}{runs} schedules, {steps} steps", if self.complete { "all " } else { "" })
            }
            None if self.complete => {
                format!("all {} classes of schedules, in {runs} runs of {steps} steps", tied(self.finished))
            }
            None => format!("{} classes of schedules in {runs} runs of {steps} steps", tied(self.finished)),
        };
        format!("{head}: {tried}{}", self.not_all())
    }

    /// Why that was not all.
    fn not_all(&self) -> String {
        match self.ended {
            Ended::Complete => String::new(),
            Ended::Runs if self.seed.is_some() => String::new(),
            Ended::Runs => "; not all (--runs allows more)".to_owned(),
            Ended::CutOff => {
                format!("; not all (some were cut off after {} steps)", tied(LONGEST_RUN as u64))
            }
            Ended::Budget => {
                format!("; not all (--budget {} is used up)", self.budget.as_deref().unwrap_or_default())
            }
            Ended::Interrupted => "; not all".to_owned(),
        }
    }

    fn held(&self) -> String {
        match (self.seed, self.complete) {
            (Some(_), _) if self.ended == Ended::Runs && self.mutants_not_reached.is_empty() => {
                format!("● none of them broke an invariant{}", self.cut())
            }
            // Nothing that was asked about has happened.
            (None, true) if !self.mutants_not_reached.is_empty() => {
                "○ no schedule breaks an invariant".to_owned()
            }
            (None, true) => "● no schedule breaks an invariant".to_owned(),
            _ => format!("○ none of those broke an invariant{}", self.cut()),
        }
    }

    /// A mutant that did nothing was not tried, whatever the runs show.
    fn told_not_reached(&self, paint: Paint, width: usize) -> Vec<String> {
        let told = self.mutants_not_reached.iter().map(|mutant| {
            format!("○ mutant {mutant} was not reached by any run: this scenario says nothing about it")
        });
        told.flat_map(|text| wrap(&text, width)).map(|line| paint.strong(&line)).collect()
    }

    fn cut(&self) -> String {
        if self.cut_off == 0 { String::new() } else { format!("; {} were cut off", group(self.cut_off)) }
    }

    fn told_broken(&self, paint: Paint, width: usize) -> Vec<String> {
        let what = match self.strategy {
            "dpor" => "classes",
            "states" => "ends",
            _ => "schedules",
        };
        let count =
            format!("✘ {} of {} {what} break an invariant", group(self.failing), group(self.finished));
        let mut lines = vec![paint.alarm(&count)];
        for broken in &self.broken {
            let head = format!("  {:5} in {:>6}  ", broken.invariant, group(broken.runs));
            lines.extend(under(&head, &visible(&broken.message), width));
        }
        if let Some(shown) = &self.shown {
            let told = format!(
                "The simplest breaks {} after {} steps; switches between CPUs: {}.",
                shown.invariant, shown.steps, shown.switches
            );
            lines.extend(wrap(&told, width));
        }
        match &self.saved {
            Some(file) => lines.push(format!("It is saved: pagewalk explain {}", visible(file))),
            None => lines.push("Add --save FILE to keep it for pagewalk explain.".to_owned()),
        }
        lines
    }
}

/// Stands for the space between groups of digits while lines are wrapped.
const TIE: &str = "\u{e000}";

/// A number in groups that stay on one line.
fn tied(number: u64) -> String {
    group(number).replace(' ', TIE)
}

/// Words after a head, wrapped under where they begin.
fn under(head: &str, words: &str, width: usize) -> Vec<String> {
    let indent = " ".repeat(head.chars().count());
    let lines = wrap(words, width - indent.len()).into_iter().enumerate();
    lines.map(|(n, line)| format!("{}{line}", if n == 0 { head } else { &indent })).collect()
}
