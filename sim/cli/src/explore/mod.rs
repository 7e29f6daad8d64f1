//! `pagewalk explore` and `pagewalk explain`: schedules of a scenario, and one of them that fails.

pub mod args;
mod checkpoint;
mod explain;
mod lanes;
mod report;
mod search;
mod watch;

use args::{ExplainArgs, ExploreArgs};
use pagewalk_explore::{Case, GuidedRun, LONGEST_RUN, Scenario, World, follow, read_scenario};
use pagewalk_input::Refusal;
use pagewalk_pages::Switches;
use report::ExploreReport;
use search::search;

use crate::answer_format::AnswerFormat;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::replay::write_answer;
use crate::style::{ColorChoice, columns};

/// Runs `pagewalk explore`.
pub fn explore(args: &ExploreArgs, command: &str, color: ColorChoice) -> Exit {
    match try_explore(args, command, color) {
        Ok(exit) => exit,
        Err(problem) => refuse(&problem, args.format, color),
    }
}

fn refuse(problem: &Refusal, format: AnswerFormat, color: ColorChoice) -> Exit {
    match format {
        AnswerFormat::Text => eprint!("{}", problem.to_text(color.for_stderr())),
        AnswerFormat::Json => eprint!("{}", problem.to_json()),
    }
    problem.exit()
}

fn try_explore(args: &ExploreArgs, command: &str, color: ColorChoice) -> Result<Exit, Refusal> {
    let (scenario, _) = read_scenario(&args.scenario)?;
    let outcome = search(args, &scenario)?;
    let shown = outcome.findings.failing.as_ref().map(|choices| {
        let mut world = World::new(scenario.clone(), args.kernel.switches());
        follow(&mut world, choices, LONGEST_RUN)
    });
    if let (Some(file), Some(run)) = (&args.save, &shown) {
        Case::new(&args.scenario, &scenario, args.kernel.names(), run).save(file)?;
    }
    let report = ExploreReport::new(args, &scenario, command, outcome, shown.as_ref());
    let text = match args.format {
        AnswerFormat::Text => report.to_text(color.for_stdout(), columns()),
        AnswerFormat::Json => report.to_json(),
    };
    Ok(write_answer(&text, report.exit()))
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
    follow(&mut World::new(scenario.clone(), switches), choices, LONGEST_RUN)
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
        let outcome = search(&args, &scenario).expect("there is no checkpoint");
        let choices = outcome.findings.failing.clone().expect("the mutant is caught");
        let run = run_along(&scenario, args.kernel.switches(), &choices);
        let case = Case::new("s", &scenario, args.kernel.names(), &run);
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
