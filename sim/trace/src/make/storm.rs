//! Everything that can be done to files, at once: processes read, write and map shared files while others truncate them,
//! punch holes, write back, drop caches, go past the cache, fork and exit; in the larger storm also with memory of their own, which
//! children share copy-on-write, and which is discarded and moved, and with memory that they share with their children.

use std::io::Write;

use super::actor::{Actor, DATA, Emitter, PAGE};
use super::files::{BUFFER_PAGES, buffer, introduce, map_buffers, map_file};
use crate::error::TraceError;
use crate::event::Event;
use crate::files::Advice;
use crate::record::Op;

/// One event for so many accesses, on average.
const ACCESSES_PER_EVENT: u64 = 24;
/// The most pages of a process's own memory that are discarded at once.
const MOST_DISCARDED: u64 = 8;
/// The most processes that live at once besides those of the start.
const MAX_CHILDREN: usize = 8;

struct Process {
    /// With the numbers of their buffers.
    threads: Vec<(Actor, u64)>,
    /// Per file: mapped shared, and mapped private.
    mapped: Vec<[bool; 2]>,
    /// Where its own memory is, if it has any: it moves between two places.
    own: Option<u64>,
    parent: Option<Actor>,
}

/// The files' sizes in bytes, at this point of the order.
struct Storm {
    sizes: Vec<u64>,
    processes: Vec<Process>,
    /// Processes of the start, which stay until the end.
    first: usize,
}

/// With `own`, processes have memory of their own.
pub(super) fn run<W: Write>(emitter: &mut Emitter<'_, W>, own: bool) -> Result<(), TraceError> {
    let (files, pages) = (emitter.spec.files, emitter.spec.pages);
    let own = own.then(|| own_place(pages, files as usize, 0));
    let population = emitter.population(|emitter, main| {
        map_buffers(emitter, main)?;
        own.map_or(Ok(()), |start| {
            emitter.map(main, start, pages * PAGE)?;
            emitter.map_shared(main, own_place(pages, files as usize, SHARED), pages * PAGE)
        })
    })?;
    (0..files).try_for_each(|file| introduce(emitter, &population[0][0], file, pages * PAGE))?;
    let processes: Vec<Process> = population
        .into_iter()
        .map(|threads| Process {
            threads: threads.into_iter().zip(0..).collect(),
            mapped: vec![[false; 2]; files as usize],
            own,
            parent: None,
        })
        .collect();
    let first = processes.len();
    let mut storm = Storm { sizes: vec![pages * PAGE; files as usize], processes, first };
    while !emitter.done() {
        let chosen = emitter.rng.below(storm.processes.len() as u64) as usize;
        let thread = emitter.rng.below(storm.processes[chosen].threads.len() as u64) as usize;
        if emitter.rng.below(ACCESSES_PER_EVENT) > 0 {
            storm.access(emitter, chosen, thread)?;
        } else {
            storm.event(emitter, chosen, thread)?;
        }
    }
    // Children come after their parents, so that from the back every parent is still there to wait.
    while let Some(last) = storm.processes.len().checked_sub(1) {
        storm.exit(emitter, last)?;
    }
    Ok(())
}

impl Storm {
    /// Touches a page of a mapped file that is inside the file, or of the thread's buffer.
    fn access<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        chosen: usize,
        thread: usize,
    ) -> Result<(), TraceError> {
        let file = emitter.rng.below(self.sizes.len() as u64) as usize;
        let kind = emitter.rng.below(2) as usize;
        let page = emitter.rng.below(emitter.spec.pages);
        let process = &mut self.processes[chosen];
        let (actor, number) = &mut process.threads[thread];
        if let Some(start) = process.own
            && emitter.rng.below(2) == 0
        {
            let shared = own_place(emitter.spec.pages, self.sizes.len(), SHARED);
            let start = if emitter.rng.below(3) == 0 { shared } else { start };
            return emitter.touch(actor, start + page * PAGE);
        }
        let inside = process.mapped[file][kind] && page < self.sizes[file].div_ceil(PAGE);
        let start = if inside {
            place(emitter.spec.pages, file, kind) + page * PAGE
        } else {
            buffer(*number) + page % BUFFER_PAGES * PAGE
        };
        emitter.touch(actor, start)
    }

    fn event<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        chosen: usize,
        thread: usize,
    ) -> Result<(), TraceError> {
        let file = emitter.rng.below(self.sizes.len() as u64) as u32;
        let (actor, number) = self.processes[chosen].threads[thread].clone();
        if let Some(start) = self.processes[chosen].own
            && emitter.rng.below(2) == 0
        {
            return match emitter.rng.below(8) {
                0..=2 if chosen >= self.first => self.exit(emitter, chosen),
                0..=4 => self.fork(emitter, chosen, thread),
                _ => self.own_memory(emitter, chosen, &actor, start),
            };
        }
        match emitter.rng.below(64) {
            0..=17 => self.transfer(emitter, &actor, number, file, false),
            18..=29 => self.transfer(emitter, &actor, number, file, true),
            30..=39 => self.map(emitter, chosen, &actor, file),
            40..=47 => self.resize(emitter, &actor, file),
            48..=57 => self.range(emitter, chosen, &actor, file),
            58 => emitter.event(&actor, Event::Fsync { file }),
            59 => match emitter.rng.below(8) {
                0 => emitter.event(&actor, Event::Sync),
                1 => emitter.event(&actor, Event::DropCaches),
                _ => Ok(()),
            },
            60..=61 => self.fork(emitter, chosen, thread),
            _ if chosen >= self.first => self.exit(emitter, chosen),
            _ => Ok(()),
        }
    }

    /// Parts of the process's own memory, or of what it shares, are discarded; or all of its own moves; or it shares new memory with
    /// the children to come.
    fn own_memory<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        chosen: usize,
        actor: &Actor,
        start: u64,
    ) -> Result<(), TraceError> {
        let pages = emitter.spec.pages;
        let shared = own_place(pages, self.sizes.len(), SHARED);
        let what = emitter.rng.below(8);
        if what < 3 {
            return self.renew(emitter, chosen, shared);
        }
        if what > 3 {
            let start = if emitter.rng.below(3) == 0 { shared } else { start };
            // Some pages one by one, or some that follow each other.
            let most = if emitter.rng.below(2) == 0 { 1 } else { MOST_DISCARDED };
            for _ in 0..MOST_DISCARDED / most {
                let page = emitter.rng.below(pages);
                let len = (1 + emitter.rng.below((pages - page).min(most))) * PAGE;
                emitter.event(actor, Event::Discard { start: start + page * PAGE, len })?;
            }
            return Ok(());
        }
        let place = |n| own_place(pages, self.sizes.len(), n);
        let to = if start == place(0) { place(1) } else { place(0) };
        self.processes[chosen].own = Some(to);
        let len = pages * PAGE;
        emitter
            .event(actor, Event::Remap { old_start: start, old_len: len, new_len: len, new_start: Some(to) })
    }

    /// The process shares new memory. First its pages are only read; then the other threads store to all of them while the first
    /// discards them, which takes nothing from shared memory.
    fn renew<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        chosen: usize,
        shared: u64,
    ) -> Result<(), TraceError> {
        let pages = emitter.spec.pages;
        let threads = &mut self.processes[chosen].threads;
        let (first, _) = &mut threads[0];
        emitter.event(first, Event::Unmap { start: shared, len: pages * PAGE })?;
        emitter.map_shared(first, shared, pages * PAGE)?;
        for page in 0..pages {
            let offset = emitter.offset();
            emitter.access(first, Op::Load, shared + page * PAGE + offset)?;
        }
        emitter.event(first, Event::Discard { start: shared, len: pages * PAGE })?;
        for page in (0..pages).rev() {
            for (thread, _) in &mut threads[1..] {
                let offset = emitter.offset();
                emitter.access(thread, Op::Store, shared + page * PAGE + offset)?;
            }
        }
        Ok(())
    }

    /// A read or write of up to the whole buffer, an eighth of them past the cache.
    fn transfer<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        actor: &Actor,
        number: u64,
        file: u32,
        write: bool,
    ) -> Result<(), TraceError> {
        let size = &mut self.sizes[file as usize];
        let limit = emitter.spec.pages * PAGE;
        let direct = emitter.rng.below(8) == 0;
        // Direct transfers are of whole pages.
        let unit = if direct { PAGE } else { 1 };
        let end = (if write { limit } else { *size }) / unit;
        if end == 0 {
            return Ok(());
        }
        let offset = emitter.rng.below(end);
        let len = 1 + emitter.rng.below((end - offset).min(BUFFER_PAGES * PAGE / unit));
        let (offset, len, buffer) = (offset * unit, len * unit, Some(buffer(number)));
        if !write {
            return emitter.event(actor, Event::Read { file, offset, len, buffer, direct });
        }
        *size = (*size).max(offset + len);
        emitter.event(actor, Event::Write { file, offset, len, buffer, direct })
    }

    /// Maps a file, or unmaps it.
    fn map<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        chosen: usize,
        actor: &Actor,
        file: u32,
    ) -> Result<(), TraceError> {
        let (kind, pages) = (emitter.rng.below(2) as usize, emitter.spec.pages);
        let mapped = &mut self.processes[chosen].mapped[file as usize][kind];
        let start = place(pages, file as usize, kind);
        *mapped = !*mapped;
        if *mapped {
            return map_file(emitter, actor, (start, pages), file, kind == 0);
        }
        emitter.event(actor, Event::Unmap { start, len: pages * PAGE })
    }

    /// Makes the file shorter or longer, or punches a hole in it.
    fn resize<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        actor: &Actor,
        file: u32,
    ) -> Result<(), TraceError> {
        let limit = emitter.spec.pages * PAGE;
        let at = emitter.rng.below(limit + 1);
        if emitter.rng.below(3) == 0 {
            let len = 1 + emitter.rng.below(limit);
            return emitter.event(actor, Event::PunchHole { file, offset: at, len });
        }
        // Longer than shorter, so that files do not stay short for long.
        let size = if emitter.rng.below(2) == 0 { at } else { limit };
        self.sizes[file as usize] = size;
        emitter.event(actor, Event::Truncate { file, size })
    }

    /// Something done to a range of a file, or of a mapping of it.
    fn range<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        chosen: usize,
        actor: &Actor,
        file: u32,
    ) -> Result<(), TraceError> {
        let pages = emitter.spec.pages;
        let page = emitter.rng.below(pages);
        let len = (1 + emitter.rng.below(pages - page)) * PAGE;
        let kind = emitter.rng.below(2) as usize;
        let mapped = self.processes[chosen].mapped[file as usize][kind];
        let (start, offset) = (place(pages, file as usize, kind) + page * PAGE, page * PAGE);
        let what = emitter.rng.below(8);
        let event = match what {
            0..=1 => Event::Invalidate { file, offset, len },
            2 => {
                let advice = Advice::ALL[emitter.rng.below(6) as usize];
                Event::Fadvise { file, offset, len, advice }
            }
            _ if !mapped => return Ok(()),
            3..=4 => Event::Msync { start, len, sync: what == 3 },
            5..=6 => Event::Discard { start, len },
            _ => {
                let advice = Advice::ALL[emitter.rng.below(4) as usize];
                Event::Madvise { start, len, advice }
            }
        };
        emitter.event(actor, event)
    }

    fn fork<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        chosen: usize,
        thread: usize,
    ) -> Result<(), TraceError> {
        if self.processes.len() >= self.first + MAX_CHILDREN {
            return Ok(());
        }
        let (parent, number) = self.processes[chosen].threads[thread].clone();
        let child = emitter.fork(&parent)?;
        let Process { mapped, own, .. } = &self.processes[chosen];
        let (mapped, own) = (mapped.clone(), *own);
        self.processes.push(Process { threads: vec![(child, number)], mapped, own, parent: Some(parent) });
        own.map_or(Ok(()), |start| self.sweep(emitter, chosen, start))
    }

    /// After a fork parent and child go through the pages that they share, at the same time.
    fn sweep<W: Write>(
        &mut self,
        emitter: &mut Emitter<'_, W>,
        parent: usize,
        start: u64,
    ) -> Result<(), TraceError> {
        let child = self.processes.len() - 1;
        for page in 0..emitter.spec.pages {
            for process in [parent, child] {
                for (actor, _) in &mut self.processes[process].threads {
                    emitter.touch(actor, start + page * PAGE)?;
                }
            }
        }
        Ok(())
    }

    /// Ends a process, unless its children still live; its parent waits for it.
    fn exit<W: Write>(&mut self, emitter: &mut Emitter<'_, W>, chosen: usize) -> Result<(), TraceError> {
        let pid = self.processes[chosen].threads[0].0.pid;
        if self.processes.iter().any(|p| p.parent.as_ref().is_some_and(|parent| parent.pid == pid)) {
            return Ok(());
        }
        let process = self.processes.remove(chosen);
        let threads: Vec<Actor> = process.threads.into_iter().map(|(actor, _)| actor).collect();
        emitter.exit(&threads)?;
        match process.parent {
            Some(parent) => emitter.event(&parent, Event::Wait { child_pid: pid }),
            None => Ok(()),
        }
    }
}

/// Where a process maps a file: `kind` 0 is the shared mapping, 1 the private one.
fn place(pages: u64, file: usize, kind: usize) -> u64 {
    DATA + (2 * file + kind) as u64 * (pages + 1) * PAGE
}

/// The place of the memory that a process shares with its children.
const SHARED: usize = 2;

/// Where a process's own memory is: behind the files, in one of two places, or in the third what it shares.
fn own_place(pages: u64, files: usize, number: usize) -> u64 {
    place(pages, files + number, 0)
}
