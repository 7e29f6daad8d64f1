//! Retrying: a loop that cannot succeed before somebody changes what it read.
//!
//! `goto repeat` in `find_get_page` reads a few words again until one of them differs. While schedules are explored such a
//! loop waits, like any other blocking operation, until it would find something new. That bounds a run, and a loop
//! that never ends shows as what it is: nobody is left who could change a word.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{self, Poll};

use crate::context::{Context, ContextId};
use crate::engine::Engine;
use crate::object::ObjectId;
use crate::record::{Effect, Op, OpKind, Order};

/// The words of a retry.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    words: [ObjectId; Retry::MOST],
    count: usize,
}

impl Words {
    fn of(words: &[ObjectId]) -> Self {
        let mut kept = [words[0]; Retry::MOST];
        kept[..words.len()].copy_from_slice(words);
        Self { words: kept, count: words.len() }
    }

    fn as_slice(&self) -> &[ObjectId] {
        &self.words[..self.count]
    }
}

/// A step that waits until one of a few words has changed. See [`Context::retry`].
#[must_use = "a retry waits only when it is awaited"]
pub struct Retry<'a> {
    cx: &'a Context,
    words: &'a [ObjectId],
    location: &'static Location<'static>,
    announced: bool,
    changed: bool,
}

impl Context {
    /// The loop in which this stands found nothing to go on with in `words` and will read them again (1 to [`Retry::MOST`] words).
    ///
    /// Under the timed and the random schedule that is nothing at all: the loop goes round. When schedules are explored it
    /// is a step, enabled when one of the words has changed since this context last accessed it.
    ///
    /// # Panics
    /// If there are no words, or more than [`Retry::MOST`].
    #[track_caller]
    pub fn retry<'a>(&'a self, words: &'a [ObjectId]) -> Retry<'a> {
        assert!((1..=Retry::MOST).contains(&words.len()), "a retry names 1 to {} words", Retry::MOST);
        Retry { cx: self, words, location: Location::caller(), announced: false, changed: false }
    }
}

impl Retry<'_> {
    /// How many words one retry may name.
    pub const MOST: usize = 8;

    #[cold]
    fn wait(&mut self) -> Poll<()> {
        let (engine, id) = (self.cx.engine(), self.cx.id());
        let object = self.words[0];
        let op = Op { object, kind: OpKind::Retry, order: Order::Once, location: self.location };
        if self.announced {
            engine.stop_contending(id);
        } else {
            engine.retries.borrow_mut().push((id, Words::of(self.words)));
            engine.watch_classes(self.words);
            self.announced = true;
        }
        self.changed = self.changed || engine.changed_since_access(id, self.words);
        engine.announce(id, op);
        if !self.changed {
            engine.block(id, object, false);
            return Poll::Pending;
        }
        if !self.cx.granted(&op) {
            engine.contend(id);
            return Poll::Pending;
        }
        engine.retries.borrow_mut().retain(|&(waiter, _)| waiter != id);
        self.cx.record(op, Effect::NONE);
        for &word in self.words {
            engine.touch(word, OpKind::Retry, Effect::NONE);
            engine.note_seen(id, word);
            engine.history_watches(id, word);
        }
        Poll::Ready(())
    }
}

impl Future for Retry<'_> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<()> {
        if self.cx.engine().exploring() { self.wait() } else { Poll::Ready(()) }
    }
}

impl Engine {
    /// Lets every retry go on that names `object`, which has just changed.
    pub(crate) fn notify_retries(&self, object: ObjectId) {
        if self.retries.borrow().is_empty() {
            return;
        }
        let names = |&&(_, words): &&(ContextId, Words)| words.as_slice().contains(&object);
        let woken: Vec<_> = self.retries.borrow().iter().filter(names).map(|&(id, _)| id).collect();
        for id in woken {
            self.notify_spinner(id);
        }
    }

    /// The words that the retry pending on `context` watches.
    pub fn retried_words(&self, context: ContextId) -> Vec<ObjectId> {
        let retries = self.retries.borrow();
        let own = retries.iter().find(|(id, _)| *id == context);
        own.map_or_else(Vec::new, |(_, words)| words.as_slice().to_vec())
    }
}
