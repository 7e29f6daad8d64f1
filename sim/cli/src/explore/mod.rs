//! `pagewalk explore` and `pagewalk explain`: schedules of a scenario, and one of them that fails.

pub mod args;
mod case;
mod explain;
mod lanes;
mod read;
mod report;
mod watch;

pub use self::read::parse_scenario_str;
pub(crate) use self::read::read_scenario;

use pagewalk_explore::{
    GuidedRun, Limits, Run, Scenario, Summary, Verdict, World, enumerate, exhaust, follow, random_walk,
    switches,
};
use pagewalk_mmu::{Mutant, Switches};

use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::replay::write_answer;
use crate::style::{ColorChoice, columns};
use crate::time_limit::TimeLimit;
use args::{AnswerFormat, ExplainArgs, ExploreArgs, StrategyArg};
use case::Case;
use report::{Broken, ExploreReport};
use watch::{Ended, Watch};

/// A run longer than this is cut off.
pub(crate) const MOST_STEPS: usize = 20_000;

/// What came of a search.
struct Outcome {
    summary: Summary,
    findings: Findings,
    ended: Ended,
    /// The mutants whose line no run has reached.
    not_reached: Vec<Mutant>,
}

/// What a search has found so far, besides its counts.
#[derive(Default)]
struct Findings {
    broken: Broken,
    /// The failing schedule to show: one that breaks something on the way rather than only shows it at the end, with the
    /// fewest switches, and of those the first.
    failing: Option<((bool, usize), Vec<usize>)>,
}

impl Findings {
    fn note(&mut self, choices: &[usize], verdict: &Verdict) {
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
    let outcome = search(args, &scenario);
    let shown = outcome.findings.failing.as_ref().map(|(_, choices)| {
        let mut world = World::new(scenario.clone(), args.kernel.switches());
        follow(&mut world, choices, MOST_STEPS)
    });
    if let (Some(file), Some(run)) = (&args.save, &shown) {
        Case::new(&args.scenario, &scenario, args, run).save(file)?;
    }
    let report = ExploreReport::new(args, &scenario, command, outcome, shown.as_ref());
    let text = match args.format {
        AnswerFormat::Text => report.to_text(color.for_stdout(), columns()),
        AnswerFormat::Json => report.to_json(),
    };
    Ok(write_answer(&text, report.exit()))
}

fn search(args: &ExploreArgs, scenario: &Scenario) -> Outcome {
    let runs = args.runs.unwrap_or(args.strategy.default_runs());
    let limits = Limits { runs, steps: MOST_STEPS };
    let random = args.strategy == StrategyArg::Random;
    let watch = Watch::begin("explore", random.then_some(runs), args.budget.map(TimeLimit::duration));
    let mut world = World::new(scenario.clone(), args.kernel.switches()).asking(watch.asked());
    let mut findings = Findings::default();
    let mut note = |choices: &[usize], verdict: &Verdict| {
        watch.note_class();
        if !verdict.is_clean() {
            watch.note_failing();
        }
        findings.note(choices, verdict);
        true
    };
    let mut visit = |run: &Run<'_>| {
        let choices: Vec<usize> = run.trace.events().iter().map(|event| event.access.actor).collect();
        note(&choices, run.verdict)
    };
    let summary = match args.strategy {
        StrategyArg::Dpor => exhaust(&mut world, limits, &mut visit),
        StrategyArg::All => enumerate(&mut world, limits, &mut visit),
        StrategyArg::Random => random_walk(&mut world, args.seed, limits, &mut note),
    };
    watch.finish();
    let ended = match watch.ended_early() {
        // What was found last may have been the last there was.
        Some(early) if !summary.complete && (!random || summary.runs < runs) => early,
        _ if summary.complete => Ended::Complete,
        _ if summary.runs < runs => Ended::CutOff,
        _ => Ended::Runs,
    };
    Outcome { summary, findings, ended, not_reached: world.mutants_not_reached() }
}

/// Runs `pagewalk explain`.
pub fn explain(args: &ExplainArgs, color: ColorChoice) -> Exit {
    let explained = Case::load(&args.case).and_then(|case| explain::explain(&args.case, &case));
    match explained {
        Ok(story) => {
            let text = match args.format {
                AnswerFormat::Text => story.to_text(color.for_stdout(), columns()),
                AnswerFormat::Json => story.to_json(),
            };
            write_answer(&text, story.exit())
        }
        Err(problem) => refuse(&problem, args.format, color),
    }
}

/// The scenario on the kernel, run along `choices`.
fn run_along(scenario: &Scenario, switches: Switches, choices: &[usize]) -> GuidedRun {
    follow(&mut World::new(scenario.clone(), switches), choices, MOST_STEPS)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::style::Paint;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        args: ExploreArgs,
    }

    /// The longest line of both answers about a mutant, the commands to type apart.
    fn widest(scenario: &str, mutant: &str, width: usize) -> usize {
        let file = format!("{}/../../configs/scenarios/{scenario}.ron", env!("CARGO_MANIFEST_DIR"));
        let args = Words::parse_from(["explore", &file, "--mutant", mutant]).args;
        let (scenario, _) = read_scenario(&file).expect("a shipped scenario");
        let outcome = search(&args, &scenario);
        let (_, choices) = outcome.findings.failing.clone().expect("the mutant is caught");
        let run = run_along(&scenario, args.kernel.switches(), &choices);
        let case = Case::new("s", &scenario, &args, &run);
        let report = ExploreReport::new(&args, &scenario, "explore s", outcome, Some(&run));
        let story = explain::explain("c", &case).expect("it fails again");
        let text = report.to_text(Paint::PLAIN, width) + &story.to_text(Paint::PLAIN, width);
        text.lines().map(|line| line.chars().count()).max().expect("there are lines")
    }

    #[test]
    fn answers_fit_the_columns_there_are() {
        for (scenario, mutant) in [
            ("lookup-and-reuse", "skip-recheck"),
            ("insertion", "publish-before-init"),
            ("discard-and-reuse", "zap-free-before-flush"),
        ] {
            for width in [60, 80, 100] {
                let widest = widest(scenario, mutant, width);
                assert!(widest <= width, "{scenario}: {widest} of {width} columns");
            }
        }
    }
}
