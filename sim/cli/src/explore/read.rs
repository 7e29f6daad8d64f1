//! Reading a scenario, and saying exactly what is wrong with one.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use pagewalk_explore::Scenario;
use ron::error::Position;

use crate::diagnostic::{Diagnostic, Place};

/// The longest scenario or case accepted, in bytes: 1 MiB.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The text of a file that is not too long.
pub(super) fn read_text(name: &str, what: &str) -> Result<String, Diagnostic> {
    let here = || Place::File { file: name.to_owned() };
    let failed = |error: &std::io::Error| Diagnostic::new(here(), format!("cannot read the {what}: {error}"));
    let file = File::open(name).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Diagnostic::new(here(), format!("the {what} is too long"))
            .expected(format!("at most {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to() as u64;
        Diagnostic::new(Place::Offset { file: name.to_owned(), offset }, "the file is not text")
            .expected("UTF-8")
    })
}

/// The scenario in a file, checked.
pub(super) fn load_scenario(name: &str) -> Result<Scenario, Diagnostic> {
    parse_scenario(name, &read_text(name, "scenario")?)
}

/// Reads a scenario; `name` is what messages call it. No text makes it panic.
pub(super) fn parse_scenario(name: &str, text: &str) -> Result<Scenario, Diagnostic> {
    let scenario: Scenario = ron::from_str(text).map_err(|error| {
        let range = offset_of(text, error.span.start)..offset_of(text, error.span.end);
        Diagnostic::new(Place::in_text(name, text, range), error.code.to_string())
    })?;
    scenario.check().map_err(|problem| {
        let place = Place::in_text(name, text, find(text, &problem.word));
        Diagnostic::new(place, problem.message)
    })?;
    Ok(scenario)
}

/// Where `word` stands in the text, if it does: as a whole, after comments.
fn find(text: &str, word: &str) -> Range<usize> {
    let whole = |at: usize| {
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        !text[..at].ends_with(joins) && !text[at + word.len()..].starts_with(joins)
    };
    let outside = |at: usize| {
        let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
        !text[line..at].contains("//")
    };
    let found =
        text.match_indices(word).map(|(at, _)| at).filter(|&at| !word.is_empty() && whole(at) && outside(at));
    // The last one: a name is declared before it is used wrongly.
    found.last().map_or(0..0, |at| at..at + word.len())
}

/// The byte offset of a line and column, both from 1, columns in characters.
fn offset_of(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 1..position.line {
        start += text[start..].find('\n').map_or(text.len() - start, |at| at + 1);
    }
    let line = &text[start..];
    line.char_indices().nth(position.col.saturating_sub(1)).map_or(text.len(), |(at, _)| start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_as_a_whole_and_outside_comments() {
        assert_eq!(find("// a\nab a b", "a"), 8..9);
        assert_eq!(find("ab", "a"), 0..0);
        assert_eq!(find("a", ""), 0..0);
    }
}
