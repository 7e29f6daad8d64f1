//! Address spaces that change all the time: each thread maps, touches, protects, moves and unmaps memory of its own.

use std::io::Write;

use super::actor::{Actor, DATA, Emitter, PAGE};
use crate::error::TraceError;
use crate::event::Event;
use crate::record::{Op, Prot};

pub(super) fn run<W: Write>(emitter: &mut Emitter<'_, W>) -> Result<(), TraceError> {
    let mut processes = emitter.population(|_, _| Ok(()))?;
    // Each thread has an arena for two of the largest mappings, with a page between all of them.
    let room = (emitter.spec.pages + 1) * PAGE;
    while !emitter.done() {
        let process = emitter.rng.below(processes.len() as u64) as usize;
        let thread = emitter.rng.below(processes[process].len() as u64);
        let actor = &mut processes[process][thread as usize];
        round(emitter, actor, DATA + 2 * thread * room, room)?;
    }
    processes.iter().try_for_each(|process| emitter.exit(process))
}

/// The life of one mapping.
fn round<W: Write>(
    emitter: &mut Emitter<'_, W>,
    actor: &mut Actor,
    arena: u64,
    room: u64,
) -> Result<(), TraceError> {
    let (mut start, mut len) = (arena, (1 + emitter.rng.below(emitter.spec.pages)) * PAGE);
    emitter.map(actor, start, len)?;
    touch_all(emitter, actor, start, len, None)?;
    if emitter.rng.chance(300) {
        emitter.event(actor, Event::Protect { start, len, prot: Prot::READ })?;
        touch_all(emitter, actor, start, len, Some(Op::Load))?;
        emitter.event(actor, Event::Protect { start, len, prot: Prot::READ_WRITE })?;
    }
    if emitter.rng.chance(300) {
        let new_len = (1 + emitter.rng.below(emitter.spec.pages)) * PAGE;
        // A mapping that does not grow stays where it is, as with MREMAP_MAYMOVE.
        let new_start = if new_len > len { arena + room } else { start };
        let (old_start, old_len) = (start, len);
        emitter.event(actor, Event::Remap { old_start, old_len, new_len, new_start: Some(new_start) })?;
        (start, len) = (new_start, new_len);
        touch_all(emitter, actor, start, len, None)?;
    }
    emitter.event(actor, Event::Unmap { start, len })
}

/// Touches every page once, in order.
fn touch_all<W: Write>(
    emitter: &mut Emitter<'_, W>,
    actor: &mut Actor,
    start: u64,
    len: u64,
    op: Option<Op>,
) -> Result<(), TraceError> {
    for page in 0..len / PAGE {
        if emitter.done() {
            break;
        }
        let op = op.unwrap_or_else(|| emitter.op());
        let offset = emitter.offset();
        emitter.access(actor, op, start + page * PAGE + offset)?;
    }
    Ok(())
}
