//! The lines of events that use files, and of advice: reading and writing them.

use super::parse::{Fault, Parsed, Words};
use super::quote;
use crate::event::Event;
use crate::files::Advice;

/// What follows the name of the event on its line, with a space before each word.
pub(super) fn fields(event: &Event) -> String {
    let file = event.file().map_or(String::new(), |file| format!(" {file}"));
    let rest = match event {
        Event::File { path, size, .. } => format!(" {size:x} {}", quote(path)),
        Event::Read { offset, len, buffer, direct, .. }
        | Event::Write { offset, len, buffer, direct, .. } => {
            let buffer = buffer.map_or("-".to_owned(), |buffer| format!("{buffer:x}"));
            format!(" {offset:x} {len:x} {buffer}{}", if *direct { " direct" } else { "" })
        }
        Event::Msync { start, len, sync } => {
            format!(" {start:x} {len:x} {}", if *sync { "sync" } else { "async" })
        }
        Event::Truncate { size, .. } => format!(" {size:x}"),
        Event::PunchHole { offset, len, .. } | Event::Invalidate { offset, len, .. } => {
            format!(" {offset:x} {len:x}")
        }
        Event::Fadvise { offset: start, len, advice, .. } | Event::Madvise { start, len, advice } => {
            format!(" {start:x} {len:x} {}", advice.name())
        }
        _ => String::new(),
    };
    file + &rest
}

/// The rest of the line of event `name`, or `None` if no event that uses files has that name.
pub(super) fn event(name: &[u8], words: &mut Words<'_>) -> Parsed<Option<Event>> {
    Ok(Some(match name {
        b"file" => Event::File { file: words.dec()?, size: words.hex()?, path: words.quoted()? },
        b"read" | b"write" => transfer(name == b"write", words)?,
        b"fsync" => Event::Fsync { file: words.dec()? },
        b"msync" => {
            let (start, len) = (words.hex()?, words.hex()?);
            let sync = match words.word() {
                b"sync" => true,
                b"async" => false,
                _ => return Err(Fault::Expected("`sync` or `async`")),
            };
            Event::Msync { start, len, sync }
        }
        b"truncate" => Event::Truncate { file: words.dec()?, size: words.hex()? },
        b"punch-hole" => Event::PunchHole { file: words.dec()?, offset: words.hex()?, len: words.hex()? },
        b"fadvise" => Event::Fadvise {
            file: words.dec()?,
            offset: words.hex()?,
            len: words.hex()?,
            advice: advice(words)?,
        },
        b"madvise" => Event::Madvise { start: words.hex()?, len: words.hex()?, advice: advice(words)? },
        b"invalidate" => Event::Invalidate { file: words.dec()?, offset: words.hex()?, len: words.hex()? },
        b"drop-caches" => Event::DropCaches,
        b"sync" => Event::Sync,
        _ => return Ok(None),
    }))
}

fn transfer(write: bool, words: &mut Words<'_>) -> Parsed<Event> {
    let (file, offset, len) = (words.dec()?, words.hex()?, words.hex()?);
    let buffer = words.optional(Words::hex)?;
    let direct = match words.peek() {
        None => false,
        Some(b"direct") => {
            words.word();
            true
        }
        Some(_) => return Err(Fault::Expected("`direct` or the end of the line")),
    };
    Ok(if write {
        Event::Write { file, offset, len, buffer, direct }
    } else {
        Event::Read { file, offset, len, buffer, direct }
    })
}

fn advice(words: &mut Words<'_>) -> Parsed<Advice> {
    const EXPECTED: &str = "`normal`, `random`, `sequential`, `willneed`, `dontneed` or `noreuse`";
    let word = words.word();
    let found = Advice::ALL.into_iter().find(|advice| advice.name().as_bytes() == word);
    found.ok_or(Fault::Expected(EXPECTED))
}
