//! `pagewalk sweep`: many runs that differ in what a file says, on one machine or several, and what they show together.

pub mod args;
mod estimate;
mod execute;
mod keep;
#[cfg(feature = "parquet")]
mod parquet_file;
mod plan;
mod point;
pub mod report;
mod run;
mod shard;
mod spec;
mod store;
mod submit;
mod table;

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanDuration;

use self::args::{Action, RunArgs, StoreArgs, SubmitArgs, SweepArgs};
use self::execute::{PointResult, State};
use self::plan::Plan;
use self::point::NAMES;
use self::shard::{Shard, ShardArg};
use self::store::Store;
use self::table::Table;
use crate::diagnostic::{Diagnostic, Place};
use crate::exit::Exit;
use crate::host_memory;
use crate::replay::{Shared, write_answer};
use crate::style::{ColorChoice, group};
use crate::text_file::write_whole;

/// Runs `pagewalk sweep` and writes its answer.
pub fn run(args: &SweepArgs, command: &str, color: ColorChoice) -> Exit {
    let answer = match &args.action {
        Action::Plan(plan) => list(&plan.file),
        Action::Run(run) => run_points(run, command),
        Action::Status(store) => status(store),
        Action::Merge(store) => merge(store),
        Action::Report(store) => report_of(store, command),
        Action::Submit(submit) => submit_job(submit),
    };
    match answer {
        Ok((text, exit)) => write_answer(&text, exit),
        Err(refusal) => {
            eprint!("{}", refusal.to_text(color.for_stderr()));
            refusal.exit()
        }
    }
}

/// Reads a sweep file and yields how many points it has before its conditions; `name` is what messages call it. No text makes it panic.
///
/// # Errors
/// When it is not RON of the form that `docs/sweeps.md` describes, or has more points than a sweep may have.
pub fn parse_sweep_str(name: &str, text: &str) -> Result<usize, Diagnostic> {
    plan::Outline::parse(name, text).map(|outline| outline.total)
}

type Answer = Result<(String, Exit), Diagnostic>;

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
        let known = NAMES.iter().find(|(name, _)| *name == axis.path).map_or("", |(_, about)| about);
        let _ = writeln!(out, "  axis {}  {}  {known}", axis.path, axis.values.join(" "));
    }
    out.push('\n');
    for point in &plan.points {
        let _ = writeln!(out, "{}  {}", point.id, run::about(&plan, point));
    }
    // The list is the same everywhere; how long it takes is not.
    let time = HumanDuration(estimate::time(&plan)?.max(Duration::from_secs(1)));
    eprintln!("pagewalk: about {time} on the {} cores of this host", rayon::current_num_threads());
    Ok((out, Exit::Held))
}

fn run_points(args: &RunArgs, command: &str) -> Answer {
    let plan = Plan::load(&args.store.file)?;
    let store = Store::new(&args.store.directory());
    let shard = match args.shard {
        None => Shard::WHOLE,
        Some(given) => given.resolve(|name| std::env::var(name).ok()).map_err(|why| {
            let text = if given == ShardArg::Auto { "auto" } else { "" };
            Diagnostic::new(Place::in_option("--shard", text, 0..text.len()), why)
        })?,
    };
    let shared = Arc::new(Shared::of_many(args.decoded.unwrap_or_else(host_memory::to_keep)));
    let handler = Arc::clone(&shared);
    // A second handler in one process (tests) is refused; the first one stays.
    let _ = ctrlc::set_handler(move || handler.interrupt());
    let tally = run::run(&plan, &store, shard, args.jobs, &shared)?;
    let mut out = String::new();
    let part = if args.shard.is_some() { format!("shard {shard}: ") } else { String::new() };
    let _ = writeln!(
        out,
        "  {part}{} points · {} run now · {} there already · {} not to their end",
        group(tally.points),
        group(tally.run),
        group(tally.skipped),
        group(tally.unwell)
    );
    if tally.interrupted {
        let _ = writeln!(out, "  interrupted: the same command goes on where this ended");
        return Ok((out, Exit::Interrupted));
    }
    if args.shard.is_some() {
        return Ok((out, Exit::Held));
    }
    let results = load(&plan, &store)?;
    out.push_str(&write_tables(&plan, &store, &results)?);
    out.push_str(&write_report(&plan, &store, &results, command)?);
    Ok((out, verdict(&results)))
}

/// Every result, by number of the point.
fn load(plan: &Plan, store: &Store) -> Result<Vec<Option<PointResult>>, Diagnostic> {
    plan.points.iter().map(|point| store.load(point)).collect()
}

fn verdict(results: &[Option<PointResult>]) -> Exit {
    let any = |state: State| results.iter().flatten().any(|result| result.state == state);
    if any(State::Broken) {
        Exit::Broken
    } else if results.iter().any(Option::is_none) || any(State::Incomplete) || any(State::Failed) {
        Exit::Incomplete
    } else {
        Exit::Held
    }
}

fn status(args: &StoreArgs) -> Answer {
    let plan = Plan::load(&args.file)?;
    let finished = Store::new(&args.directory()).finished(&plan);
    let there = finished.iter().filter(|&&there| there).count();
    let mut out = format!("  {there} of {} points\n", finished.len());
    if let Some(next) = finished.iter().position(|&there| !there) {
        let _ = writeln!(out, "  the next: {}", run::about(&plan, &plan.points[next]));
        return Ok((out, Exit::Incomplete));
    }
    Ok((out, Exit::Held))
}

fn merge(args: &StoreArgs) -> Answer {
    let plan = Plan::load(&args.file)?;
    let store = Store::new(&args.directory());
    let results = load(&plan, &store)?;
    let told = write_tables(&plan, &store, &results)?;
    Ok((told, verdict(&results)))
}

fn report_of(args: &StoreArgs, command: &str) -> Answer {
    let plan = Plan::load(&args.file)?;
    let store = Store::new(&args.directory());
    let results = load(&plan, &store)?;
    let told = write_report(&plan, &store, &results, command)?;
    Ok((told, verdict(&results)))
}

fn submit_job(args: &SubmitArgs) -> Answer {
    Plan::load(&args.store.file)?;
    let told = submit::submit(args, &Store::new(&args.store.directory()))?;
    Ok((told, Exit::Held))
}

fn write_tables(plan: &Plan, store: &Store, results: &[Option<PointResult>]) -> Result<String, Diagnostic> {
    let tables: [(&str, Table); 2] =
        [("results", table::points(plan, results)), ("series", table::series(plan, results))];
    let mut out = String::new();
    for (name, table) in tables {
        write_whole(&store.file(&format!("{name}.csv")), table.to_csv().as_bytes())?;
        write_whole(&store.file(&format!("{name}.ndjson")), table.to_ndjson().as_bytes())?;
        write_parquet(&store.file(&format!("{name}.parquet")), &table)?;
        let path = store.file(name);
        let _ = writeln!(
            out,
            "  wrote      {}.{{csv,ndjson,parquet}}  {} rows",
            path.display(),
            group(table.rows.len() as u64)
        );
    }
    Ok(out)
}

#[cfg(feature = "parquet")]
fn write_parquet(path: &Path, table: &Table) -> Result<(), Diagnostic> {
    let bytes = table.to_parquet().map_err(|error| {
        Diagnostic::new(Place::File { file: path.display().to_string() }, format!("cannot be made: {error}"))
    })?;
    write_whole(path, &bytes)
}

#[cfg(not(feature = "parquet"))]
fn write_parquet(_: &Path, _: &Table) -> Result<(), Diagnostic> {
    Ok(())
}

fn write_report(
    plan: &Plan,
    store: &Store,
    results: &[Option<PointResult>],
    command: &str,
) -> Result<String, Diagnostic> {
    let report = report::report(plan, results, command);
    let page = store.file("report.html");
    write_whole(&page, report::page(&report.data).as_bytes())?;
    for chart in &report.charts {
        write_whole(&store.file(&chart.file), chart.svg.as_bytes())?;
    }
    Ok(format!("{}  wrote      {} and {} pictures\n", report.text, page.display(), report.charts.len()))
}
