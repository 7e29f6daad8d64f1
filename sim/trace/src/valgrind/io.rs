//! The calls that use files: opening, reading, writing, and what is done to descriptors and names.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use super::call::Call;
use super::descriptors::{Description, Descriptor, Target, flag};
use super::process::Process;
use super::shared::{Guess, Shared};
use super::world::absolute;
use crate::error::TraceError;
use crate::event::Event;
use crate::files::{Advice, MAX_TRANSFER};
use crate::record::Prot;

/// The descriptor that means the current directory.
const AT_FDCWD: i32 = -100;
/// Modes of `fallocate(2)`.
const KEEP_SIZE: u64 = 1;
const PUNCH_HOLE: u64 = 2;
/// Commands of `fcntl(2)`.
const F_DUPFD: u64 = 0;
const F_SETFD: u64 = 2;
const F_SETFL: u64 = 4;
const F_DUPFD_CLOEXEC: u64 = 1030;

/// One way of reading or writing: how the offset and the buffer are given.
struct Transfer {
    write: bool,
    buffer: Option<u64>,
    offset: Option<u64>,
}

impl Process {
    /// The open file description behind a descriptor.
    fn description(&self, fd: i32) -> Option<Rc<RefCell<Description>>> {
        self.descriptors.get(&fd).map(|descriptor| Rc::clone(&descriptor.description))
    }

    /// What a descriptor leads to, if that is known.
    pub(super) fn target(&self, fd: i32) -> Option<Target> {
        self.description(fd).map(|description| description.borrow().target.clone())
    }

    fn file(&self, fd: i32) -> Option<u32> {
        match self.target(fd) {
            Some(Target::File(file)) => Some(file),
            _ => None,
        }
    }

    /// The directory from which a path beside the descriptor `fd` is seen.
    fn directory_of(&self, fd: i32) -> Option<String> {
        match self.target(fd) {
            Some(Target::Directory(path)) => Some(path),
            _ if fd == AT_FDCWD => self.directory.clone(),
            _ => None,
        }
    }

    /// A call that uses files or descriptors; false if it is another.
    pub(super) fn file_call<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        call: &Call,
        result: u64,
    ) -> Result<bool, TraceError> {
        let transfer = |write, buffer, offset| Transfer { write, buffer, offset };
        let way = match call.name.as_str() {
            "read" => transfer(false, Some(call.arg(1)), None),
            "write" => transfer(true, Some(call.arg(1)), None),
            "pread64" => transfer(false, Some(call.arg(1)), Some(call.arg(3))),
            "pwrite64" => transfer(true, Some(call.arg(1)), Some(call.arg(3))),
            "readv" => transfer(false, None, None),
            "writev" => transfer(true, None, None),
            "preadv" => transfer(false, None, Some(call.arg(3))),
            "pwritev" => transfer(true, None, Some(call.arg(3))),
            "preadv2" => transfer(false, None, Some(call.arg(3)).filter(|at| *at != u64::MAX)),
            "pwritev2" => transfer(true, None, Some(call.arg(3)).filter(|at| *at != u64::MAX)),
            "sendfile" => {
                self.copy(shared, (call.fd(1), call.arg(2) != 0), (call.fd(0), false), result)?;
                return Ok(true);
            }
            "copy_file_range" | "splice" => {
                let (from, to) = ((call.fd(0), call.arg(1) != 0), (call.fd(2), call.arg(3) != 0));
                self.copy(shared, from, to, result)?;
                return Ok(true);
            }
            _ => return self.descriptor_call(shared, call, result),
        };
        self.transfer(shared, call.fd(0), &way, result)?;
        Ok(true)
    }

    /// A read or write of `len` bytes. Of something other than a file, only the buffer counts.
    fn transfer<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        fd: i32,
        way: &Transfer,
        len: u64,
    ) -> Result<(), TraceError> {
        let (len, thread) = (len.min(MAX_TRANSFER), self.thread());
        let description = self.description(fd);
        let file = description.as_ref().and_then(|description| match description.borrow().target {
            Target::File(file) => Some(file),
            _ => None,
        });
        let (Some(description), Some(file)) = (description, file) else {
            return match way.buffer {
                Some(buffer) if len > 0 => self.touch(shared, (buffer, len.min(1 << 20), !way.write)),
                _ => Ok(()),
            };
        };
        if len == 0 {
            return Ok(());
        }
        let mut description = description.borrow_mut();
        let size = shared.files.get(file).size;
        let offset = match way.offset {
            _ if way.write && description.append => size,
            Some(offset) => offset,
            None => description.position,
        };
        let end = offset.saturating_add(len);
        if way.offset.is_none() {
            description.position = end;
        }
        let direct = description.direct;
        drop(description);
        if let Some(buffer) = way.buffer {
            let need = if way.write { Prot::READ } else { Prot::WRITE };
            let (first, last) = super::areas::pages(buffer, len);
            if last <= crate::record::ADDRESS_LIMIT / crate::pages::PAGE_SIZE {
                self.infer(shared, first, last, need)?;
            }
        }
        let buffer = way.buffer;
        if way.write {
            let state = shared.files.get_mut(file);
            state.size = state.size.max(end);
            shared.event(thread, Event::Write { file, offset, len, buffer, direct })
        } else {
            shared.learn_size(thread, file, end)?;
            shared.event(thread, Event::Read { file, offset, len, buffer, direct })
        }
    }

    /// A copy inside the kernel between two descriptors, each perhaps with an offset behind a pointer.
    fn copy<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        from: (i32, bool),
        to: (i32, bool),
        len: u64,
    ) -> Result<(), TraceError> {
        for (write, (fd, pointed)) in [(false, from), (true, to)] {
            let mut offset = None;
            if let Some(description) = self.description(fd).filter(|_| pointed) {
                let mut description = description.borrow_mut();
                offset = Some(description.assumed);
                description.assumed = description.assumed.saturating_add(len);
                shared.guesses.insert(Guess::Offset);
            }
            self.transfer(shared, fd, &Transfer { write, buffer: None, offset }, len)?;
        }
        Ok(())
    }

    fn descriptor_call<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        call: &Call,
        result: u64,
    ) -> Result<bool, TraceError> {
        let (fd, new) = (call.fd(0), result as u32 as i32);
        match call.name.as_str() {
            "open" => self.open(shared, AT_FDCWD, call, 0, call.arg(1), new)?,
            "creat" => {
                let flags = flag::CREATE | flag::TRUNCATE;
                self.open(shared, AT_FDCWD, call, 0, flags, new)?;
            }
            "openat" => self.open(shared, fd, call, 1, call.arg(2), new)?,
            "memfd_create" => {
                let name = format!("memfd:{}", call.text(0).unwrap_or_default());
                let file = shared.files.add(&name, Some(0));
                shared.introduce(self.thread(), file)?;
                let description = Description::new(Target::File(file), 0);
                self.descriptors.insert(new, Descriptor::new(description, 0));
            }
            "close" => drop(self.descriptors.remove(&fd)),
            "close_range" => {
                let last = call.fd(1).max(if call.arg(1) as u32 == u32::MAX { i32::MAX } else { 0 });
                self.descriptors.retain(|at, _| !(fd..=last).contains(at));
            }
            "dup" | "dup2" => self.duplicate(fd, new, false),
            "dup3" => self.duplicate(fd, new, call.arg(2) & flag::CLOSE_ON_EXEC != 0),
            "fcntl" => self.fcntl(call, new),
            "lseek" => {
                if let Some(description) = self.description(fd) {
                    description.borrow_mut().position = result;
                }
            }
            "chdir" => {
                let directory = self.directory.take();
                self.directory = absolute(directory.as_deref(), call.text(0).unwrap_or_default());
            }
            "fchdir" => self.directory = self.directory_of(fd),
            "pipe" | "pipe2" | "socketpair" => {}
            _ => return self.name_call(shared, call),
        }
        Ok(true)
    }

    fn open<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        directory: i32,
        call: &Call,
        text: usize,
        flags: u64,
        new: i32,
    ) -> Result<(), TraceError> {
        let directory = self.directory_of(directory);
        let path = call.text(text).unwrap_or_default();
        let target = shared.open(self.thread(), directory.as_deref(), path, flags)?;
        self.descriptors.insert(new, Descriptor::new(Description::new(target, flags), flags));
        Ok(())
    }

    fn duplicate(&mut self, old: i32, new: i32, close_on_exec: bool) {
        match self.description(old) {
            _ if old == new => {}
            Some(description) => {
                self.descriptors.insert(new, Descriptor { description, close_on_exec });
            }
            None => drop(self.descriptors.remove(&new)),
        }
    }

    fn fcntl(&mut self, call: &Call, new: i32) {
        let (fd, argument) = (call.fd(0), call.arg(2));
        match call.arg(1) {
            F_DUPFD => self.duplicate(fd, new, false),
            F_DUPFD_CLOEXEC => self.duplicate(fd, new, true),
            F_SETFD => {
                if let Some(descriptor) = self.descriptors.get_mut(&fd) {
                    descriptor.close_on_exec = argument & 1 != 0;
                }
            }
            F_SETFL => {
                if let Some(description) = self.description(fd) {
                    let mut description = description.borrow_mut();
                    description.append = argument & flag::APPEND != 0;
                    description.direct = argument & flag::DIRECT != 0;
                }
            }
            _ => {}
        }
    }

    /// Calls that name a file, or change one without moving bytes.
    fn name_call<W: Write>(&mut self, shared: &mut Shared<'_, W>, call: &Call) -> Result<bool, TraceError> {
        let (fd, thread, here) = (call.fd(0), self.thread(), self.directory.clone());
        let path = |at| call.text(at).unwrap_or_default();
        match call.name.as_str() {
            "unlink" => drop(shared.files.unlink(here.as_deref(), path(0))),
            "unlinkat" => drop(shared.files.unlink(self.directory_of(fd).as_deref(), path(1))),
            "rename" => shared.files.rename(here.as_deref(), path(0), path(1)),
            "renameat" | "renameat2" => {
                let from = absolute(self.directory_of(fd).as_deref(), path(1));
                let to = absolute(self.directory_of(call.fd(2)).as_deref(), path(3));
                if let (Some(from), Some(to)) = (from, to) {
                    shared.files.rename(None, &from, &to);
                }
            }
            "truncate" => {
                let file = shared.files.named(shared.world, here.as_deref(), path(0));
                self.truncate(shared, file, call.arg(1))?;
            }
            "ftruncate" => self.truncate(shared, self.file(fd), call.arg(1))?,
            "fallocate" => self.fallocate(shared, call)?,
            "fsync" | "fdatasync" => {
                if let Some(file) = self.file(fd) {
                    shared.event(thread, Event::Fsync { file })?;
                }
            }
            "fadvise64" => {
                let advice = Advice::ALL.get(call.arg(3) as usize).copied();
                if let (Some(file), Some(advice)) = (self.file(fd), advice) {
                    let (offset, len) = (call.arg(1), call.arg(2));
                    shared.event(thread, Event::Fadvise { file, offset, len, advice })?;
                }
            }
            "sync" | "syncfs" => shared.event(thread, Event::Sync)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn truncate<W: Write>(
        &mut self,
        shared: &mut Shared<'_, W>,
        file: Option<u32>,
        size: u64,
    ) -> Result<(), TraceError> {
        let Some(file) = file else { return Ok(()) };
        shared.files.get_mut(file).size = size;
        shared.event(self.thread(), Event::Truncate { file, size })
    }

    fn fallocate<W: Write>(&mut self, shared: &mut Shared<'_, W>, call: &Call) -> Result<(), TraceError> {
        let Some(file) = self.file(call.fd(0)) else { return Ok(()) };
        let (mode, offset, len) = (call.arg(1), call.arg(2), call.arg(3));
        let end = offset.saturating_add(len);
        if mode & PUNCH_HOLE != 0 {
            shared.event(self.thread(), Event::PunchHole { file, offset, len })
        } else if mode == 0 && end > shared.files.get(file).size {
            self.truncate(shared, Some(file), end)
        } else {
            if mode & !KEEP_SIZE != 0 {
                shared.ignore(&format!("system call fallocate with mode {mode}"));
            }
            Ok(())
        }
    }
}
