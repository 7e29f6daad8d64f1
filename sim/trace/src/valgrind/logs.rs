//! Logs that are complete: which process each is of, and all of them into one trace.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read, Write};

use super::access::{Slow, slow};
use super::import::{LogImport, LogOptions, Turn};
use crate::error::TraceError;
use crate::lines::{Lines, token};
use crate::native::TraceWriter;
use crate::record::RawAccess;

/// The bytes at the front of a log in which its process must be named.
const FRONT: u64 = 1 << 20;
/// The bytes at the front of a log in which a first system call, or the scheduler, is looked for.
const FRONT_WITH_CALLS: u64 = 4 << 20;

/// A log with its name for error messages.
pub struct Log<'l> {
    /// The log's name, as the user gave it.
    pub name: String,
    /// Its text, no longer compressed.
    pub input: Box<dyn Read + 'l>,
}

/// Looks whether a log tells of system calls or threads; gives it back whole.
///
/// # Errors
/// If it cannot be read.
pub fn has_calls<'l>(mut input: Box<dyn Read + 'l>) -> io::Result<(bool, Box<dyn Read + 'l>)> {
    let mut front = Vec::new();
    input.by_ref().take(FRONT_WITH_CALLS).read_to_end(&mut front)?;
    let found = front.split(|b| *b == b'\n').any(|line| {
        line.starts_with(b"SYSCALL[") || line.starts_with(b"--") && line.windows(6).any(|w| w == b"SCHED[")
    });
    Ok((found, Box::new(Cursor::new(front).chain(input))))
}

/// Imports the logs of one or several processes, recorded with `--trace-syscalls=yes`, `--trace-sched=yes` and
/// `--trace-children=yes`, into `writer`, which the caller finishes.
///
/// # Errors
/// If a log cannot be read, a line follows no known form, two logs are of the same process, or the trace cannot be written.
pub fn import_logs<W: Write>(
    logs: Vec<Log<'_>>,
    options: LogOptions,
    writer: &mut TraceWriter<W>,
) -> Result<(), TraceError> {
    let mut found = BTreeMap::new();
    for (i, Log { name, mut input }) in logs.into_iter().enumerate() {
        let mut front = Vec::new();
        let read = input.by_ref().take(FRONT).read_to_end(&mut front);
        read.map_err(|e| TraceError::io(&name, e))?;
        let (pid, parent) = identity(&front);
        // A log that does not say is of a process with a number of its own.
        let pid = pid.unwrap_or(1 + i as u32);
        let input = Cursor::new(front).chain(input);
        if let Some((_, other, _)) = found.insert(pid, (parent, name.clone(), input)) {
            let why = format!("it is of process {pid}, and so is {other}");
            return Err(TraceError::record(name, why));
        }
    }
    let pids: BTreeSet<u32> = found.keys().copied().collect();
    let mut import = LogImport::new(writer, options, false);
    for (pid, (parent, name, input)) in found {
        let root = parent.is_none_or(|parent| !pids.contains(&parent));
        import.add_log(pid, root, &name, input)?;
    }
    while !matches!(import.turn()?, Turn::Done | Turn::Full) {}
    import.finish()
}

/// The numbers of a log's process and of its parent.
fn identity(front: &[u8]) -> (Option<u32>, Option<u32>) {
    let mut pid = None;
    for line in front.split(|b| *b == b'\n') {
        let number = |text: &[u8]| {
            let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
            std::str::from_utf8(&text[..digits]).ok()?.parse::<u32>().ok()
        };
        let marks: [&[u8]; 3] = [b"==", b"--", b"SYSCALL["];
        let here = marks.iter().find_map(|mark| number(line.strip_prefix(*mark)?));
        pid = pid.or(here);
        let mark = b"Parent PID: ";
        if let Some(at) = line.windows(mark.len()).position(|window| window == mark) {
            return (pid, number(&line[at + mark.len()..]));
        }
        if pid.is_some() && !line.starts_with(b"==") {
            break;
        }
    }
    (pid, None)
}

/// Gives the accesses of a log, of whatever thread, and passes over its other lines. Returns how many there were.
///
/// # Errors
/// If the log cannot be read, or a line begins like an access and is none.
pub fn lackey_accesses(
    input: impl Read,
    name: &str,
    mut take: impl FnMut(RawAccess),
) -> Result<u64, TraceError> {
    let mut lines = Lines::new(input, name);
    let mut count = 0;
    loop {
        count += lines.accesses(u64::MAX, |access| {
            take(access);
            Ok::<(), TraceError>(())
        })?;
        let Some(line) = lines.next()? else { return Ok(count) };
        match slow(line) {
            Slow::Access(access) => {
                take(access);
                count += 1;
            }
            Slow::Wrong(column, expected) => {
                let found = token(line, column);
                return Err(lines.error(column, found, expected));
            }
            Slow::High | Slow::Other => {}
        }
    }
}
