//! `pagewalk explore` and `pagewalk explain`: schedules of a scenario, and one of them that fails.

pub mod args;
mod case;
mod explain;
mod lanes;
mod read;
mod report;

pub use self::read::parse_scenario_str;
pub(crate) use self::read::read_scenario;

use std::io::IsTerminal;

use pagewalk_explore::{
    GuidedRun, Limits, Run, Scenario, Summary, World, exhaust, follow, random_walk, switches,
};
use pagewalk_mmu::Switches;

use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::replay::write_answer;
use crate::style::ColorChoice;
use args::{AnswerFormat, ExplainArgs, ExploreArgs, StrategyArg};
use case::Case;
use report::{Broken, ExploreReport};

/// A run longer than this is cut off.
pub(crate) const MOST_STEPS: usize = 20_000;

/// What a search has found so far, besides its counts.
#[derive(Default)]
struct Findings {
    broken: Broken,
    /// The failing schedule to show: one that breaks something on the way rather than only shows it at the end, with the
    /// fewest switches, and of those the first.
    failing: Option<((bool, usize), Vec<usize>)>,
}

impl Findings {
    fn note(&mut self, choices: &[usize], verdict: &pagewalk_explore::Verdict) {
        if verdict.is_clean() {
            return;
        }
        self.broken.note(&verdict.violations);
        let at_the_end = verdict.violations[0].invariant == "I5";
        let rank = (at_the_end, switches(choices));
        if self.failing.as_ref().is_none_or(|(best, _)| rank < *best) {
            self.failing = Some((rank, choices.to_vec()));
        }
    }
}

/// Runs `pagewalk explore`.
pub fn explore(args: &ExploreArgs, command: &str, color: ColorChoice) -> Exit {
    match try_explore(args, command, color) {
        Ok(exit) => exit,
        Err(problem) => refuse(&problem, args.format, color),
    }
}

fn refuse(problem: &Diagnostic, format: AnswerFormat, color: ColorChoice) -> Exit {
    match format {
        AnswerFormat::Text => eprint!("{}", problem.to_text(color.for_stderr())),
        AnswerFormat::Json => eprint!("{}", problem.to_json()),
    }
    problem.exit()
}

fn try_explore(args: &ExploreArgs, command: &str, color: ColorChoice) -> Result<Exit, Diagnostic> {
    let (scenario, _) = read_scenario(&args.scenario)?;
    let (findings, summary) = search(args, &scenario);
    let shown = findings.failing.as_ref().map(|(_, choices)| {
        let mut world = World::new(scenario.clone(), args.kernel.switches());
        follow(&mut world, choices, MOST_STEPS)
    });
    if let (Some(file), Some(run)) = (&args.save, &shown) {
        Case::new(&args.scenario, &scenario, args, run).save(file)?;
    }
    let report = ExploreReport::new(args, &scenario, command, summary, findings.broken, shown.as_ref());
    let text = match args.format {
        AnswerFormat::Text => report.to_text(color.for_stdout()),
        AnswerFormat::Json => report.to_json(),
    };
    Ok(write_answer(&text, report.exit()))
}

fn search(args: &ExploreArgs, scenario: &Scenario) -> (Findings, Summary) {
    #[expect(clippy::disallowed_methods, reason = "how long the search took is told, and decides nothing")]
    let begin = std::time::Instant::now();
    let mut world = World::new(scenario.clone(), args.kernel.switches());
    let mut findings = Findings::default();
    let runs = args.runs.unwrap_or(args.strategy.default_runs());
    let limits = Limits { runs, steps: MOST_STEPS };
    let summary = match args.strategy {
        StrategyArg::Dpor => exhaust(&mut world, limits, &mut |run: &Run<'_>| {
            let choices: Vec<usize> = run.trace.events().iter().map(|event| event.access.actor).collect();
            findings.note(&choices, run.verdict);
            true
        }),
        StrategyArg::Random => random_walk(&mut world, args.seed, limits, &mut |choices, verdict| {
            findings.note(choices, verdict);
            true
        }),
    };
    if std::io::stderr().is_terminal() {
        let seconds = begin.elapsed().as_secs_f64();
        eprintln!(
            "{} runs in {seconds:.3} s, {:.0} a second",
            summary.runs,
            summary.runs as f64 / seconds.max(1e-9)
        );
    }
    (findings, summary)
}

/// Runs `pagewalk explain`.
pub fn explain(args: &ExplainArgs, color: ColorChoice) -> Exit {
    let explained = Case::load(&args.case).and_then(|case| explain::explain(&args.case, &case));
    match explained {
        Ok(story) => {
            let text = match args.format {
                AnswerFormat::Text => story.to_text(color.for_stdout()),
                AnswerFormat::Json => story.to_json(),
            };
            write_answer(&text, Exit::Held)
        }
        Err(problem) => refuse(&problem, args.format, color),
    }
}

/// The scenario on the kernel, run along `choices`.
fn run_along(scenario: &Scenario, switches: Switches, choices: &[usize]) -> GuidedRun {
    follow(&mut World::new(scenario.clone(), switches), choices, MOST_STEPS)
}
