//! Files that threads read, write and map: streams over one file after another, and one set of files used in every way.

use std::io::Write;

use super::actor::{Actor, DATA, Emitter, PAGE};
use crate::error::TraceError;
use crate::event::Event;
use crate::files::Advice;
use crate::record::{MapKind, Op, Prot};

/// Pages of a thread's buffer, and of one read of a stream.
pub(super) const BUFFER_PAGES: u64 = 16;
/// Where the buffers of a process lie, one for each thread, a page apart.
const BUFFERS: u64 = 0x8_0000_0000;
/// Accesses, or reads and writes, that a thread makes before another one is chosen.
const TURN: u64 = 16;

/// The first byte of the buffer of a process's thread number `thread`.
pub(super) fn buffer(thread: u64) -> u64 {
    BUFFERS + thread * (BUFFER_PAGES + 1) * PAGE
}

/// Maps the buffers of all threads of a process.
pub(super) fn map_buffers<W: Write>(emitter: &mut Emitter<'_, W>, main: &Actor) -> Result<(), TraceError> {
    (0..u64::from(emitter.spec.threads)).try_for_each(|i| emitter.map(main, buffer(i), BUFFER_PAGES * PAGE))
}

/// The path of a file of the generator.
pub(super) fn path(file: u32) -> String {
    format!("/data/file-{file}")
}

/// Introduces a file.
pub(super) fn introduce<W: Write>(
    emitter: &mut Emitter<'_, W>,
    actor: &Actor,
    file: u32,
    size: u64,
) -> Result<(), TraceError> {
    emitter.event(actor, Event::File { file, path: path(file), size })
}

/// Maps a whole file of `pages` pages for reading and writing.
pub(super) fn map_file<W: Write>(
    emitter: &mut Emitter<'_, W>,
    actor: &Actor,
    (start, pages): (u64, u64),
    file: u32,
    shared: bool,
) -> Result<(), TraceError> {
    let kind = MapKind::File { path: path(file), offset: 0 };
    let (len, prot) = (pages * PAGE, Prot::READ_WRITE);
    emitter.event(actor, Event::Map { start, len, prot, kind, shared, inferred: false })
}

/// A thread with its buffer, and its place in a stream.
struct Streamer {
    actor: Actor,
    buffer: u64,
    file: u32,
    page: u64,
    output: u32,
    written: u64,
}

/// Each thread reads one file after another from front to back, and writes some of it to a file of its own.
pub(super) fn stream<W: Write>(emitter: &mut Emitter<'_, W>) -> Result<(), TraceError> {
    let (files, pages) = (emitter.spec.files, emitter.spec.pages);
    let processes = emitter.population(map_buffers)?;
    let first = &processes[0][0];
    (0..files).try_for_each(|file| introduce(emitter, first, file, pages * PAGE))?;
    let mut threads = Vec::new();
    for process in &processes {
        for (i, actor) in process.iter().enumerate() {
            let (number, buffer) = (threads.len() as u32, buffer(i as u64));
            let output = files + number;
            introduce(emitter, first, output, 0)?;
            let advice = Advice::Sequential;
            emitter.event(actor, Event::Fadvise { file: number % files, offset: 0, len: 0, advice })?;
            let actor = actor.clone();
            threads.push(Streamer { actor, buffer, file: number % files, page: 0, output, written: 0 });
        }
    }
    while !emitter.done() {
        let chosen = emitter.rng.below(threads.len() as u64) as usize;
        for _ in 0..TURN {
            if !emitter.done() {
                stream_step(emitter, &mut threads[chosen])?;
            }
        }
    }
    processes.iter().try_for_each(|process| emitter.exit(process))
}

/// One read, a look at every page of it, and perhaps a write.
fn stream_step<W: Write>(emitter: &mut Emitter<'_, W>, thread: &mut Streamer) -> Result<(), TraceError> {
    let pages = BUFFER_PAGES.min(emitter.spec.pages - thread.page);
    let (len, buffer, direct) = (pages * PAGE, Some(thread.buffer), false);
    let read = Event::Read { file: thread.file, offset: thread.page * PAGE, len, buffer, direct };
    emitter.event(&thread.actor, read)?;
    for page in 0..pages {
        emitter.touch(&mut thread.actor, thread.buffer + page * PAGE)?;
    }
    thread.page += pages;
    if thread.page == emitter.spec.pages {
        (thread.page, thread.file) = (0, (thread.file + 1) % emitter.spec.files);
    }
    if emitter.rng.chance(emitter.spec.write_per_mille) {
        let (file, offset) = (thread.output, thread.written * PAGE);
        emitter.event(&thread.actor, Event::Write { file, offset, len, buffer, direct })?;
        thread.written += pages;
        if thread.written >= emitter.spec.pages {
            emitter.event(&thread.actor, Event::Fsync { file })?;
            emitter.event(&thread.actor, Event::Truncate { file, size: 0 })?;
            thread.written = 0;
        }
    }
    Ok(())
}

/// Every process maps every file, and its threads use them through the mappings and through reads and writes.
pub(super) fn share<W: Write>(emitter: &mut Emitter<'_, W>) -> Result<(), TraceError> {
    let (files, pages) = (emitter.spec.files, emitter.spec.pages);
    let place = |file: u32| DATA + u64::from(file) * (pages + 1) * PAGE;
    let mut introduced = false;
    let mut processes = emitter.population(|emitter, main| {
        if !std::mem::replace(&mut introduced, true) {
            (0..files).try_for_each(|file| introduce(emitter, main, file, pages * PAGE))?;
        }
        map_buffers(emitter, main)?;
        // Each fourth mapping is private: pages are shared until somebody writes them.
        (0..files).try_for_each(|file| {
            let shared = emitter.rng.below(4) > 0;
            map_file(emitter, main, (place(file), pages), file, shared)
        })
    })?;
    while !emitter.done() {
        let process = emitter.rng.below(processes.len() as u64) as usize;
        let thread = emitter.rng.below(processes[process].len() as u64);
        let actor = &mut processes[process][thread as usize];
        for _ in 0..TURN {
            let (file, page) = (emitter.rng.below(files.into()) as u32, emitter.rng.below(pages));
            let at = place(file) + page * PAGE;
            match emitter.rng.below(64) {
                0..=7 => transfer(emitter, actor, thread, file, page)?,
                8 => {
                    let len = (pages - page).min(BUFFER_PAGES) * PAGE;
                    let sync = emitter.rng.below(4) == 0;
                    emitter.event(actor, Event::Msync { start: at, len, sync })?;
                }
                9 if emitter.rng.below(8) == 0 => emitter.event(actor, Event::Fsync { file })?,
                10 if emitter.rng.below(8) == 0 => {
                    let advice = Advice::ALL[emitter.rng.below(6) as usize];
                    emitter.event(actor, Event::Fadvise { file, offset: page * PAGE, len: 0, advice })?;
                }
                _ => emitter.touch(actor, at)?,
            }
        }
    }
    processes.iter().try_for_each(|process| emitter.exit(process))
}

/// A read or write of up to four pages between a file and the thread's buffer, and a look at the buffer.
fn transfer<W: Write>(
    emitter: &mut Emitter<'_, W>,
    actor: &mut Actor,
    thread: u64,
    file: u32,
    page: u64,
) -> Result<(), TraceError> {
    let pages = (1 + emitter.rng.below(4)).min(emitter.spec.pages - page);
    // Bytes need not begin or end at pages.
    let (offset, cut) = (page * PAGE + emitter.rng.below(PAGE / 2), emitter.rng.below(PAGE / 2));
    let len = pages * PAGE - offset % PAGE - cut;
    let (start, direct) = (buffer(thread), false);
    if emitter.rng.chance(emitter.spec.write_per_mille) {
        emitter.access(actor, Op::Store, start)?;
        return emitter.event(actor, Event::Write { file, offset, len, buffer: Some(start), direct });
    }
    emitter.event(actor, Event::Read { file, offset, len, buffer: Some(start), direct })?;
    emitter.access(actor, Op::Load, start)
}
