//! `pagewalk sweep`: many runs that differ in what a file says, on one machine or several, and what they show together.

pub mod args;
mod progress;
mod submit;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanDuration;
use pagewalk_input::{Place, Refusal};
use pagewalk_replay::{Shared, host_memory};
use pagewalk_sweep::execute::State;
use pagewalk_sweep::point::NAMES;
use pagewalk_sweep::{
    Plan, Shard, ShardChoice, Store, Survey, TABLE_FORMATS, about, estimate, survey, write_report,
    write_tables,
};

use self::args::{Action, RunArgs, StoreArgs, SubmitArgs, SweepArgs};
use self::progress::Bar;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::replay::{Counter, write_answer};
use crate::style::{ColorChoice, group};

/// Runs `pagewalk sweep` and writes its answer.
pub fn run(args: &SweepArgs, color: ColorChoice) -> Exit {
    let answer = match &args.action {
        Action::Plan(plan) => list(&plan.file),
        Action::Run(run) => run_points(run, color),
        Action::Status(store) => status(store),
        Action::Merge(store) => of_results(store, tables),
        Action::Report(store) => of_results(store, report),
        Action::Submit(submit) => submit_job(submit),
    };
    match answer {
        Ok((text, exit)) => write_answer(&text, exit),
        Err(refusal) => refuse(&refusal, color),
    }
}

fn refuse(refusal: &Refusal, color: ColorChoice) -> Exit {
    eprint!("{}", refusal.to_text(color.for_stderr()));
    refusal.exit()
}

type Answer = Result<(String, Exit), Refusal>;

fn list(file: &str) -> Answer {
    let plan = Plan::load(file)?;
    let mut out = format!("  {} points of {}", group(plan.points.len() as u64), plan.title);
    if plan.dropped > 0 {
        let _ = write!(out, " · {} dropped by `keep`", group(plan.dropped as u64));
    }
    let accesses = estimate::accesses(&plan)?;
    if accesses > 0 {
        let _ = write!(out, " · {} accesses", group(accesses));
    }
    let _ = writeln!(out, " · plan {}", &plan.id[..8]);
    for axis in &plan.axes {
        let known = NAMES.iter().find(|(name, _)| *name == &*axis.path).map_or("", |(_, about)| about);
        let _ = writeln!(out, "  axis {}  {}  {known}", axis.path, axis.values.join(" "));
    }
    out.push('\n');
    for point in &plan.points {
        let _ = writeln!(out, "{}  {}", point.id, about(&plan, point));
    }
    // The list is the same everywhere; how long it takes is not.
    let time = HumanDuration(estimate::time(&plan)?.max(Duration::from_secs(1)));
    eprintln!("pagewalk: about {time} on the {} cores of this host", rayon::current_num_threads());
    Ok((out, Exit::Held))
}

fn run_points(args: &RunArgs, color: ColorChoice) -> Answer {
    let plan = Plan::load(&args.store.file)?;
    let store = Store::new(&args.store.directory());
    let shard = match args.shard {
        None => Shard::WHOLE,
        Some(given) => given.resolve(|name| std::env::var(name).ok()).map_err(|why| {
            let text = if given == ShardChoice::Auto { "auto" } else { "" };
            Refusal::new(Place::in_option("--shard", text, 0..text.len()), why)
        })?,
    };
    let counter = Arc::<Counter>::default();
    counter.end_on_interrupt();
    let shared = Arc::new(Shared::of_many(counter, args.decoded.unwrap_or_else(host_memory::to_keep)));
    let tally = pagewalk_sweep::run(&plan, &store, shard, args.jobs, &shared, &Bar::new())?;
    let mut out = String::new();
    let part = if args.shard.is_some() { format!("shard {shard}: ") } else { String::new() };
    let (points, run, skipped) = (group(tally.points), group(tally.run), group(tally.skipped));
    let _ = write!(out, "  {part}{points} points · {run} run now · {skipped} there already");
    if plan.dropped > 0 && args.shard.is_none() {
        let _ = write!(out, " · {} dropped by `keep`", group(plan.dropped as u64));
    }
    if tally.interrupted {
        out.push_str("\n  interrupted: the same command goes on where this ended\n");
        return Ok((out, Exit::Interrupted));
    }
    let exit = match args.shard {
        Some(_) => {
            let states = survey::states(plan.of_shard(shard), &store)?;
            let _ = writeln!(out, "{}", unwell(states.iter().copied()));
            exit(survey::verdict(states.into_iter()))
        }
        None => {
            let survey = Survey::of(&plan, &store)?;
            let _ = writeln!(out, "{}", unwell(survey.states()));
            if survey.outcomes.iter().any(Option::is_some) {
                out.push_str(&tables(&plan, &store, &survey)?);
                out.push_str(&report(&plan, &store, &survey)?);
            }
            out.push_str(&missing(&plan, &survey));
            exit(survey.verdict(&plan))
        }
    };
    let Some((first, count)) = tally.refused else { return Ok((out, exit)) };
    let told = match count {
        1 => first.help("its point did not run; the same command tries again"),
        count => first.help(format!("{} points did not run; the same command tries again", group(count))),
    };
    Ok((out, refuse(&told, color)))
}

/// How many did not come to their end, to stand behind what else there is to say.
fn unwell(states: impl Iterator<Item = Option<State>>) -> String {
    format!(" · {} unfinished", group(survey::unwell(states)))
}

fn status(args: &StoreArgs) -> Answer {
    let plan = Plan::load(&args.file)?;
    let states = survey::states(&plan.points, &Store::new(&args.directory()))?;
    let there = states.iter().flatten().count() as u64;
    let unwell = unwell(states.iter().copied());
    let mut out = format!("  {} of {} points{unwell}\n", group(there), group(states.len() as u64));
    if let Some(next) = states.iter().position(Option::is_none) {
        let _ = writeln!(out, "  the next: {}", about(&plan, &plan.points[next]));
    }
    Ok((out, exit(survey::verdict(states.into_iter()))))
}

/// What is finished, for those who can do nothing without it.
fn finished(plan: &Plan, store: &Store) -> Result<Survey, Refusal> {
    let survey = Survey::of(plan, store)?;
    if survey.outcomes.iter().all(Option::is_none) {
        let place = Place::File { file: store.file("points").display().to_string() };
        let message = "no point of the sweep is finished here";
        return Err(Refusal::new(place, message).expected("results of `sweep run`, or another `--out`"));
    }
    Ok(survey)
}

/// What is asked for and nowhere found.
fn missing(plan: &Plan, survey: &Survey) -> String {
    survey.missing(plan).iter().map(|line| format!("  missing    {line}\n")).collect()
}

/// What is made of results alone.
fn of_results(args: &StoreArgs, write: fn(&Plan, &Store, &Survey) -> Result<String, Refusal>) -> Answer {
    let plan = Plan::load(&args.file)?;
    let store = Store::new(&args.directory());
    let survey = finished(&plan, &store)?;
    let told = write(&plan, &store, &survey)?;
    Ok((told + &missing(&plan, &survey), exit(survey.verdict(&plan))))
}

fn submit_job(args: &SubmitArgs) -> Answer {
    Plan::load(&args.store.file)?;
    let told = submit::submit(args, &Store::new(&args.store.directory()))?;
    Ok((told, Exit::Held))
}

/// How a command ends whose points ended like this at worst.
fn exit(worst: State) -> Exit {
    match worst {
        State::Done => Exit::Held,
        State::Incomplete => Exit::Incomplete,
        State::Broken => Exit::Broken,
        State::Failed => Exit::Internal,
    }
}

/// Writes the tables, and tells it.
fn tables(plan: &Plan, store: &Store, survey: &Survey) -> Result<String, Refusal> {
    let mut out = String::new();
    for (name, rows) in write_tables(plan, store, survey)? {
        let path = store.file(name);
        let _ = writeln!(out, "  wrote      {}.{TABLE_FORMATS}  {} rows", path.display(), group(rows));
    }
    Ok(out)
}

/// Writes the report, and tells it.
fn report(plan: &Plan, store: &Store, survey: &Survey) -> Result<String, Refusal> {
    let (page, report) = write_report(plan, store, survey)?;
    let pictures = match report.charts.len() {
        1 => "1 picture".to_owned(),
        count => format!("{} pictures", group(count as u64)),
    };
    Ok(format!("{}  wrote      {} and {pictures}\n", report.text, page.display()))
}
