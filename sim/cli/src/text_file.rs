//! Text files that people write: reading them whole, and finding places in them.

use std::fs::File;
use std::io::Read;

use ron::error::Position;

use crate::diagnostic::{Diagnostic, Place};

/// The text of a file of at most `most` bytes; `what` is what messages call it.
pub(crate) fn read_text(name: &str, what: &str, most: u64) -> Result<String, Diagnostic> {
    let here = || Place::File { file: name.to_owned() };
    let failed = |error: &std::io::Error| Diagnostic::new(here(), format!("cannot read the {what}: {error}"));
    let file = File::open(name).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > most {
        return Err(Diagnostic::new(here(), format!("the {what} is too long"))
            .expected(format!("at most {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to() as u64;
        Diagnostic::new(Place::Offset { file: name.to_owned(), offset }, "the file is not text")
            .expected("UTF-8")
    })
}

/// The byte offset of a line and column, both from 1, columns in characters.
pub(crate) fn offset_of(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 1..position.line {
        start += text[start..].find('\n').map_or(text.len() - start, |at| at + 1);
    }
    let line = &text[start..];
    line.char_indices().nth(position.col.saturating_sub(1)).map_or(text.len(), |(at, _)| start + at)
}
