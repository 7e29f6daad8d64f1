//! A storm of forks: children share their parent's pages copy-on-write, write some of them, and exit.

use std::io::Write;

use super::actor::{Actor, DATA, Emitter, PAGE};
use crate::error::TraceError;
use crate::event::Event;
use crate::record::Op;

/// The most children of one parent that live at once.
const BROOD: u64 = 4;
/// Accesses between two exits in a brood, by parent and children.
const LIFE: u64 = 64;

pub(super) fn run<W: Write>(emitter: &mut Emitter<'_, W>) -> Result<(), TraceError> {
    let len = emitter.spec.pages * PAGE;
    let mut parents = emitter.population(|emitter, main| emitter.map(main, DATA, len))?;
    for parent in &mut parents {
        // Pages that nobody wrote are not there to be shared.
        for page in 0..emitter.spec.pages.min(4 * LIFE) {
            emitter.access(&mut parent[0], Op::Store, DATA + page * PAGE)?;
        }
    }
    while !emitter.done() {
        let chosen = emitter.rng.below(parents.len() as u64) as usize;
        let threads = &mut parents[chosen];
        let forker = emitter.rng.below(threads.len() as u64) as usize;
        brood(emitter, &mut threads[forker])?;
    }
    parents.iter().try_for_each(|parent| emitter.exit(parent))
}

/// One parent forks some children, all touch memory, the children exit in random order and are waited for.
fn brood<W: Write>(emitter: &mut Emitter<'_, W>, parent: &mut Actor) -> Result<(), TraceError> {
    let mut children = Vec::new();
    for _ in 0..=emitter.rng.below(BROOD) {
        children.push(emitter.fork(parent)?);
        touch_some(emitter, parent, &mut children)?;
    }
    while !children.is_empty() {
        touch_some(emitter, parent, &mut children)?;
        let first = emitter.rng.below(children.len() as u64) as usize;
        let child = children.swap_remove(first);
        emitter.event(&child, Event::ExitProcess { status: 0 })?;
        emitter.event(parent, Event::Wait { child_pid: child.pid })?;
    }
    Ok(())
}

fn touch_some<W: Write>(
    emitter: &mut Emitter<'_, W>,
    parent: &mut Actor,
    children: &mut [Actor],
) -> Result<(), TraceError> {
    for _ in 0..LIFE {
        let who = emitter.rng.below(children.len() as u64 + 1) as usize;
        let actor = children.get_mut(who).unwrap_or(&mut *parent);
        let page = emitter.rng.below(emitter.spec.pages);
        emitter.touch(actor, DATA + page * PAGE)?;
    }
    Ok(())
}
