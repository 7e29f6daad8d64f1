//! Recorded events on files become system calls.

use std::rc::Rc;

use pagewalk_kernel::{self as kernel, Advice, AdviceCall, Errno, File, Task, Transfer};
use pagewalk_mmu::Vaddr;
use pagewalk_trace as trace;
use pagewalk_trace::Event;

use super::run::Replay;

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

/// Executes an event on files; yields why the kernel refused, if it did.
pub(super) async fn use_file(replay: &Replay, number: usize, current: &Task, event: &Event) -> Option<Errno> {
    let open = |file: u32| replay.traces[number].files.by_number(&replay.kernel, current.pid(), file);
    match *event {
        Event::File { .. } => None, // known from the first look through the trace
        Event::Read { file, offset, len, buffer, direct } => {
            let transfer = Transfer { offset, len, buffer: buffer.map(Vaddr), direct };
            kernel::sys_read(current, &open(file), transfer).await.err()
        }
        Event::Write { file, offset, len, buffer, direct } => {
            let transfer = Transfer { offset, len, buffer: buffer.map(Vaddr), direct };
            kernel::sys_write(current, &open(file), transfer).await.err()
        }
        Event::Fsync { file } => kernel::sys_fsync(current, &open(file)).await.err(),
        Event::Msync { start, len, sync } => kernel::sys_msync(current, Vaddr(start), len, sync).await.err(),
        Event::Truncate { file, size } => kernel::sys_truncate(current, &open(file), size).await.err(),
        Event::PunchHole { file, offset, len } => {
            kernel::sys_punch_hole(current, &open(file), offset, len).await.err()
        }
        Event::Fadvise { file, offset, len, advice: recorded } => {
            advise(current, &open(file), offset, len, recorded).await
        }
        Event::Madvise { start, len, advice: recorded } => match advice(recorded) {
            Some(call) => kernel::sys_madvise(current, Vaddr(start), len, call).await.err(),
            None => None,
        },
        Event::Invalidate { file, offset, len } => {
            kernel::sys_invalidate(current, &open(file), offset, len).await.err()
        }
        Event::DropCaches => kernel::sys_drop_caches(current).await.err(),
        Event::Sync => kernel::sys_sync(current).await.err(),
        _ => unreachable!("only events on files come here"),
    }
}

async fn advise(
    current: &Task,
    file: &Rc<File>,
    offset: u64,
    len: u64,
    recorded: trace::Advice,
) -> Option<Errno> {
    let call = advice(recorded)?;
    kernel::sys_fadvise(current, file, offset, len, call).await.err()
}
