//! The refusal of an input that a person can act on: where, what was found, what is allowed, what to do.

use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// Longest piece of a source line that is shown, in characters.
const EXCERPT_CHARS: usize = 120;

/// Where the trouble is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Place {
    /// In a text file.
    Text {
        /// The file, as the user named it.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The line, or the part of it around the trouble.
        excerpt: String,
        /// The bytes of `excerpt` that are wrong.
        #[serde(skip)]
        mark: Range<usize>,
    },
    /// In a binary file.
    Offset {
        /// The file, as the user named it.
        file: String,
        /// Offset from the start of the file, in bytes.
        offset: u64,
    },
    /// In a file as a whole.
    File {
        /// The file, as the user named it.
        file: String,
    },
    /// In an option of the command line.
    Option {
        /// The option, such as `--set`.
        option: String,
        /// Its text as given.
        excerpt: String,
        /// The bytes of `excerpt` that are wrong.
        #[serde(skip)]
        mark: Range<usize>,
    },
}

impl Place {
    /// The place of a byte range in a text. Positions beyond the end mean the end.
    #[must_use]
    pub fn in_text(file: &str, text: &str, range: Range<usize>) -> Self {
        let start = floor_boundary(text, range.start);
        let end = floor_boundary(text, range.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let column = text[line_start..start].chars().count() + 1;
        let (excerpt, mark) =
            window(&text[line_start..line_end], start - line_start..end.min(line_end) - line_start);
        let line = text[..start].matches('\n').count() + 1;
        Self::Text { file: file.to_owned(), line, column, excerpt, mark }
    }

    /// The place of a byte range in the text of a command-line option.
    #[must_use]
    pub fn in_option(option: &str, text: &str, range: Range<usize>) -> Self {
        let start = floor_boundary(text, range.start);
        let (excerpt, mark) = window(text, start..floor_boundary(text, range.end).max(start));
        Self::Option { option: option.to_owned(), excerpt, mark }
    }
}

/// Control characters made visible, so that a name in an input cannot drive the terminal.
#[must_use]
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Cuts a long line to the neighbourhood of `mark`, and makes control characters visible.
fn window(line: &str, mark: Range<usize>) -> (String, Range<usize>) {
    let before: Vec<char> = line[..mark.start].chars().collect();
    let kept = before.len().min(EXCERPT_CHARS / 2);
    let mut head: String = before[before.len() - kept..].iter().collect();
    if kept < before.len() {
        head.insert(0, '…');
    }
    let head = visible(&head);
    let mut room = EXCERPT_CHARS - kept;
    let marked = visible(&line[mark.clone()].chars().take(room).collect::<String>());
    room -= marked.chars().count();
    let after = &line[mark.end..];
    let mut tail = visible(&after.chars().take(room).collect::<String>());
    if after.chars().count() > room {
        tail.push('…');
    }
    let range = head.len()..head.len() + marked.len();
    (format!("{head}{marked}{tail}"), range)
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { file, line, column, .. } => write!(out, "{}:{line}:{column}", visible(file)),
            Self::Offset { file, offset } => write!(out, "{}: byte {offset}", visible(file)),
            Self::File { file } => out.write_str(&visible(file)),
            Self::Option { option, excerpt, .. } => write!(out, "{option} {excerpt}"),
        }
    }
}

/// A refusal that a person can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What is wrong, in one line.
    pub message: String,
    /// Where it is.
    pub place: Box<Place>,
    /// What was found there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What is allowed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do about it, one remark each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

impl Refusal {
    /// A refusal at a place; the builder methods add the rest.
    #[must_use]
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        let place = Box::new(place);
        Self { message: message.into(), place, found: None, expected: None, help: Vec::new() }
    }

    /// Adds what was found.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    /// Adds what is allowed.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// All of it in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let expected =
            self.expected.as_deref().map(|expected| format!("; expected {expected}")).unwrap_or_default();
        let file = match &*self.place {
            Place::File { file } => format!("{file}: "),
            _ => String::new(),
        };
        visible(&format!("{file}{}{expected}", self.message))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, visible(&self.message))?;
        if let Some(expected) = &self.expected {
            write!(out, "; expected {}", visible(expected))?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
