//! Retrying: a loop that cannot succeed before somebody changes what it read.
//!
//! `goto repeat` in `find_get_page` reads a few words again until one of them differs. While schedules are explored such a
//! loop waits, like any other blocking operation, until it would find something new. That bounds a run, and a loop
//! that never ends shows as what it is: nobody is left who could change a word.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{self, Poll};

use crate::config::Schedule;
use crate::context::Context;
use crate::object::ObjectId;

/// How many words one retry may name.
const MOST: usize = 4;

/// A step that waits until one of a few words has changed. See [`Context::retry`].
#[must_use = "a retry waits only when it is awaited"]
pub struct Retry<'a> {
    cx: &'a Context,
    words: [ObjectId; MOST],
    count: usize,
    location: &'static Location<'static>,
}

impl Context {
    /// The loop in which this stands found nothing to go on with in `words` and will read them again (1 to 4 words).
    ///
    /// Under the timed and the random schedule that is nothing at all: the loop goes round. When schedules are explored it
    /// is a step, enabled when one of the words has changed since this context last accessed it.
    ///
    /// # Panics
    /// If there are no words, or more than four.
    #[track_caller]
    pub fn retry(&self, words: &[ObjectId]) -> Retry<'_> {
        assert!((1..=MOST).contains(&words.len()), "a retry names 1 to {MOST} words");
        let mut kept = [words[0]; MOST];
        kept[..words.len()].copy_from_slice(words);
        Retry { cx: self, words: kept, count: words.len(), location: Location::caller() }
    }
}

impl Future for Retry<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<()> {
        match self.cx.engine().config().schedule {
            Schedule::Timed | Schedule::Random => Poll::Ready(()),
        }
    }
}
