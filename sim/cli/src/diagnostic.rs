//! A refusal as the command line tells it: for a person, for a program, and as an exit code.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use pagewalk_input::{Place, Refusal};
use serde::Serialize;

use crate::exit::Exit;
use crate::style::{Paint, WIDTH, visible, wrap};

/// How a refusal is told.
pub trait Diagnostic {
    /// The exit code that goes with it: a wrong option is wrong usage, all else rejected input.
    fn exit(&self) -> Exit;

    /// For a person: the source line with a caret, what is allowed, what to do. Ends with a newline.
    fn to_text(&self, paint: Paint) -> String;

    /// One JSON object with `"schema": "pagewalk.diagnostic/1"`. Ends with a newline.
    fn to_json(&self) -> String;
}

impl Diagnostic for Refusal {
    fn exit(&self) -> Exit {
        match *self.place {
            Place::Option { .. } => Exit::Usage,
            Place::Text { .. } | Place::Offset { .. } | Place::File { .. } => Exit::BadInput,
        }
    }

    fn to_text(&self, paint: Paint) -> String {
        let message = visible(&self.message);
        let allowed = allowed(self);
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

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            schema: &'static str,
            exit_code: u8,
            #[serde(flatten)]
            diagnostic: &'a Refusal,
        }
        let document =
            Document { schema: "pagewalk.diagnostic/1", exit_code: self.exit().code(), diagnostic: self };
        serde_json::to_string_pretty(&document).expect("a diagnostic is plain data with text keys") + "\n"
    }
}

/// What is allowed; and, where no source line shows it, what was found.
fn allowed(refusal: &Refusal) -> Option<String> {
    let shown = match &*refusal.place {
        Place::Text { excerpt, .. } | Place::Option { excerpt, .. } => !excerpt.is_empty(),
        Place::Offset { .. } | Place::File { .. } => false,
    };
    let found = refusal
        .found
        .as_ref()
        .filter(|found| !shown && !found.is_empty())
        .map(|found| format!("found {found}"));
    let expected = refusal.expected.as_ref().map(|expected| format!("expected {expected}"));
    let told: Vec<String> = found.into_iter().chain(expected).collect();
    (!told.is_empty()).then(|| visible(&told.join(", ")))
}
