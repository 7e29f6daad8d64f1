//! Reading a machine description, and saying exactly what is wrong with one.

use std::borrow::Cow;
use std::ops::Range;

use pagewalk_input::{Place, Refusal, nearest, offset_of, read_text};
use ron::error::{Error as RonError, SpannedError};

use super::paths::Origin;
use super::{Machine, PRESETS, locate, parameter_of};

/// The longest machine description accepted, in bytes: 1 MiB.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;

impl Machine {
    /// The machine of that name, or else the one described in that file.
    ///
    /// # Errors
    /// When there is neither, or the description is rejected.
    pub fn load(name_or_path: &str) -> Result<Self, Refusal> {
        Self::read(name_or_path).map(|(machine, _)| machine)
    }

    /// As [`Machine::load`], with the text that describes it.
    ///
    /// # Errors
    /// As [`Machine::load`].
    pub fn read(name_or_path: &str) -> Result<(Self, Cow<'static, str>), Refusal> {
        if let Some(preset) = PRESETS.iter().find(|preset| preset.name == name_or_path) {
            let machine = parse_machine_str(&format!("preset {}", preset.name), preset.text)?;
            return Ok((machine, preset.text.into()));
        }
        let text = read_text(name_or_path, "machine", MAX_TEXT_BYTES).map_err(|problem| {
            if std::path::Path::new(name_or_path).exists() {
                return problem;
            }
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            let problem = problem.expected(format!("a RON file, or one of {}", names.join(", ")));
            match nearest(name_or_path, names) {
                Some(name) => problem.help(format!("did you mean `{name}`?")),
                None => problem,
            }
        })?;
        Ok((parse_machine_str(name_or_path, &text)?, text.into()))
    }
}

fn too_long(name: &str) -> Refusal {
    Refusal::new(Place::File { file: name.to_owned() }, "the machine description is too long")
        .expected(format!("at most {MAX_TEXT_BYTES} bytes"))
}

/// Reads a machine description; `name` is what messages call it.
///
/// # Errors
/// When the text is too long, is not RON, names what does not exist, or holds values that are not allowed or
/// do not fit together. No text makes it panic.
pub fn parse_machine_str(name: &str, text: &str) -> Result<Machine, Refusal> {
    if text.len() as u64 > MAX_TEXT_BYTES {
        return Err(too_long(name));
    }
    let mut machine: Machine =
        ron::Options::default().from_str(text).map_err(|error| explain(name, text, &error))?;
    let located = locate::locate(text);
    if let Err(conflict) = machine.check() {
        let message = format!("{}: {}", conflict.path, conflict.reason);
        // A conflict may be with a value that the text leaves at its default: then its section, or the end.
        let mut at = conflict.path.as_str();
        while !located.contains_key(at) && !at.is_empty() {
            at = at.rfind(['.', '[']).map_or("", |cut| &at[..cut]);
        }
        let range = located.get(at).cloned().unwrap_or(text.len()..text.len());
        let place = Place::in_text(name, text, range);
        return Err(Refusal::new(place, message).expected(conflict.expected));
    }
    for (path, range) in located {
        let line = text[..range.start].matches('\n').count() + 1;
        machine.note_origin(&path, &Origin::File { file: name.to_owned(), line });
    }
    Ok(machine)
}

/// The word, number, string or sign that stands at `at` or next after it.
fn token(text: &str, at: usize) -> Range<usize> {
    let rest = &text[at.min(text.len())..];
    let start = text.len() - rest.trim_start().len();
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else { return text.len()..text.len() };
    let word = |c: char| c.is_alphanumeric() || "_+-.#".contains(c);
    let length = match first {
        '"' => rest[1..].find(['"', '\n']).map_or(rest.len(), |at| at + 2).min(rest.len()),
        _ if word(first) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
        _ => first.len_utf8(),
    };
    start..start + length
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => format!("`{only}`"),
        [all @ .., last] => {
            let all: Vec<String> = all.iter().map(|name| format!("`{name}`")).collect();
            format!("{} or `{last}`", all.join(", "))
        }
    }
}

/// Turns the reader's error into a refusal: a wrong value by its parameter where that is known.
fn explain(name: &str, text: &str, error: &SpannedError) -> Refusal {
    let start = offset_of(text, error.span.start);
    let end = offset_of(text, error.span.end).max(start);
    let at = |range: Range<usize>| Place::in_text(name, text, range);
    let unknown = |what: &str, found: &str, expected: &[&str]| {
        // The reader has passed the name: it is the last occurrence before the reader's position.
        let from = text[..end].rfind(found).unwrap_or(start);
        let problem = Refusal::new(at(from..from + found.len()), format!("there is no {what} `{found}`"));
        let problem = problem.found(found).expected(list(expected));
        match nearest(found, expected.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        }
    };
    match &error.code {
        RonError::NoSuchStructField { expected, found, .. } => unknown("parameter", found, expected),
        RonError::NoSuchEnumVariant { expected, found, .. } => unknown("choice", found, expected),
        RonError::MissingStructField { field, .. } => {
            let problem = Refusal::new(at(start..end), format!("`{field}` is missing"));
            problem.expected(format!("`{field}: ...` before this point"))
        }
        RonError::DuplicateStructField { field, .. } => {
            Refusal::new(at(token(text, start)), format!("`{field}` is given twice")).expected("it once")
        }
        RonError::ExceededRecursionLimit => {
            Refusal::new(at(end..end), "the text is nested too deeply").expected("at most 128 levels")
        }
        code => wrong_value(name, text, start..end, code).unwrap_or_else(|| malformed(name, text, end, code)),
    }
}

/// The refusal of the value that the reader stood at or had just passed, if the parameter it is for can be told.
fn wrong_value(name: &str, text: &str, span: Range<usize>, code: &RonError) -> Option<Refusal> {
    // A value refused after it was read: the reader may already stand behind it.
    let passed =
        matches!(code, RonError::InvalidValueForType { .. } | RonError::ExpectedDifferentLength { .. });
    let unread = matches!(
        code,
        RonError::ExpectedBoolean
            | RonError::ExpectedInteger
            | RonError::ExpectedFloat
            | RonError::ExpectedString
            | RonError::ExpectedIdentifier
            | RonError::SuggestRawIdentifier(_)
            | RonError::InvalidIdentifier(_)
            | RonError::IntegerOutOfBounds
            | RonError::InvalidIntegerDigit { .. }
            | RonError::UnderscoreAtBeginning
            | RonError::FloatUnderscore
    );
    if !passed && !unread {
        return None;
    }
    let at = if passed { span.start } else { token(text, span.end).start };
    let located = locate::locate(text);
    let stands = |range: &Range<usize>| range.contains(&at) || (passed && range.end == at);
    let (path, range) =
        located.into_iter().filter(|(_, range)| stands(range)).min_by_key(|(_, range)| range.len())?;
    let whole = path.strip_suffix(']').and_then(|path| path.rfind('[').map(|cut| &path[..cut]));
    let (path, parameter) = match parameter_of(&path) {
        Some(parameter) => (path.as_str(), parameter),
        None => whole.and_then(|whole| parameter_of(whole).map(|parameter| (whole, parameter)))?,
    };
    let found: String = text[range.clone()].chars().take(40).collect();
    let message = format!("{path} cannot be `{found}`");
    let place = Place::in_text(name, text, range);
    Some(Refusal::new(place, message).found(found).expected(parameter.kind.to_string()))
}

/// The refusal of a text that is not of the right form at `at`.
fn malformed(name: &str, text: &str, at: usize, code: &RonError) -> Refusal {
    let range = token(text, at);
    let found: String = text[range.clone()].chars().take(40).collect();
    let message = if found.is_empty() { "the text ends here".to_owned() } else { format!("found `{found}`") };
    let reason = code.to_string();
    let expected = match code {
        RonError::ExpectedNamedStructLike(_) | RonError::ExpectedDifferentStructName { .. } => {
            "`(` and parameters, as in (cpus: 4)"
        }
        RonError::ExpectedArray => "a list in brackets `[`, `]`",
        RonError::ExpectedComma => "a comma `,` or the closing bracket",
        RonError::ExpectedMapColon => "a colon `:` and the value",
        RonError::TrailingCharacters => "the end of the text",
        RonError::InvalidValueForType { expected, .. } => expected,
        _ => match reason.strip_prefix("Expected ") {
            Some(expected) => expected,
            None => return Refusal::new(Place::in_text(name, text, range), reason).expected("RON"),
        },
    };
    Refusal::new(Place::in_text(name, text, range), message).found(found).expected(expected)
}
