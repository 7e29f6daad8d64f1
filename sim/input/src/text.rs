//! Texts that people write: reading them whole, and finding places in them.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use ron::error::Position;

use crate::{Place, Refusal};

/// The text of a file of at most `most` bytes; `what` is what messages call it.
///
/// # Errors
/// If it cannot be read, is longer, or is not UTF-8.
pub fn read_text(name: &str, what: &str, most: u64) -> Result<String, Refusal> {
    let here = || Place::File { file: name.to_owned() };
    let failed = |error: &std::io::Error| Refusal::new(here(), format!("cannot read the {what}: {error}"));
    let file = File::open(name).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > most {
        return Err(
            Refusal::new(here(), format!("the {what} is too long")).expected(format!("at most {most} bytes"))
        );
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to() as u64;
        Refusal::new(Place::Offset { file: name.to_owned(), offset }, "the file is not text")
            .expected("UTF-8")
    })
}

/// The byte offset of a line and column, both from 1, columns in characters.
pub fn offset_of(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 1..position.line {
        start += text[start..].find('\n').map_or(text.len() - start, |at| at + 1);
    }
    let line = &text[start..];
    line.char_indices().nth(position.col.saturating_sub(1)).map_or(text.len(), |(at, _)| start + at)
}

/// Where `word` stands in the text, if it does: as a whole, outside comments. The last place: a name is declared before it is used wrongly.
pub fn find(text: &str, word: &str) -> Range<usize> {
    mentions(text, word).last().map_or(0..0, |at| at..at + word.len())
}

/// All places where `word` stands in the text as a whole, outside comments; none for no word.
pub fn mentions<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let mut next = 0;
    let lines = text.split_inclusive('\n').filter(|_| !word.is_empty());
    lines.flat_map(move |line| {
        let start = next;
        next += line.len();
        let code = code(line);
        let whole = move |&(at, _): &(usize, &str)| {
            !code[..at].ends_with(joins) && !code[at + word.len()..].starts_with(joins)
        };
        code.match_indices(word).filter(whole).map(move |(at, _)| start + at)
    })
}

/// A line without its comment.
fn code(line: &str) -> &str {
    let (mut quoted, mut escaped, mut slash) = (false, false, false);
    for (at, c) in line.char_indices() {
        match c {
            '/' if slash => return &line[..at - 1],
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        slash = c == '/' && !quoted;
        escaped = c == '\\' && quoted && !escaped;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_as_a_whole_and_outside_comments() {
        assert_eq!(find("// a\nab a b", "a"), 8..9);
        assert_eq!(find("ab", "a"), 0..0);
        assert_eq!(find("a", ""), 0..0);
        assert_eq!(find("\"a//b\" // a//b", "a//b"), 1..5);
        assert_eq!(find("\"\\\"//\" b // b", "b"), 7..8);
    }
}
