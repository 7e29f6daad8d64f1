//! A recorded event becomes the system call it stands for.

use std::rc::Rc;

use pagewalk_engine::WaitQueue;
use pagewalk_kernel as kernel;
use pagewalk_kernel::{
    Advice, AdviceCall, Call, Child, Errno, MapRequest, Mm, Returned, Task, Transfer, VmaKind,
};
use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr};
use pagewalk_trace as trace;
use pagewalk_trace::{Event, EventRecord, MapKind, Prot};

use super::feed::{Process, pages};
use super::run::Replay;

/// Executes one event of the current thread. True if the thread ends with it.
pub(super) async fn execute(
    replay: &Rc<Replay>,
    trace: usize,
    process: &Rc<Process>,
    current: &Task,
    record: &EventRecord,
) -> bool {
    match &record.event {
        Event::ExitThread => return true,
        Event::ExitProcess { .. } => {
            process.exiting.set(true);
            process.moved.wake_up(current);
            return true;
        }
        Event::Exec { .. } => note_peak(process, &current.mm()),
        _ => {}
    }
    let returned = match call_of(replay, trace, process, current, &record.event) {
        Ok(Some(call)) => current.call(call).await,
        Ok(None) => return false,
        Err(errno) => Err(errno),
    };
    match (returned, &record.event) {
        (Ok(Returned::AddressSpace(mm)), Event::Fork { child_pid, child_tid }) => {
            let child = replay.traces[trace].feed.borrow_mut().process(*child_pid);
            child.begin_anew();
            replay.start_thread(trace, &child, mm, *child_tid);
        }
        (Ok(Returned::AddressSpace(mm)), Event::Clone { child_tid }) => {
            replay.start_thread(trace, process, mm, *child_tid);
        }
        (Ok(_), _) => {}
        (Err(errno), _) => replay.note_refusal(record, errno),
    }
    false
}

/// The system call that an event of `process` stands for; none where the kernel has nothing to do.
///
/// # Errors
/// What the kernel would refuse the call with, where no range of pages is what the event names.
fn call_of(
    replay: &Replay,
    trace: usize,
    process: &Rc<Process>,
    current: &Task,
    event: &Event,
) -> Result<Option<Call>, Errno> {
    let open = |file: u32| replay.traces[trace].files.by_number(&replay.kernel, current.pid(), file);
    Ok(Some(match *event {
        Event::Map { start, len, prot: allowed, ref kind, shared, .. } => {
            let (address, len) = whole_pages(start, len)?;
            let (kind, pgoff) = area_kind(replay, trace, current, kind, start - address.0)?;
            Call::Mmap(MapRequest { address: Some(address), len, prot: prot(allowed), kind, shared, pgoff })
        }
        Event::Unmap { start, len } => {
            let (start, len) = whole_pages(start, len)?;
            Call::Munmap { start, len }
        }
        Event::Protect { start, len, prot: allowed } => {
            let (start, len) = whole_pages(start, len)?;
            Call::Mprotect { start, len, prot: prot(allowed) }
        }
        Event::Discard { start, len } => {
            let (start, len) = whole_pages(start, len)?;
            Call::Madvise { start, len, advice: AdviceCall::DontNeed }
        }
        Event::Remap { old_start, old_len, new_len, new_start } => {
            Call::Mremap { start: Vaddr(old_start), len: old_len, new_len, new_start: new_start.map(Vaddr) }
        }
        Event::Brk { end } => Call::Brk { end: Vaddr(end) },
        Event::Fork { .. } => Call::Fork,
        Event::Clone { .. } => Call::Clone,
        Event::Exec { .. } => Call::Execve,
        Event::Wait { child_pid } => {
            let child = replay.traces[trace].feed.borrow_mut().process(child_pid);
            Call::Wait4 { child: Rc::new(Awaited { child, parent: Rc::clone(process) }) }
        }
        Event::Read { file, offset, len, buffer, direct } => {
            let transfer = Transfer { offset, len, buffer: buffer.map(Vaddr), direct };
            Call::Read { file: open(file), transfer }
        }
        Event::Write { file, offset, len, buffer, direct } => {
            let transfer = Transfer { offset, len, buffer: buffer.map(Vaddr), direct };
            Call::Write { file: open(file), transfer }
        }
        Event::Fsync { file } => Call::Fsync { file: open(file) },
        Event::Msync { start, len, sync } => Call::Msync { start: Vaddr(start), len, sync },
        Event::Truncate { file, size } => Call::Truncate { file: open(file), size },
        Event::PunchHole { file, offset, len } => Call::PunchHole { file: open(file), offset, len },
        Event::Fadvise { file, offset, len, advice: recorded } => {
            let Some(advice) = advice(recorded) else { return Ok(None) };
            Call::Fadvise { file: open(file), offset, len, advice }
        }
        Event::Madvise { start, len, advice: recorded } => {
            let Some(advice) = advice(recorded) else { return Ok(None) };
            Call::Madvise { start: Vaddr(start), len, advice }
        }
        Event::Invalidate { file, offset, len } => Call::Invalidate { file: open(file), offset, len },
        Event::DropCaches => Call::DropCaches,
        Event::Sync => Call::Sync,
        // A file is known from the first look through the trace; a thread makes its last call in `leave`.
        Event::File { .. } | Event::ExitThread | Event::ExitProcess { .. } => return Ok(None),
    }))
}

/// The whole pages around a recorded range, as a call takes them.
fn whole_pages(start: u64, len: u64) -> Result<(Vaddr, u64), Errno> {
    pages(start, len).map(|range| (range.start(), range.len())).ok_or(Errno::Einval)
}

/// What a recorded mapping is of, and the file's page at its beginning. The recorded range begins `inside` bytes into the first page.
fn area_kind(
    replay: &Replay,
    trace: usize,
    current: &Task,
    kind: &MapKind,
    inside: u64,
) -> Result<(VmaKind, u64), Errno> {
    Ok(match kind {
        MapKind::Anonymous => (VmaKind::Anonymous, 0),
        MapKind::File { path, offset } => {
            let first = offset.checked_sub(inside).ok_or(Errno::Einval)?;
            if !first.is_multiple_of(BASE_PAGE_BYTES) {
                return Err(Errno::Einval);
            }
            let file = replay.traces[trace].files.by_path(&replay.kernel, current.pid(), path);
            (VmaKind::File(file), first / BASE_PAGE_BYTES)
        }
        MapKind::Stack => (VmaKind::Stack, 0),
        MapKind::Heap => (VmaKind::Heap, 0),
    })
}

fn prot(prot: Prot) -> kernel::Prot {
    kernel::Prot {
        read: prot.contains(Prot::READ),
        write: prot.contains(Prot::WRITE),
        exec: prot.contains(Prot::EXEC),
    }
}

/// What the trace advises, as the kernel takes it.
fn advice(recorded: trace::Advice) -> Option<AdviceCall> {
    Some(match recorded {
        trace::Advice::Normal => AdviceCall::Order(Advice::Normal),
        trace::Advice::Random => AdviceCall::Order(Advice::Random),
        trace::Advice::Sequential => AdviceCall::Order(Advice::Sequential),
        trace::Advice::WillNeed => AdviceCall::WillNeed,
        trace::Advice::DontNeed => AdviceCall::DontNeed,
        trace::Advice::NoReuse => return None, // does nothing in Linux 2.6.27
    })
}

/// A process that another waits for.
struct Awaited {
    child: Rc<Process>,
    parent: Rc<Process>,
}

impl Child for Awaited {
    fn ended(&self) -> &WaitQueue {
        &self.child.ended
    }

    /// A process that ends itself waits no longer.
    fn is_over(&self) -> bool {
        self.child.over.get() || self.parent.exiting.get()
    }
}

pub(super) fn note_peak(process: &Process, mm: &Mm) {
    process.count(|tally| tally.peak_rss = tally.peak_rss.max(mm.peak_rss()));
}

/// The end of a thread: `exit`, and whoever waits for the process or for this thread's progress is told.
pub(super) async fn leave(process: &Rc<Process>, current: &Task) {
    note_peak(process, &current.mm());
    current.call(Call::Exit).await.expect("nothing refuses an exit");
    let last = process.ends(current.tid());
    process.moved.wake_up(current);
    if last {
        process.over.set(true);
        process.ended.wake_up(current);
    }
}
