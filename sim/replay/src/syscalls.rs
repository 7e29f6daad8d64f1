//! A recorded event becomes the system call it stands for.

use std::rc::Rc;

use pagewalk_engine::Context;
use pagewalk_kernel as kernel;
use pagewalk_kernel::{MapRequest, Mm, Task, VmaKind};
use pagewalk_mmu::{BASE_PAGE_BYTES, Vaddr};
use pagewalk_trace::{Event, EventRecord, MapKind, Prot};

use super::feed::{Process, pages};
use super::file_calls::use_file;
use super::run::Replay;

fn prot(prot: Prot) -> kernel::Prot {
    kernel::Prot {
        read: prot.contains(Prot::READ),
        write: prot.contains(Prot::WRITE),
        exec: prot.contains(Prot::EXEC),
    }
}

/// Executes one event of the current thread. True if the thread ends with it.
pub(super) async fn execute(
    replay: &Rc<Replay>,
    trace: usize,
    process: &Rc<Process>,
    current: &Task,
    record: &EventRecord,
) -> bool {
    match &record.event {
        Event::Map { .. }
        | Event::Unmap { .. }
        | Event::Protect { .. }
        | Event::Discard { .. }
        | Event::Remap { .. }
        | Event::Brk { .. } => {
            let refused = change_mapping(replay, trace, current, &record.event).await;
            replay.note_refusal(record, refused);
        }
        Event::Fork { child_pid, child_tid } => {
            let Ok(mm) = kernel::sys_fork(current).await else { return false };
            let child = replay.traces[trace].feed.borrow_mut().process(*child_pid);
            child.begin_anew();
            replay.start_thread(trace, &child, mm, *child_tid);
        }
        Event::Clone { child_tid } => {
            let Ok(mm) = kernel::sys_clone(current).await else { return false };
            replay.start_thread(trace, process, mm, *child_tid);
        }
        Event::Exec { .. } => {
            note_peak(process, &current.mm());
            kernel::sys_execve(current).await.unwrap_or_default();
        }
        Event::Wait { child_pid } => {
            let child = replay.traces[trace].feed.borrow_mut().process(*child_pid);
            let cx: &Context = current;
            kernel::sys_wait4(
                current,
                child.ended.wait_event(cx, || child.over.get() || process.exiting.get()),
            )
            .await
            .unwrap_or_default();
        }
        Event::ExitThread => return true,
        Event::ExitProcess { .. } => {
            process.exiting.set(true);
            process.moved.wake_up(current);
            return true;
        }
        event => {
            let refused = use_file(replay, trace, current, event).await;
            replay.note_refusal(record, refused);
        }
    }
    false
}

/// The mapping calls; yields why the kernel refused, if it did.
async fn change_mapping(
    replay: &Replay,
    trace: usize,
    current: &Task,
    event: &Event,
) -> Option<kernel::Errno> {
    let einval = Some(kernel::Errno::Einval);
    match *event {
        Event::Map { start, len, prot: allowed, ref kind, shared, .. } => {
            let Some(range) = pages(start, len) else { return einval };
            let mut pgoff = 0;
            let kind = match kind {
                MapKind::Anonymous => VmaKind::Anonymous,
                MapKind::File { path, offset } => {
                    let Some(first) = offset.checked_sub(start - range.start().0) else { return einval };
                    if !first.is_multiple_of(BASE_PAGE_BYTES) {
                        return einval;
                    }
                    pgoff = first / BASE_PAGE_BYTES;
                    VmaKind::File(replay.traces[trace].files.by_path(&replay.kernel, current.pid(), path))
                }
                MapKind::Stack => VmaKind::Stack,
                MapKind::Heap => VmaKind::Heap,
            };
            let request = MapRequest {
                address: Some(range.start()),
                len: range.len(),
                prot: prot(allowed),
                kind,
                shared,
                pgoff,
            };
            kernel::sys_mmap(current, request).await.err()
        }
        Event::Unmap { start, len } => {
            let Some(range) = pages(start, len) else { return einval };
            kernel::sys_munmap(current, range.start(), range.len()).await.err()
        }
        Event::Protect { start, len, prot: allowed } => {
            let Some(range) = pages(start, len) else { return einval };
            kernel::sys_mprotect(current, range.start(), range.len(), prot(allowed)).await.err()
        }
        Event::Discard { start, len } => {
            let Some(range) = pages(start, len) else { return einval };
            kernel::sys_madvise_dontneed(current, range.start(), range.len()).await.err()
        }
        Event::Remap { old_start, old_len, new_len, new_start } => {
            let to = new_start.map(Vaddr);
            kernel::sys_mremap(current, Vaddr(old_start), old_len, new_len, to).await.err()
        }
        Event::Brk { end } => kernel::sys_brk(current, Vaddr(end)).await.err(),
        _ => unreachable!("only mapping events come here"),
    }
}

pub(super) fn note_peak(process: &Process, mm: &Mm) {
    process.count(|tally| tally.peak_rss = tally.peak_rss.max(mm.peak_rss()));
}

/// The end of a thread: `exit`, and whoever waits for the process or for this thread's progress is told.
pub(super) async fn leave(process: &Rc<Process>, current: &Task) {
    note_peak(process, &current.mm());
    kernel::sys_exit(current).await.unwrap_or_default();
    let last = process.ends(current.tid());
    process.moved.wake_up(current);
    if last {
        process.over.set(true);
        process.ended.wake_up(current);
    }
}
