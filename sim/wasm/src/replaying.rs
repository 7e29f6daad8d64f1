//! The first records of a trace, replayed under both schedules: the whole account.

use std::io::Cursor;
use std::sync::Arc;

use pagewalk_engine::Schedule;
use pagewalk_input::Refusal;
use pagewalk_machine::{Frames, Machine};
use pagewalk_replay::{Replay, ReplayOptions, RunOptions, Shared, Watchers, account, diagnose};
use pagewalk_trace::TraceFile;

use crate::{digest, line};

/// Records that are replayed.
const MOST_RECORDS: u64 = 200_000;
/// Memory, little enough for reclaim and swap to have something to do.
const MEMORY: &str = "512 KiB";

/// What the trace `name` does, whose file holds `bytes`.
#[must_use]
pub fn replay(name: &str, bytes: &[u8]) -> String {
    let mut lines = String::new();
    for schedule in [Schedule::Timed, Schedule::Random] {
        match replay_one(bytes.to_vec(), schedule) {
            Ok(told) => line(&mut lines, format_args!("{name} {schedule:?}: {told}")),
            Err(refusal) => line(&mut lines, format_args!("{name} {schedule:?}: {refusal:?}")),
        }
    }
    lines
}

fn replay_one(bytes: Vec<u8>, schedule: Schedule) -> Result<String, Refusal> {
    let file = TraceFile::from_reader(Cursor::new(bytes)).map_err(|error| diagnose(&error))?;
    let mut machine = Machine::default();
    machine.memory.frames = Frames::from_size(MEMORY).expect("a size of memory");
    let mut options = ReplayOptions::whole(RunOptions { schedule, verify: true, ..RunOptions::default() });
    options.end_seq = MOST_RECORDS;
    let watchers = Watchers::default();
    let finished = Replay::run_open(&machine, vec![file], options, Arc::new(Shared::default()), watchers)?;
    let account = account(&finished, &machine, "");
    let (steps, faults, swapped) = (account.steps, account.faults.pgfault, account.pressure.pswpout);
    let broken = &account.verify.violations;
    Ok(format!(
        "{steps} steps, {faults} faults, {swapped} pages swapped out, run {:032x}, account {}, broken {broken:?}",
        account.digest,
        digest(&account.to_json())
    ))
}
