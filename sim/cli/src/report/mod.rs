//! The account of a run as text for people.

pub(crate) mod lines;
mod origin_text;
mod seeds_text;
mod text;

use std::ops::Deref;

use pagewalk_replay::report::ReplayReport;

use crate::style::Paint;

/// An account that people can read.
pub trait ReportText {
    /// The account as text. No line exceeds 100 columns but the one that repeats the command.
    fn to_text(&self, paint: Paint) -> String;
}

/// The account of a run on its way to text: its sections are written by methods.
struct Told<'a>(&'a ReplayReport);

impl Deref for Told<'_> {
    type Target = ReplayReport;

    fn deref(&self) -> &ReplayReport {
        self.0
    }
}
