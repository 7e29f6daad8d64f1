//! Reading a trace from text. Every refusal says where, what stands there, and what may stand there.

use std::io::{Read, Write};

use super::FIRST_LINE;
use crate::error::TraceError;
use crate::event::Event;
use crate::lines::{Lines, token};
use crate::native::{MAX_LIST, Provenance, TraceWriter};
use crate::record::{EventRecord, MapKind, Op, Place, Prot, RawAccess};

const LINE: &str = "`I`, `L`, `S` or `M` with ADDRESS,LENGTH; `thread`, `at`, an event, `source`, `command`, `note`, \
                    `ignored`, or a `#` comment";
const HEX: &str = "a number in hexadecimal digits";
const DEC: &str = "a number in decimal digits";
const PROT: &str = "permissions such as `rw-`";

/// Imports a text trace into `writer`, which the caller finishes. `name` is the text's name in error messages.
///
/// # Errors
/// If the text cannot be read or does not follow its grammar.
pub fn import_text<W: Write>(
    input: impl Read,
    name: &str,
    writer: &mut TraceWriter<W>,
) -> Result<(), TraceError> {
    import_text_up_to(None, input, name, writer)
}

/// The same up to so many accesses: the text behind the last of them is not read.
pub(crate) fn import_text_up_to<W: Write>(
    max_accesses: Option<u64>,
    input: impl Read,
    name: &str,
    writer: &mut TraceWriter<W>,
) -> Result<(), TraceError> {
    let mut lines = Lines::new(input, name);
    let first = lines.next()?.map(<[u8]>::to_vec);
    if first.as_deref() != Some(FIRST_LINE.as_bytes()) {
        let found = first.map_or("an empty text".to_owned(), |line| token(&line, 1));
        return Err(lines.error(1, found, "the first line `pagewalk-trace 1`"));
    }
    let left = max_accesses.unwrap_or(u64::MAX);
    let mut state = State { thread: None, left, provenance: Provenance::default() };
    while state.left > 0
        && let Some(line) = lines.next()?
    {
        let mut words = Words { line, at: 0, token_at: 0 };
        let result = state.line(&mut words, writer);
        if let Err(fault) = result {
            let column = words.token_at + 1;
            return Err(match fault {
                Fault::Expected(expected) => {
                    let found = token(line, column);
                    lines.error(column, found, expected)
                }
                Fault::Refused(TraceError::Record { what, why }) => lines.error(1, what, &why),
                Fault::Refused(other) => other,
            });
        }
    }
    writer.set_provenance(state.provenance);
    Ok(())
}

/// Why a line was not taken.
pub(super) enum Fault {
    /// The current word is not this.
    Expected(&'static str),
    /// The writer refused the record.
    Refused(TraceError),
}

impl From<TraceError> for Fault {
    fn from(error: TraceError) -> Self {
        Self::Refused(error)
    }
}

pub(super) type Parsed<T> = Result<T, Fault>;

struct State {
    /// Process and thread of the lines that follow.
    thread: Option<(u32, u32)>,
    /// Accesses that may still be recorded.
    left: u64,
    provenance: Provenance,
}

impl State {
    fn line<W: Write>(&mut self, words: &mut Words<'_>, writer: &mut TraceWriter<W>) -> Parsed<()> {
        let Some(word) = words.peek() else { return Ok(()) };
        let op = match word {
            b"I" => Op::Fetch,
            b"L" => Op::Load,
            b"S" => Op::Store,
            b"M" => Op::Modify,
            _ => return self.other(words, writer),
        };
        let (pid, tid) =
            self.thread.ok_or(Fault::Expected("a line `thread PID TID` before the first record"))?;
        words.word();
        let (addr, len) = words.address_and_length()?;
        words.end()?;
        writer.access(pid, tid, RawAccess { addr, len, op })?;
        self.left -= 1;
        Ok(())
    }

    fn other<W: Write>(&mut self, words: &mut Words<'_>, writer: &mut TraceWriter<W>) -> Parsed<()> {
        let provenance = &mut self.provenance;
        match words.word() {
            word if word.starts_with(b"#") => return Ok(()),
            b"thread" => self.thread = Some((words.dec()?, words.dec()?)),
            b"at" => {
                let (pid, tid) = self.thread.ok_or(Fault::Expected("a line `thread PID TID` before `at`"))?;
                let place = Place { cpu: words.optional(Words::dec)?, time_ns: words.optional(Words::dec)? };
                writer.set_place(pid, tid, place)?;
            }
            b"source" => provenance.source = words.quoted()?,
            b"command" => provenance.command = words.quoted()?,
            b"note" => {
                let note = words.quoted()?;
                room(&mut provenance.notes)?.push(note);
            }
            b"ignored" => {
                let count = words.dec()?;
                room(&mut provenance.ignored)?.push((words.quoted()?, count));
            }
            _ => {
                let event = words.event()?;
                let (pid, tid) =
                    self.thread.ok_or(Fault::Expected("a line `thread PID TID` before the first record"))?;
                words.end()?;
                let place = writer.place(tid);
                let record = EventRecord::new(pid, tid, event);
                writer.event(EventRecord { cpu: place.cpu, time_ns: place.time_ns, ..record })?;
            }
        }
        words.end()
    }
}

/// Refuses to collect more than a trace can hold.
fn room<T>(list: &mut Vec<T>) -> Parsed<&mut Vec<T>> {
    if list.len() < MAX_LIST as usize {
        return Ok(list);
    }
    Err(Fault::Expected("at most 1024 lines `note`, and as many `ignored`"))
}

/// The words of one line.
pub(super) struct Words<'a> {
    line: &'a [u8],
    at: usize,
    /// Where the last word began.
    token_at: usize,
}

impl<'a> Words<'a> {
    fn skip_spaces(&mut self) {
        while matches!(self.line.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.token_at = self.at;
    }

    /// The next word without passing it, or `None` at the end of the line.
    pub(super) fn peek(&mut self) -> Option<&'a [u8]> {
        self.skip_spaces();
        let rest = &self.line[self.at..];
        let len = rest.iter().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
        (len > 0).then(|| &rest[..len])
    }

    /// The next word; empty at the end of the line.
    pub(super) fn word(&mut self) -> &'a [u8] {
        let word = self.peek().unwrap_or_default();
        self.at += word.len();
        word
    }

    fn end(&mut self) -> Parsed<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Fault::Expected("the end of the line")),
        }
    }

    pub(super) fn hex(&mut self) -> Parsed<u64> {
        number(self.word(), 16).ok_or(Fault::Expected(HEX))
    }

    pub(super) fn dec<T: TryFrom<u64>>(&mut self) -> Parsed<T> {
        number(self.word(), 10).and_then(|n| T::try_from(n).ok()).ok_or(Fault::Expected(DEC))
    }

    /// A value, or `None` for `-`.
    pub(super) fn optional<T>(&mut self, value: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Option<T>> {
        if self.peek() == Some(b"-") {
            self.word();
            return Ok(None);
        }
        value(self).map(Some)
    }

    fn address_and_length(&mut self) -> Parsed<(u64, u16)> {
        const EXPECTED: &str = "ADDRESS,LENGTH: hexadecimal digits, a comma, decimal digits";
        let word = self.word();
        let parse = || {
            let comma = word.iter().position(|b| *b == b',')?;
            let len = u16::try_from(number(&word[comma + 1..], 10)?).ok()?;
            Some((number(&word[..comma], 16)?, len))
        };
        parse().ok_or(Fault::Expected(EXPECTED))
    }

    fn prot(&mut self) -> Parsed<Prot> {
        let word = self.word();
        let all = (0..8).map(Prot);
        all.into_iter().find(|prot| prot.to_string().as_bytes() == word).ok_or(Fault::Expected(PROT))
    }

    /// A string in double quotes, in which a backslash stands before `"`, `\`, `n` and `r`.
    pub(super) fn quoted(&mut self) -> Parsed<String> {
        const EXPECTED: &str = "a string in double quotes, with the escapes \\\" \\\\ \\n \\r";
        self.skip_spaces();
        let mut out = Vec::new();
        let mut rest = self.line[self.at..].iter();
        if rest.next() != Some(&b'"') {
            return Err(Fault::Expected(EXPECTED));
        }
        loop {
            match rest.next() {
                Some(b'"') => break,
                Some(b'\\') => match rest.next() {
                    Some(b'n') => out.push(b'\n'),
                    Some(b'r') => out.push(b'\r'),
                    Some(b @ (b'"' | b'\\')) => out.push(*b),
                    _ => return Err(Fault::Expected(EXPECTED)),
                },
                Some(b) => out.push(*b),
                None => return Err(Fault::Expected(EXPECTED)),
            }
        }
        self.at = self.line.len() - rest.len();
        String::from_utf8(out).map_err(|_| Fault::Expected("UTF-8 text in double quotes"))
    }

    /// The rest of an event's line, whose first word was just read.
    fn event(&mut self) -> Parsed<Event> {
        Ok(match &self.line[self.token_at..self.at] {
            b"map" => self.map()?,
            b"unmap" => Event::Unmap { start: self.hex()?, len: self.hex()? },
            b"protect" => Event::Protect { start: self.hex()?, len: self.hex()?, prot: self.prot()? },
            b"brk" => Event::Brk { end: self.hex()? },
            b"remap" => Event::Remap {
                old_start: self.hex()?,
                old_len: self.hex()?,
                new_len: self.hex()?,
                new_start: self.optional(Self::hex)?,
            },
            b"discard" => Event::Discard { start: self.hex()?, len: self.hex()? },
            b"fork" => Event::Fork { child_pid: self.dec()?, child_tid: self.dec()? },
            b"clone" => Event::Clone { child_tid: self.dec()? },
            b"exec" => Event::Exec { path: self.quoted()? },
            b"exit-thread" => Event::ExitThread,
            b"exit-process" => {
                let status = std::str::from_utf8(self.word()).ok().and_then(|word| word.parse().ok());
                Event::ExitProcess {
                    status: status.ok_or(Fault::Expected("an exit status in decimal digits"))?,
                }
            }
            b"wait" => Event::Wait { child_pid: self.dec()? },
            of_files => return super::files::event(of_files, self)?.ok_or(Fault::Expected(LINE)),
        })
    }

    fn map(&mut self) -> Parsed<Event> {
        let (start, len, prot) = (self.hex()?, self.hex()?, self.prot()?);
        let shared = match self.word() {
            b"shared" => true,
            b"private" => false,
            _ => return Err(Fault::Expected("`private` or `shared`")),
        };
        let kind = match self.word() {
            b"anonymous" => MapKind::Anonymous,
            b"stack" => MapKind::Stack,
            b"heap" => MapKind::Heap,
            b"file" => {
                let offset = self.hex()?;
                MapKind::File { path: self.quoted()?, offset }
            }
            _ => return Err(Fault::Expected("`anonymous`, `stack`, `heap`, or `file OFFSET \"PATH\"`")),
        };
        let inferred = match self.peek() {
            None => false,
            Some(b"inferred") => {
                self.word();
                true
            }
            Some(_) => return Err(Fault::Expected("`inferred` or the end of the line")),
        };
        Ok(Event::Map { start, len, prot, kind, shared, inferred })
    }
}

/// A number of at most 64 bits; `radix` is 10 or 16.
fn number(word: &[u8], radix: u64) -> Option<u64> {
    let mut value = 0u64;
    for byte in word {
        let digit = u64::from(char::from(*byte).to_digit(radix as u32)?);
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    (!word.is_empty()).then_some(value)
}
