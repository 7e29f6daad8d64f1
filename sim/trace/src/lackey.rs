//! Importing the log of `valgrind --tool=lackey --trace-mem=yes`.
//!
//! The log has one line per access, no thread, and no mappings. Mappings are inferred from the touched pages and put
//! before all accesses. One log holds one process.

use std::io::{Read, Write};

use crate::error::TraceError;
use crate::event::Event;
use crate::lines::{Lines, token};
use crate::native::{Provenance, TraceWriter};
use crate::pages::{PAGE_SIZE, PageSet};
use crate::record::{EventRecord, MapKind, RawAccess};
use crate::valgrind::{Slow, slow};

/// Touched pages with fewer than this many untouched ones between them share an inferred mapping.
pub const MAX_GAP_PAGES: u64 = 32;

pub(crate) const GRAMMAR: &str =
    "`I  HEX,DEC`, ` L HEX,DEC`, ` S HEX,DEC` or ` M HEX,DEC` (or a `==PID==` line of Valgrind)";
/// The kinds of lines that carry no access.
const IGNORED: [&str; 8] = [
    "blank",
    "comment",
    "superblock",
    "valgrind banner",
    "valgrind message",
    "system call",
    "address above 2^56",
    "cut short at the end",
];

/// What one line says.
enum Line<'a> {
    Access(RawAccess),
    /// `==PID== text`
    Banner(u32, &'a [u8]),
    /// An index of [`IGNORED`].
    Ignored(usize),
    /// A column, from 1, and what is expected there.
    Wrong(usize, &'static str),
}

/// Imports a log into `writer`, which the caller finishes. `name` is the log's name in error messages.
///
/// # Errors
/// If the log cannot be read, a line follows no known form, or two processes share the log.
pub fn import_lackey<W: Write>(
    input: impl Read,
    name: &str,
    writer: &mut TraceWriter<W>,
) -> Result<(), TraceError> {
    import_lackey_up_to(None, input, name, writer)
}

/// The same up to so many accesses: the log behind the last of them is not read.
pub(crate) fn import_lackey_up_to<W: Write>(
    max_accesses: Option<u64>,
    input: impl Read,
    name: &str,
    writer: &mut TraceWriter<W>,
) -> Result<(), TraceError> {
    let mut lines = Lines::new(input, name);
    let mut import = Import::default();
    let max = max_accesses.unwrap_or(u64::MAX);
    loop {
        let pid = import.pid;
        import.accesses += lines.accesses(max - import.accesses, |access| {
            import.pages.touch(access)?;
            writer.access(pid.unwrap_or(1), pid.unwrap_or(1), access)
        })?;
        if import.accesses > 0 {
            import.pid.get_or_insert(1);
        }
        if import.accesses == max {
            break;
        }
        let Some(line) = lines.next()? else { break };
        match parse(line) {
            Line::Access(access) => {
                let pid = *import.pid.get_or_insert(1);
                import.pages.touch(access)?;
                writer.access(pid, pid, access)?;
                import.accesses += 1;
            }
            Line::Banner(pid, text) => {
                import.ignored[3] += 1;
                if import.banner(pid, text).is_err() {
                    let found = format!("a line of process {pid} after lines of another process");
                    let advice = "one process per log (give Valgrind --log-file=NAME.%p)";
                    return Err(lines.error(3, found, advice));
                }
            }
            Line::Ignored(kind) => import.ignored[kind] += 1,
            Line::Wrong(column, expected) => {
                let found = token(line, column);
                if !lines.cut_short() {
                    return Err(lines.error(column, found, expected));
                }
                import.ignored[7] += 1;
            }
        }
    }
    import.finish(writer)
}

#[derive(Default)]
struct Import {
    /// From the banner, or 1 once an access came first.
    pid: Option<u32>,
    /// From the banner.
    banner_pid: Option<u32>,
    accesses: u64,
    command: String,
    version: String,
    exit_code: Option<i32>,
    pages: PageSet,
    ignored: [u64; IGNORED.len()],
}

impl Import {
    /// Learns from a line of Valgrind's own text; fails if it is of another process.
    fn banner(&mut self, pid: u32, text: &[u8]) -> Result<(), ()> {
        if *self.banner_pid.get_or_insert(pid) != pid {
            return Err(());
        }
        self.pid.get_or_insert(pid);
        let text = String::from_utf8_lossy(text);
        if let Some(command) = text.strip_prefix("Command: ") {
            self.command = command.to_owned();
        } else if let Some(version) = text.strip_prefix("Using ") {
            self.version = version.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(code) = text.strip_prefix("Exit code:") {
            self.exit_code = code.trim().parse().ok();
        }
        Ok(())
    }

    fn finish<W: Write>(self, writer: &mut TraceWriter<W>) -> Result<(), TraceError> {
        let pid = self.pid.unwrap_or(1);
        for region in self.pages.regions(MAX_GAP_PAGES) {
            let event = Event::Map {
                start: region.start * PAGE_SIZE,
                len: (region.end - region.start) * PAGE_SIZE,
                prot: region.prot(),
                kind: MapKind::Anonymous,
                shared: false,
                inferred: true,
            };
            writer.prologue_event(EventRecord::new(pid, pid, event))?;
        }
        if let Some(status) = self.exit_code {
            writer.event(EventRecord::new(pid, pid, Event::ExitProcess { status }))?;
        }
        let mut notes = Vec::new();
        if !self.version.is_empty() {
            notes.push(format!("Recorded by {}.", self.version));
        }
        notes.push(format!(
            "Mappings are inferred from the touched pages: holes of up to {MAX_GAP_PAGES} pages are filled, executed \
             regions are r-x, all others rw-."
        ));
        notes.push("All accesses are those of one thread: the log does not tell threads apart.".to_owned());
        let ignored = IGNORED.iter().zip(self.ignored).filter(|(_, count)| *count > 0);
        let ignored = ignored.map(|(name, count)| ((*name).to_owned(), count)).collect();
        writer.set_provenance(Provenance {
            source: "lackey".to_owned(),
            command: self.command,
            notes,
            ignored,
        });
        Ok(())
    }
}

/// Whether a line can stand in a log.
pub(crate) fn is_line(line: &[u8]) -> bool {
    !matches!(parse(line), Line::Wrong(..))
}

fn parse(line: &[u8]) -> Line<'_> {
    match slow(line) {
        Slow::Access(access) => Line::Access(access),
        Slow::High => Line::Ignored(6),
        Slow::Wrong(column, expected) => Line::Wrong(column, expected),
        Slow::Other => parse_other(line),
    }
}

fn parse_other(line: &[u8]) -> Line<'_> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::Ignored(0);
    }
    if line.starts_with(b"#") {
        return Line::Ignored(1);
    }
    if line.starts_with(b" SB ") || line.starts_with(b"SB ") {
        return Line::Ignored(2);
    }
    if line.starts_with(b"SYSCALL[") {
        return Line::Ignored(5);
    }
    if let Some((_, _)) = between(line, b"--") {
        return Line::Ignored(4);
    }
    match between(line, b"==") {
        Some((pid, text)) => Line::Banner(pid, text),
        None => Line::Wrong(1, GRAMMAR),
    }
}

/// Splits `==PID== text` or `--PID-- text`.
pub(crate) fn between<'a>(line: &'a [u8], mark: &[u8; 2]) -> Option<(u32, &'a [u8])> {
    let rest = line.strip_prefix(mark)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let pid = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let text = rest[digits..].strip_prefix(mark)?;
    Some((pid, text.strip_prefix(b" ").unwrap_or(text)))
}
