//! `pagewalk replay`: traces of real programs through a simulated machine.

pub mod args;
mod progress;

use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use pagewalk_input::{Place, Refusal, write_whole};
use pagewalk_machine::Machine;
use pagewalk_replay::perfetto::Tracer;
use pagewalk_replay::report::{Footprint, ReplayReport, SeedRow, SeedsReport};
use pagewalk_replay::{
    Finished, Progress, Replay, ReplayOptions, RunOptions, Shared, Watchers, account, check, diagnose,
    footprint, host_memory,
};
use pagewalk_trace::TraceFile;

use self::args::{OrderArg, ReplayArgs};
pub(crate) use self::progress::Counter;
use self::progress::with_progress;
use crate::answer_format::AnswerFormat;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::report::ReportText;
use crate::style::{ColorChoice, duration, group, nanoseconds};

/// Runs `pagewalk replay` and writes its answer.
pub fn run(args: &ReplayArgs, command: &str, color: ColorChoice) -> Exit {
    let answer = prepare(args).and_then(|job| job.execute(args, command, color));
    match answer {
        Ok(exit) => exit,
        Err(refusal) => {
            match args.format {
                AnswerFormat::Text => eprint!("{}", refusal.to_text(color.for_stderr())),
                AnswerFormat::Json => print!("{}", refusal.to_json()),
            }
            refusal.exit()
        }
    }
}

/// Who waits for the runs, and what they share.
#[derive(Clone, Copy)]
struct Watched<'a> {
    counter: &'a Arc<Counter>,
    shared: &'a Arc<Shared>,
}

/// What was checked before anything runs.
struct Job {
    machine: Machine,
    accesses: u64,
    footprint: Option<Footprint>,
}

fn prepare(args: &ReplayArgs) -> Result<Job, Refusal> {
    let mut machine = Machine::load(&args.machine)?;
    if let Some(swap) = args.swap {
        machine.swap = swap.device.areas(swap.pages);
    }
    machine.set_all(&args.set)?;
    if let Some(largest) = args.place.largest()
        && u64::from(largest) >= machine.cpus.get()
    {
        let last = machine.cpus.get() - 1;
        let text = largest.to_string();
        let place = Place::in_option("--place", &text, 0..text.len());
        return Err(
            Refusal::new(place, format!("there is no CPU {largest}")).expected(format!("0 to {last}"))
        );
    }
    let mut accesses = 0;
    for name in &args.traces {
        let file = TraceFile::open(name).map_err(|error| diagnose(&error))?;
        check(&file)?;
        accesses += file.summary().accesses();
    }
    let window = args.max.map_or(u64::MAX, |max| max.saturating_mul(args.traces.len() as u64));
    Ok(Job { machine, accesses: accesses.min(window), footprint: None })
}

impl Job {
    /// Gives the machine the memory asked for, which may take a run to find out.
    fn set_memory(
        &mut self,
        args: &ReplayArgs,
        counter: &Arc<Counter>,
        shared: &Arc<Shared>,
    ) -> Result<(), Refusal> {
        let Some(memory) = args.memory else { return Ok(()) };
        let options = self.options(args, args.seed);
        let label = "measure";
        self.footprint = with_progress(counter, self.accesses, label, || {
            footprint::set_memory(&mut self.machine, &args.traces, memory, &options, shared)
        })?;
        counter.restart();
        Ok(())
    }

    fn execute(mut self, args: &ReplayArgs, command: &str, color: ColorChoice) -> Result<Exit, Refusal> {
        let counter = Arc::<Counter>::default();
        let progress = Arc::clone(&counter) as Arc<dyn Progress>;
        let shared = Arc::new(match args.seeds {
            None => Shared::new(progress),
            Some(_) => Shared::of_many(progress, host_memory::to_keep()),
        });
        counter.end_on_interrupt();
        self.set_memory(args, &counter, &shared)?;
        let watched = Watched { counter: &counter, shared: &shared };
        match args.seeds {
            None => self.one(args, command, color, watched),
            Some(seeds) => self.many(args, seeds, command, color, watched),
        }
    }

    fn options(&self, args: &ReplayArgs, seed: u64) -> ReplayOptions {
        let schedule = args.schedule;
        let record = args.record as usize;
        ReplayOptions {
            run: RunOptions { seed, schedule, switches: args.kernel.switches(), verify: args.verify, record },
            ordered: args.order == OrderArg::Recorded,
            origin: !args.no_origin,
            first_seq: args.skip,
            end_seq: args.max.map_or(u64::MAX, |max| args.skip.saturating_add(max)),
            placement: args.place.clone(),
            antagonists: args.antagonist.iter().flat_map(|some| some.0.iter().copied()).collect(),
            footprint: self.footprint,
        }
    }

    fn one(
        &self,
        args: &ReplayArgs,
        command: &str,
        color: ColorChoice,
        Watched { counter, shared }: Watched<'_>,
    ) -> Result<Exit, Refusal> {
        let options = self.options(args, args.seed);
        let report = with_progress(counter, self.accesses, "replay", || {
            let tracer = self.tracer(args)?;
            let shared = Arc::clone(shared);
            let watchers = Watchers { tracer, observer: None };
            let finished = Replay::run_watched(&self.machine, &args.traces, options, shared, watchers)?;
            print_record(&finished);
            let report = account(&finished, &self.machine, command);
            self.finish_trace(&finished, &report)?;
            Ok::<_, Refusal>(report)
        });
        let report = report?;
        if let Some(file) = &args.json {
            write_whole(Path::new(file), report.to_json().as_bytes())?;
        }
        let text = match args.format {
            AnswerFormat::Text => report.to_text(color.for_stdout()),
            AnswerFormat::Json => report.to_json(),
        };
        Ok(write_answer(&text, verdict(&report)))
    }

    /// The trace for Perfetto, if one is wanted.
    fn tracer(&self, args: &ReplayArgs) -> Result<Option<Rc<Tracer>>, Refusal> {
        let Some(file) = &args.perfetto else { return Ok(None) };
        let (cpus, mhz) = (self.machine.cpus.get() as usize, self.machine.frequency_mhz.get());
        Tracer::create(file, args.perfetto_limit, cpus, mhz).map(Rc::new).map(Some)
    }

    /// Completes the trace for Perfetto, and says if it is not the whole run.
    fn finish_trace(&self, finished: &Finished, report: &ReplayReport) -> Result<(), Refusal> {
        let Some(tracer) = &finished.replay.tracer else { return Ok(()) };
        let engine = &finished.replay.kernel.engine;
        if let Some(cut) = tracer.finish(engine, &report.timeline, &report.command)? {
            let time = |cycles| duration(nanoseconds(cycles, report.frequency_mhz));
            let (at, end) = (time(cut.clock), time(report.time.cycles));
            eprintln!(
                "pagewalk: the trace for Perfetto ends after {} events, at {at} of {end}; --perfetto-limit raises that",
                group(cut.events)
            );
        }
        Ok(())
    }

    /// One run for each seed, on several host threads; the answer does not depend on how many.
    fn many(
        &self,
        args: &ReplayArgs,
        (first, end): (u64, u64),
        command: &str,
        color: ColorChoice,
        Watched { counter, shared }: Watched<'_>,
    ) -> Result<Exit, Refusal> {
        let next = AtomicU64::new(0);
        let done: Mutex<Vec<(u64, Result<ReplayReport, Refusal>)>> = Mutex::default();
        let worker = || {
            while !counter.stop() {
                let offset = next.fetch_add(1, Ordering::Relaxed);
                if offset >= end - first {
                    break;
                }
                let seed = first + offset;
                let options = self.options(args, seed);
                let run = Replay::run(&self.machine, &args.traces, options, Arc::clone(shared));
                let report = run.map(|finished| account(&finished, &self.machine, command));
                done.lock().expect("no run panics while it holds the list").push((seed, report));
            }
        };
        let total = self.accesses.saturating_mul(end - first);
        with_progress(counter, total, "replay", || {
            std::thread::scope(|scope| {
                let extra = u64::from(args.jobs).min(end - first);
                (1..extra).for_each(|_| drop(scope.spawn(worker)));
                worker();
            });
        });
        let mut done = done.into_inner().expect("every run is over");
        done.sort_by_key(|(seed, _)| *seed);
        // A run that was cut short says nothing about its seed.
        done.retain(|(_, run)| !run.as_ref().is_ok_and(|report| report.interrupted));
        let reports: Result<Vec<ReplayReport>, Refusal> = done.into_iter().map(|(_, run)| run).collect();
        let reports = reports?;
        let Some(header) = reports.first() else { return Ok(Exit::Interrupted) };
        for report in reports.iter().filter(|report| report.is_broken()) {
            eprint!("{}", report.to_text(color.for_stderr()));
        }
        let rows: Vec<SeedRow> = reports.iter().map(SeedRow::from).collect();
        let answer = SeedsReport::new(header, command.to_owned(), rows);
        let text = match args.format {
            AnswerFormat::Text => answer.to_text(color.for_stdout()),
            AnswerFormat::Json => answer.to_json(),
        };
        let exit = match (answer.is_broken(), counter.stop(), answer.is_incomplete()) {
            (true, ..) => Exit::Broken,
            (_, true, _) => Exit::Interrupted,
            (.., true) => Exit::Incomplete,
            _ => Exit::Held,
        };
        Ok(write_answer(&text, exit))
    }
}

/// Prints the last steps of a run that was recorded.
fn print_record(finished: &Finished) {
    for step in finished.replay.kernel.engine.recorded() {
        let (op, effect) = (step.op, step.effect);
        eprintln!(
            "{:>10}  {}  {}  {:>12}  {:?} {} {:#x} -> {:#x}  {}",
            step.number,
            step.cpu,
            step.context,
            step.clock,
            op.kind,
            op.object,
            effect.old,
            effect.new,
            op.location
        );
    }
}

fn verdict(report: &ReplayReport) -> Exit {
    if report.is_broken() {
        Exit::Broken
    } else if report.interrupted {
        Exit::Interrupted
    } else if report.is_incomplete() {
        Exit::Incomplete
    } else {
        Exit::Held
    }
}

/// Writes an answer to standard output; a reader that went away is no error.
pub(crate) fn write_answer(text: &str, exit: Exit) -> Exit {
    let _ = std::io::stdout().write_all(text.as_bytes());
    exit
}
