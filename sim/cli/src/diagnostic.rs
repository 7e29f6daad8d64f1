//! What the program says when it refuses something: where, what was found, what is allowed, what to do.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use crate::exit::Exit;
use crate::style::{Paint, WIDTH, visible, wrap};

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
pub struct Diagnostic {
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

impl Diagnostic {
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

    /// The exit code that goes with it: a wrong option is wrong usage, all else rejected input.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match *self.place {
            Place::Option { .. } => Exit::Usage,
            Place::Text { .. } | Place::Offset { .. } | Place::File { .. } => Exit::BadInput,
        }
    }

    /// The refusal for a person: the source line with a caret, what is allowed, what to do. Ends with a newline.
    #[must_use]
    pub fn to_text(&self, paint: Paint) -> String {
        let message = visible(&self.message);
        let allowed = self.allowed();
        let mut group = Group::with_title(Level::ERROR.primary_title(message.as_str()));
        let place = match &*self.place {
            Place::Text { excerpt, .. } if excerpt.is_empty() => self.place.to_string(),
            Place::Text { file, .. } | Place::File { file } => visible(file),
            Place::Offset { .. } => self.place.to_string(),
            Place::Option { option, .. } => option.clone(),
        };
        let mut labelled = false;
        group = match &*self.place {
            Place::Text { excerpt, mark, .. } | Place::Option { excerpt, mark, .. }
                if !excerpt.is_empty() =>
            {
                let line = if let Place::Text { line, .. } = *self.place { line } else { 1 };
                let room = WIDTH.saturating_sub(excerpt[..mark.end].chars().count() + 8);
                let short = allowed.as_deref().filter(|allowed| allowed.chars().count() <= room);
                labelled = short.is_some();
                let label = short.unwrap_or("not allowed");
                let mark = AnnotationKind::Primary.span(mark.clone()).label(label);
                let snippet = Snippet::source(excerpt.as_str()).line_start(line).path(place.as_str());
                group.element(snippet.annotation(mark))
            }
            _ => group.element(Origin::path(place.as_str())),
        };
        let note = allowed.as_ref().filter(|_| !labelled).map(|allowed| wrap(allowed, WIDTH - 16).join("\n"));
        if let Some(note) = &note {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        let help: Vec<String> = self.help.iter().map(|help| visible(help)).collect();
        for help in &help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if paint.is_on() { Renderer::styled() } else { Renderer::plain() };
        let mut text = renderer.render(&[group]);
        text.push('\n');
        if let Place::Text { line, column, excerpt, mark, .. } = &*self.place {
            // The renderer counts columns in what it is shown, which may be the end of a long line.
            let shown = excerpt[..mark.start].chars().count() + 1;
            text = text.replacen(&format!("{place}:{line}:{shown}"), &format!("{place}:{line}:{column}"), 1);
        }
        text
    }

    /// What is allowed; and, where no source line shows it, what was found.
    fn allowed(&self) -> Option<String> {
        let shown = match &*self.place {
            Place::Text { excerpt, .. } | Place::Option { excerpt, .. } => !excerpt.is_empty(),
            Place::Offset { .. } | Place::File { .. } => false,
        };
        let found = self
            .found
            .as_ref()
            .filter(|found| !shown && !found.is_empty())
            .map(|found| format!("found {found}"));
        let expected = self.expected.as_ref().map(|expected| format!("expected {expected}"));
        let told: Vec<String> = found.into_iter().chain(expected).collect();
        (!told.is_empty()).then(|| visible(&told.join(", ")))
    }

    /// The refusal as one JSON object with `"schema": "pagewalk.diagnostic/1"`. Ends with a newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            schema: &'static str,
            exit_code: u8,
            #[serde(flatten)]
            diagnostic: &'a Diagnostic,
        }
        let document =
            Document { schema: "pagewalk.diagnostic/1", exit_code: self.exit().code(), diagnostic: self };
        serde_json::to_string_pretty(&document).expect("a diagnostic is plain data with text keys") + "\n"
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, visible(&self.message))?;
        if let Some(expected) = &self.expected {
            write!(out, "; expected {}", visible(expected))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}
