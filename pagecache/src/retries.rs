//! The bound on how often a lookup may look again.

use std::future::pending;

use pagewalk_engine::Context;

/// A lookup that goes round more often than this never ends (I27). A frozen count lasts a few steps of its freezer.
pub const MOST_ROUNDS: u32 = 10_000;

/// The rounds of one lookup.
#[derive(Default)]
pub(crate) struct Rounds(u32);

impl Rounds {
    /// One more round. A lookup that has had too many is reported, and the run ends: it would go on for ever.
    #[inline(always)]
    pub(crate) async fn next(&mut self, cx: &Context, what: &str) {
        self.0 += 1;
        if self.0 > MOST_ROUNDS {
            livelock(cx, what);
            pending::<()>().await;
        }
    }
}

#[cold]
fn livelock(cx: &Context, what: &str) {
    let message = format!("{what} of {} went round {MOST_ROUNDS} times", cx.id());
    cx.engine().violation("I27", message.clone());
    cx.engine().stop(message);
}
