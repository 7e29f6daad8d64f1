//! One thread of a trace on a simulated CPU: its accesses and its events, in the recorded order.

use std::rc::Rc;

use pagewalk_kernel::{Task, run_program};
use pagewalk_mmu::Access;
use pagewalk_trace::ThreadInfo;

use super::batch::Batch;
use super::feed::{Pending, Process, Reach};
use super::run::Replay;
use super::syscalls;

/// What a thread does next.
enum Next {
    /// These accesses of its batch.
    Accesses { end: usize },
    /// This event of its own.
    Event(Rc<Pending>),
    /// Waiting until another thread has done this event.
    Blocked(u64),
    /// Nothing more.
    End,
}

/// The life of a thread, from its first record to its exit.
pub(super) async fn run_thread(
    replay: Rc<Replay>,
    trace: usize,
    process: Rc<Process>,
    task: Task,
    info: ThreadInfo,
) {
    let cursor = replay.traces[trace].file.accesses(info.tid);
    let mut batch = Batch::new(cursor);
    batch.skip_before(replay.options.first_seq);
    process.runs(info.tid, task.counters());
    while !process.exiting.get() {
        match next(&replay, trace, &process, &info, &mut batch) {
            Next::End => break,
            Next::Accesses { end } => {
                let first = batch.next();
                if process.is_threaded() {
                    publish(&task, &process, info.tid, batch.seq(first));
                }
                replay.note_segv(run_program(&task, &batch.accesses()[first..end]).await);
                syscalls::note_peak(&process, &task.mm());
                batch.advance_to(end);
                replay.progressed((end - first) as u64);
            }
            Next::Event(pending) => {
                if !event(&replay, trace, &process, &task, &pending).await {
                    break;
                }
            }
            Next::Blocked(seq) => {
                publish(&task, &process, info.tid, batch.seq(batch.next()));
                process.moved.wait_event(&task, || process.is_done(seq) || process.exiting.get()).await;
            }
        }
        if replay.wants_stop() {
            replay.kernel.engine.stop("interrupted");
        }
    }
    syscalls::leave(&process, &task).await;
}

/// One event of the thread, as soon as the other threads have got to it. False if the thread ends with it.
async fn event(
    replay: &Rc<Replay>,
    trace: usize,
    process: &Rc<Process>,
    task: &Task,
    pending: &Pending,
) -> bool {
    let (seq, tid) = (pending.record.seq, pending.record.tid);
    publish(task, process, tid, seq);
    if !matches!(pending.reach, Reach::Nothing) {
        let condition = || process.others_are_past(tid, seq) || process.exiting.get();
        process.moved.wait_event(task, condition).await;
        if process.exiting.get() {
            return false;
        }
    }
    let ends = syscalls::execute(replay, trace, process, task, &pending.record).await;
    process.done(tid, seq);
    process.moved.wake_up(task);
    !ends
}

/// Says what the thread does next, for those who wait for it to get there.
fn publish(task: &Task, process: &Process, tid: u32, seq: u64) {
    if process.gets_to(tid, seq) {
        process.moved.wake_up(task);
    }
}

fn next(replay: &Replay, trace: usize, process: &Process, info: &ThreadInfo, batch: &mut Batch) -> Next {
    if batch.is_empty() && !replay.refill(trace, batch) {
        return Next::End;
    }
    let access = if batch.is_empty() { u64::MAX } else { batch.seq(batch.next()) };
    if !replay.read_events(trace, process, info, access) {
        return Next::End;
    }
    let end = replay.options.end_seq;
    if let Some(event) = process.next_own_event(info.tid).filter(|event| event.record.seq < access) {
        return if event.record.seq < end { Next::Event(event) } else { Next::End };
    }
    if access < end { accesses(replay, trace, process, info.tid, batch, access) } else { Next::End }
}

/// As many accesses as may be executed before the next event: those after an event of this thread wait for the
/// thread, those that an earlier event of another thread reaches wait for it.
fn accesses(replay: &Replay, trace: usize, process: &Process, tid: u32, batch: &Batch, access: u64) -> Next {
    let known = match replay.options.ordered {
        true => process.next_event_after(access),
        false => process.next_own_event(tid).map_or(u64::MAX, |event| event.record.seq),
    };
    // What is not read yet may be anybody's.
    let boundary = known.min(replay.traces[trace].feed.borrow().unread());
    let mut end = batch.accesses().len();
    for stop in [boundary, replay.options.end_seq] {
        if stop < u64::MAX {
            end = end.min(batch.first_from(stop));
        }
    }
    let blockers = match process.blockers_before(access) {
        Ok(blockers) => blockers,
        Err(first) => return Next::Blocked(first),
    };
    for event in blockers {
        let reached = |access: &Access| event.reach.holds(access.vaddr().0, access.len());
        if let Some(first) = batch.accesses()[batch.next()..end].iter().position(reached) {
            end = batch.next() + first;
            if first == 0 {
                return Next::Blocked(event.record.seq);
            }
        }
    }
    Next::Accesses { end }
}
