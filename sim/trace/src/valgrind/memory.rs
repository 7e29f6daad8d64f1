//! The calls that change what a process has mapped.

use std::io::Write;

use super::areas::pages;
use super::call::Call;
use super::descriptors::Target;
use super::elf::{self, Program};
use super::process::Process;
use super::shared::{Guess, Shared};
use crate::error::TraceError;
use crate::event::Event;
use crate::files::Advice;
use crate::pages::PAGE_SIZE;
use crate::record::{ADDRESS_LIMIT, MapKind, Prot};

/// Flags of `mmap(2)`.
const MAP_SHARED: u64 = 1;
const MAP_ANONYMOUS: u64 = 0x20;
const MAP_STACK: u64 = 0x2_0000;
/// `MADV_DONTNEED`, and the last of the advice that says how memory will be used.
const MADV_DONTNEED: u64 = 4;
const MADV_WILLNEED: u64 = 3;
/// `MS_SYNC` of `msync(2)`.
const MS_SYNC: u64 = 4;

/// Where Valgrind puts a program on x86-64 that can be loaded anywhere.
const PROGRAM_BASE: u64 = 0x10_8000;

impl Process {
    /// A call that changes mappings; false if it is another.
    pub(super) fn memory_call<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        call: &Call,
        result: u64,
    ) -> Result<bool, TraceError> {
        let thread = self.thread();
        let (start, len) = (call.arg(0), call.arg(1));
        let (first, end) = pages(start, len.max(1));
        if call.name != "brk" && (end > ADDRESS_LIMIT / PAGE_SIZE || len == 0) {
            // Nothing, or not a call of a program.
            return Ok(matches!(call.name.as_str(), "munmap" | "mprotect" | "madvise" | "msync"))
                .and_then(|known| if known { Ok(true) } else { self.mapping_call(shared, call, result) });
        }
        match call.name.as_str() {
            "munmap" => {
                self.areas.unmap(first, end);
                shared.event(thread, Event::Unmap { start, len })?;
            }
            "mprotect" => {
                self.infer(shared, first, end, Prot::NONE)?;
                let prot = Prot(call.arg(2) as u8 & 7);
                self.areas.protect(first, end, prot);
                shared.event(thread, Event::Protect { start, len, prot })?;
            }
            "madvise" => match call.arg(2) {
                MADV_DONTNEED => {
                    self.infer(shared, first, end, Prot::NONE)?;
                    shared.event(thread, Event::Discard { start, len })?;
                }
                advice @ 0..=MADV_WILLNEED => {
                    let advice = Advice::ALL[advice as usize];
                    shared.event(thread, Event::Madvise { start, len, advice })?;
                }
                other => shared.ignore(&format!("system call madvise with advice {other}")),
            },
            "msync" => {
                let sync = call.arg(2) & MS_SYNC != 0;
                shared.event(thread, Event::Msync { start, len, sync })?;
            }
            _ => return self.mapping_call(shared, call, result),
        }
        Ok(true)
    }

    /// Calls whose first arguments are not a range that exists.
    fn mapping_call<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        call: &Call,
        result: u64,
    ) -> Result<bool, TraceError> {
        match call.name.as_str() {
            "mmap" => self.mmap(shared, call, result)?,
            "mremap" => self.mremap(shared, call, result)?,
            "brk" => self.brk(shared, result)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn mmap<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        call: &Call,
        start: u64,
    ) -> Result<(), TraceError> {
        let (len, flags, offset) = (call.arg(1), call.arg(3), call.arg(5));
        let (first, end) = pages(start, len);
        if len == 0 || end > ADDRESS_LIMIT / PAGE_SIZE {
            shared.ignore("call with impossible arguments");
            return Ok(());
        }
        let thread = self.thread();
        let kind = if flags & MAP_ANONYMOUS != 0 {
            if flags & MAP_STACK != 0 { MapKind::Stack } else { MapKind::Anonymous }
        } else if let Some(Target::File(file)) = self.target(call.fd(4)) {
            // What is mapped is taken to be there, unless the size is known: it would be a fault to use the rest.
            if !shared.files.get(file).sure {
                shared.learn_size(thread, file, offset.saturating_add(len))?;
            }
            MapKind::File { path: shared.files.get(file).path.clone(), offset }
        } else {
            shared.ignore("mapping of something other than a file, taken as anonymous");
            MapKind::Anonymous
        };
        let prot = Prot(call.arg(2) as u8 & 7);
        self.areas.map(first, end, prot);
        let event = Event::Map { start, len, prot, kind, shared: flags & MAP_SHARED != 0, inferred: false };
        shared.event(thread, event)
    }

    fn mremap<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        call: &Call,
        new_start: u64,
    ) -> Result<(), TraceError> {
        let (old_start, old_len, new_len) = (call.arg(0), call.arg(1), call.arg(2));
        let (old_first, old_end) = pages(old_start, old_len);
        let (first, end) = pages(new_start, new_len);
        if new_len == 0 || old_end.max(end) > ADDRESS_LIMIT / PAGE_SIZE {
            shared.ignore("call with impossible arguments");
            return Ok(());
        }
        let prot = self.areas.prot(old_first);
        if old_len > 0 {
            self.infer(shared, old_first, old_end, Prot::NONE)?;
            self.areas.unmap(old_first, old_end);
        }
        self.areas.map(first, end, prot.unwrap_or(Prot::READ_WRITE));
        let new_start = Some(new_start);
        shared.event(self.thread(), Event::Remap { old_start, old_len, new_len, new_start })
    }

    /// `brk`, of which only the result counts: the end of the heap after it.
    fn brk<W: Write>(&mut self, shared: &mut Shared<'_, W>, end: u64) -> Result<(), TraceError> {
        if end >= ADDRESS_LIMIT || self.heap_end == Some(end) {
            return Ok(());
        }
        if let Some(before) = self.heap_end.replace(end) {
            let (old, new) = (before.div_ceil(PAGE_SIZE), end.div_ceil(PAGE_SIZE));
            if new > old {
                self.areas.map(old, new, Prot::READ_WRITE);
            } else {
                self.areas.unmap(new, old);
            }
        }
        shared.event(self.thread(), Event::Brk { end })
    }

    /// A program was executed: nothing of the address space stays, nor of the other threads.
    pub(super) fn execute<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        path: String,
    ) -> Result<(), TraceError> {
        let recorded: String = path.chars().filter(|c| !matches!(c, '\n' | '\r')).take(1000).collect();
        shared.event(self.thread(), Event::Exec { path: recorded })?;
        self.begin_anew(path);
        Ok(())
    }

    /// Maps a program and its dynamic linker as their headers say, if they can be found. `first_fetch` is where the
    /// first instruction was: at the entry of the linker, or of a program without one.
    pub(super) fn map_program<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        path: &str,
        first_fetch: u64,
    ) -> Result<(), TraceError> {
        let mut path = path.to_owned();
        let mut program = None;
        // A script names its interpreter, which may be a script itself.
        for _ in 0..4 {
            let Some(whole) = super::world::absolute(self.directory.as_deref(), &path) else { return Ok(()) };
            let Some(head) = shared.world.head(&whole) else { return Ok(()) };
            path = whole;
            match elf::script(&head) {
                Some(interpreter) => path = interpreter,
                None => {
                    program = elf::parse(&head);
                    break;
                }
            }
        }
        let Some(program) = program else { return Ok(()) };
        let linker = program.interpreter.clone().and_then(|path| {
            let linker = elf::parse(&shared.world.head(&path)?)?;
            let base = first_fetch.checked_sub(linker.entry).filter(|base| base % PAGE_SIZE == 0)?;
            Some((path, linker, base))
        });
        let base = match &linker {
            _ if program.fixed => 0,
            Some(_) => PROGRAM_BASE,
            None => match first_fetch.checked_sub(program.entry) {
                Some(base) if base % PAGE_SIZE == 0 => base,
                _ => return Ok(()),
            },
        };
        shared.guesses.insert(Guess::Program);
        self.map_segments(shared, &path, &program, base)?;
        match linker {
            Some((path, linker, base)) => self.map_segments(shared, &path, &linker, base),
            None => Ok(()),
        }
    }

    fn map_segments<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        path: &str,
        program: &Program,
        base: u64,
    ) -> Result<(), TraceError> {
        let Target::File(file) = shared.open(self.thread(), None, path, 0)? else { return Ok(()) };
        let path = shared.files.get(file).path.clone();
        let base = base / PAGE_SIZE;
        for segment in &program.segments {
            let (first, middle, end) = (base + segment.first, base + segment.file_end, base + segment.end);
            if middle > first {
                let kind = MapKind::File { path: path.clone(), offset: segment.offset };
                self.map_inferred(shared, first, middle, segment.prot, kind)?;
            }
            if end > middle {
                self.map_inferred(shared, middle, end, segment.prot, MapKind::Anonymous)?;
            }
        }
        Ok(())
    }
}
