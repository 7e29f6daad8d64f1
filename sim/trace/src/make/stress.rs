//! Everything at once: threads of several processes access shared regions while others change them.

use std::io::Write;

use super::actor::{Actor, Emitter};
use super::slots::Slots;
use crate::error::TraceError;
use crate::event::Event;
use crate::record::Op;

/// One event for so many accesses, on average.
const ACCESSES_PER_EVENT: u64 = 48;
/// The most processes that live at once besides those of the start.
const MAX_CHILDREN: usize = 16;

struct Process {
    threads: Vec<Actor>,
    slots: Slots,
    /// The thread that forked it, which waits for it; `None` if it was there from the start.
    parent: Option<Actor>,
}

pub(super) fn run<W: Write>(emitter: &mut Emitter<'_, W>) -> Result<(), TraceError> {
    let pages = emitter.spec.pages;
    let mut all = Vec::new();
    let population = emitter.population(|emitter, main| {
        let mut slots = Slots::new(pages);
        for slot in 0..slots.len() - 1 {
            let (start, len) = slots.map(slot);
            emitter.map(main, start, len)?;
        }
        emitter.event(main, Slots::first_break())?;
        all.push(slots);
        Ok(())
    })?;
    let with_slots = population.into_iter().zip(all);
    let mut processes: Vec<Process> =
        with_slots.map(|(threads, slots)| Process { threads, slots, parent: None }).collect();
    let first = processes.len();
    while !emitter.done() {
        let chosen = emitter.rng.below(processes.len() as u64) as usize;
        let thread = emitter.rng.below(processes[chosen].threads.len() as u64) as usize;
        if emitter.rng.below(ACCESSES_PER_EVENT) > 0 {
            access(emitter, &mut processes[chosen], thread)?;
        } else if let Some(next) = event(emitter, &mut processes[chosen], thread)? {
            match next {
                Next::Fork if processes.len() < first + MAX_CHILDREN => {
                    let parent = processes[chosen].threads[thread].clone();
                    let child = emitter.fork(&parent)?;
                    let slots = processes[chosen].slots.clone();
                    processes.push(Process { threads: vec![child], slots, parent: Some(parent) });
                }
                Next::Exit if chosen >= first => exit(emitter, &mut processes, chosen)?,
                _ => {}
            }
        }
    }
    // Children come after their parents, so that from the back every parent is still there to wait.
    while let Some(last) = processes.len().checked_sub(1) {
        exit(emitter, &mut processes, last)?;
    }
    Ok(())
}

/// What a process may do that concerns others.
enum Next {
    Fork,
    Exit,
}

fn access<W: Write>(
    emitter: &mut Emitter<'_, W>,
    process: &mut Process,
    thread: usize,
) -> Result<(), TraceError> {
    let Some((start, writable)) = process.slots.page(&mut emitter.rng) else { return Ok(()) };
    let op = emitter.op();
    let op = if writable { op } else { Op::Load };
    let offset = emitter.offset();
    emitter.access(&mut process.threads[thread], op, start + offset)
}

fn event<W: Write>(
    emitter: &mut Emitter<'_, W>,
    process: &mut Process,
    thread: usize,
) -> Result<Option<Next>, TraceError> {
    let actor = &process.threads[thread];
    let slots = &mut process.slots;
    let rng = &mut emitter.rng;
    let slot = rng.below(slots.len() as u64) as usize;
    let kind = rng.below(16);
    let event = match kind {
        0 => return Ok(Some(Next::Fork)),
        1 => return Ok(Some(Next::Exit)),
        2 => slots.move_break(rng),
        _ if slots.is_free(slot) => {
            let (start, len) = slots.map(slot);
            return emitter.map(actor, start, len).map(|()| None);
        }
        3..=4 => slots.unmap_some(slot, rng),
        5..=6 => {
            // Unmapped and mapped again, with nothing in between.
            let unmap = slots.unmap_all(slot);
            let (start, len) = slots.map(slot);
            emitter.event(actor, unmap)?;
            return emitter.map(actor, start, len).map(|()| None);
        }
        7 => slots.unmap_all(slot),
        8..=11 => slots.protect(slot, rng),
        12..=13 => slots.discard(slot, rng),
        _ => match slots.remap(slot, rng) {
            Some(remap) => remap,
            None => return Ok(None),
        },
    };
    emitter.event(actor, event).map(|()| None)
}

/// Ends a process, unless its children still live; its parent waits for it.
fn exit<W: Write>(
    emitter: &mut Emitter<'_, W>,
    processes: &mut Vec<Process>,
    chosen: usize,
) -> Result<(), TraceError> {
    let pid = processes[chosen].threads[0].pid;
    if processes.iter().any(|p| p.parent.as_ref().is_some_and(|parent| parent.pid == pid)) {
        return Ok(());
    }
    let process = processes.remove(chosen);
    emitter.exit(&process.threads)?;
    match process.parent {
        Some(parent) => emitter.event(&parent, Event::Wait { child_pid: pid }),
        None => Ok(()),
    }
}
