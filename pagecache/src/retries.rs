//! The bound on how often a lookup may look again.

use std::future::{Future, poll_fn};
use std::task::Poll;

use pagewalk_engine::Context;

/// A lookup that goes round more often than this never ends (I27). A frozen count lasts a few steps of its freezer.
pub const MOST_ROUNDS: u32 = 10_000;

/// The rounds of one lookup.
#[derive(Default)]
pub(crate) struct Rounds(u32);

impl Rounds {
    /// One more round. A lookup that has had too many is reported, and the run ends: it would go on for ever.
    #[inline(always)]
    pub(crate) fn next<'a>(&mut self, cx: &'a Context, what: &'a str) -> impl Future<Output = ()> + use<'a> {
        self.0 += 1;
        let too_many = self.0 > MOST_ROUNDS;
        poll_fn(move |_| {
            if too_many {
                livelock(cx, what);
                return Poll::Pending;
            }
            Poll::Ready(())
        })
    }
}

#[cold]
fn livelock(cx: &Context, what: &str) {
    let message = format!("{what} of {} went round {MOST_ROUNDS} times", cx.id());
    cx.engine().violation("I27", message.clone());
    cx.engine().stop(message);
}
