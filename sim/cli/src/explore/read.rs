//! Reading a scenario, and saying exactly what is wrong with one.

use std::ops::Range;

use pagewalk_explore::Scenario;

use crate::diagnostic::{Diagnostic, Place};
use crate::text_file::{offset_of, read_text};

/// The longest scenario or case accepted, in bytes: 1 MiB.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The scenario in a file, checked.
pub(crate) fn load_scenario(name: &str) -> Result<Scenario, Diagnostic> {
    parse_scenario_str(name, &read_text(name, "scenario", MAX_BYTES)?)
}

/// Reads a scenario; `name` is what messages call it. No text makes it panic.
///
/// # Errors
/// When it is not RON of the form that `docs/explore.md` describes, or names what is not there.
pub fn parse_scenario_str(name: &str, text: &str) -> Result<Scenario, Diagnostic> {
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
