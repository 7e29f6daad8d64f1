//! Steps in columns, one for each CPU.

use pagewalk_engine::Actor;
use pagewalk_explore::{Event, Scenario, Teller, ToldStep, Trace};

use crate::style::{Paint, fit};

/// Lanes narrower than this show a step without its place, if both do not fit.
const NARROW: usize = 46;

/// Columns for the number of a step.
const MARGIN: usize = 5;

/// The header and the steps of `trace`, a line each, in `columns` columns.
pub(super) fn lanes(scenario: &Scenario, trace: &Trace, paint: Paint, columns: usize) -> Vec<String> {
    let cpus = scenario.cpus.len();
    let width = (columns - MARGIN) / cpus;
    let teller = Teller::new(scenario);
    let programs = scenario.cpus.iter().enumerate().map(|(cpu, program)| {
        let operations: Vec<String> = program.iter().map(pagewalk_explore::Operation::describe).collect();
        pad(&format!("CPU {cpu}: {}", operations.join("; ")), width)
    });
    let header = format!("{}{}", " ".repeat(MARGIN), programs.collect::<String>());
    let mut lines = vec![paint.strong(header.trim_end())];
    for (n, event) in trace.events().iter().enumerate() {
        let lane = usize::from(Actor::from_index(event.access.actor, cpus).cpu().0);
        let text = cell(teller, event, cpus, width);
        lines.push(
            format!("{:>3}  {}{}", n + 1, " ".repeat(lane * width), pad(&text, width)).trim_end().to_owned(),
        );
    }
    lines
}

fn cell(teller: Teller<'_>, event: &Event, cpus: usize, width: usize) -> String {
    let who = match Actor::from_index(event.access.actor, cpus) {
        Actor::Cpu(_) => "",
        Actor::Interrupt(_) => "(interrupt) ",
        Actor::Callback(_) => "(RCU callback) ",
    };
    let ToldStep { place, source, step } = teller.told(event);
    let protocol =
        source.and_then(|source| source.protocol).map(|step| format!("({step}) ")).unwrap_or_default();
    let whole = format!("{who}{protocol}{place}  {step}");
    if cpus > 2 || (width < NARROW && whole.chars().count() > width - 2) {
        format!("{who}{protocol}{step}")
    } else {
        whole
    }
}

fn pad(text: &str, width: usize) -> String {
    let text = fit(text, width - 2);
    let missing = width - text.chars().count().min(width);
    text + &" ".repeat(missing)
}
