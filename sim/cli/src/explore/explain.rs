//! What `pagewalk explain` answers: one failing schedule, shortened, and what the missing step would have seen.

use pagewalk_explore::{
    Case, Event, GuidedRun, LONGEST_RUN, Shrunk, Teller, ToldStep, World, actor_name, diverge,
    follow_to_the_end, shrink, switches,
};
use pagewalk_input::{Place, Refusal};
use pagewalk_pages::{Mutant, Switches};
use serde::Serialize;

use super::watch::Watch;
use super::{lanes, run_along};
use crate::exit::Exit;
use crate::style::{Paint, visible, wrap};

/// One failing schedule, explained.
pub(super) struct Story {
    case: Case,
    file: String,
    shrunk: Shrunk,
    missing: Option<Missing>,
    /// Whether shortening was interrupted.
    interrupted: bool,
}

/// What the kernel without the mistake does at the place where they part.
#[derive(Clone, Debug, Serialize)]
struct Missing {
    /// The kernel that is right.
    kernel: String,
    cpu: u16,
    /// What the wrong one does there: where, and what.
    here: Option<(String, String)>,
    /// What the right one does instead.
    there: (String, String),
}

/// Runs the case again, step by step as it says, and shortens it.
///
/// # Errors
/// If it no longer is what it was: another operation stands where the case says, or nothing breaks.
pub(super) fn explain(file: &str, case: &Case) -> Result<Story, Refusal> {
    let choices = case.choices();
    let run = run_along(&case.scenario, case.switches(), &choices);
    let problem = |message: String| Refusal::new(Place::File { file: file.to_owned() }, message);
    verify(case, &run).map_err(|message| {
        problem(message).help("it was saved by another version, or edited: explore the scenario again")
    })?;
    let watch = Watch::begin("explain", None, None);
    let mut world = World::new(case.scenario.clone(), case.switches()).asking(watch.asked());
    let shrunk = shrink(&mut world, &choices, LONGEST_RUN);
    watch.finish();
    let shrunk = shrunk.ok_or_else(|| problem("the schedule breaks nothing any more".into()))?;
    let missing = missing_step(case, &shrunk.run);
    let interrupted = !shrunk.minimal && watch.ended_early().is_some();
    Ok(Story { case: case.clone(), file: file.to_owned(), shrunk, missing, interrupted })
}

/// Whether the run is the one that was saved.
fn verify(case: &Case, run: &GuidedRun) -> Result<(), String> {
    let teller = Teller::new(&case.scenario);
    let cpus = case.scenario.cpus.len();
    for (n, (event, saved)) in run.trace.events().iter().zip(&case.steps).enumerate() {
        let (actor, operation) = (actor_name(event.access.actor, cpus), teller.label(event));
        if (&actor, &operation) != (&saved.actor, &saved.operation) {
            return Err(format!(
                "step {} is `{actor}: {operation}` and was `{}: {}` when the case was saved",
                n + 1,
                saved.actor,
                saved.operation
            ));
        }
    }
    match &run.violation {
        Some(violation) if violation.invariant == case.invariant => Ok(()),
        Some(violation) => Err(format!("it breaks {} and broke {}", violation.invariant, case.invariant)),
        None => Err(format!("it breaks nothing and broke {}", case.invariant)),
    }
}

/// Follows the same schedule with the kernel that is right, up to where they part.
fn missing_step(case: &Case, run: &GuidedRun) -> Option<Missing> {
    let wrong = case.switches();
    let right = if wrong == Switches::FIXED { return None } else { Switches::FIXED };
    let mut world = World::new(case.scenario.clone(), right);
    let other = follow_to_the_end(&mut world, &run.choices, LONGEST_RUN);
    // Beyond its violation too: what it does next may be what the other does not.
    let mut own = World::new(case.scenario.clone(), wrong);
    let run = follow_to_the_end(&mut own, &run.choices, LONGEST_RUN);
    let divergence = diverge(&run.trace, &other.trace)?;
    let teller = Teller::new(&case.scenario);
    let tell = |event: &Event| {
        let ToldStep { place, source, step } = teller.told(event);
        let protocol = source.and_then(|source| source.protocol);
        (place + &protocol.map(|step| format!(" (step {step})")).unwrap_or_default(), step)
    };
    let there = &other.trace.events()[divergence.other?];
    Some(Missing {
        kernel: "fixed".into(),
        cpu: there.access.cpu,
        here: divergence.one.map(|step| tell(&run.trace.events()[step])),
        there: tell(there),
    })
}

impl Story {
    pub(super) fn exit(&self) -> Exit {
        if self.interrupted { Exit::Interrupted } else { Exit::Held }
    }

    fn violation(&self) -> (&str, String) {
        let teller = Teller::new(&self.case.scenario);
        let violation = self.shrunk.run.violation.as_ref();
        violation.map_or(("", String::new()), |violation| {
            (violation.invariant, teller.message(&violation.message))
        })
    }

    pub(super) fn to_text(&self, paint: Paint, width: usize) -> String {
        let case = &self.case;
        let kernel = case.kernel_names().words();
        let title = format!("{} · {} · {kernel}", self.file, case.source);
        let mut lines = vec![paint.dim(&visible(&title)), String::new()];
        for mutant in case.mutants.iter().filter_map(|name| Mutant::from_name(name)) {
            lines.extend(wrap(&format!("{mutant}: {}", mutant.info().what), width));
            lines.push(String::new());
        }
        lines.extend(lanes::lanes(&case.scenario, &self.shrunk.run.trace, paint, width));
        let (invariant, message) = self.violation();
        lines.push(String::new());
        for line in wrap(&visible(&format!("✘ {invariant}: {message}")), width) {
            lines.push(paint.alarm(&line));
        }
        lines.push(String::new());
        lines.extend(self.missing_text(width));
        lines.extend(wrap(&self.shortened(), width));
        lines.join("\n") + "\n"
    }

    fn missing_text(&self, width: usize) -> Vec<String> {
        let Some(missing) = &self.missing else { return Vec::new() };
        let (place, step) = &missing.there;
        let mut text = format!(
            "Under the same schedule the kernel `{}` parts from this one on CPU {}: at {place}, {step}.",
            missing.kernel, missing.cpu
        );
        if let Some((place, step)) = &missing.here {
            text.push_str(&format!(" Here it was, at {place}: {step}."));
        }
        let mut lines = wrap(&visible(&text), width);
        lines.push(String::new());
        lines
    }

    fn shortened(&self) -> String {
        let (before, after) = (self.case.steps.len(), self.shrunk.run.choices.len());
        let changes = (switches(&self.case.choices()), switches(&self.shrunk.run.choices));
        let minimal = if self.shrunk.minimal {
            " No two blocks of steps of one CPU can be joined, and none left out, without the failure going away."
        } else if self.interrupted {
            " Then it was interrupted: it may become shorter."
        } else {
            ""
        };
        format!(
            "Shortened from {before} steps and {} switches to {after} steps and {} switches, in {} runs.{minimal}",
            changes.0, changes.1, self.shrunk.runs
        )
    }

    pub(super) fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Step {
            actor: String,
            place: String,
            path: Option<&'static str>,
            protocol: Option<&'static str>,
            line: Option<&'static str>,
            step: String,
        }
        #[derive(Serialize)]
        struct Document<'a> {
            schema: &'static str,
            case: &'a str,
            scenario: &'a str,
            kernel: &'a str,
            fixes: &'a [String],
            mutants: &'a [String],
            invariant: &'a str,
            message: String,
            steps: Vec<Step>,
            switches: usize,
            minimal: bool,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            interrupted: bool,
            runs: usize,
            missing: Option<&'a Missing>,
        }
        let teller = Teller::new(&self.case.scenario);
        let cpus = self.case.scenario.cpus.len();
        let step = |event: &Event| {
            let ToldStep { place, source, step } = teller.told(event);
            let (path, line) = (source.map(|source| source.path), source.map(|source| source.line));
            let protocol = source.and_then(|source| source.protocol);
            Step { actor: actor_name(event.access.actor, cpus), place, path, protocol, line, step }
        };
        let (invariant, message) = self.violation();
        let document = Document {
            schema: "pagewalk.explain/1",
            case: &self.file,
            scenario: &self.case.source,
            kernel: &self.case.kernel,
            fixes: &self.case.fixes,
            mutants: &self.case.mutants,
            invariant,
            message,
            steps: self.shrunk.run.trace.events().iter().map(step).collect(),
            switches: switches(&self.shrunk.run.choices),
            minimal: self.shrunk.minimal,
            interrupted: self.interrupted,
            runs: self.shrunk.runs,
            missing: self.missing.as_ref(),
        };
        serde_json::to_string_pretty(&document).expect("a story is plain data with text keys") + "\n"
    }
}
