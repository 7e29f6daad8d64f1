//! The step: one access to shared state, one `.await`.

use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};

use crate::context::Context;
use crate::record::{Effect, Op};

/// One access to shared state that has not happened yet.
///
/// Awaiting it announces the operation, waits until the scheduler grants it, performs it all at once and
/// records it. Inside the horizon that is a compare and the operation itself.
#[must_use = "a step happens only when it is awaited"]
pub struct Step<'a, F> {
    cx: &'a Context,
    op: Op,
    act: Option<F>,
}

impl<'a, R, F: FnOnce() -> (R, Effect) + Unpin> Step<'a, F> {
    /// The step that performs `act` as `op`.
    #[inline(always)]
    pub fn new(cx: &'a Context, op: Op, act: F) -> Self {
        Self { cx, op, act: Some(act) }
    }

    #[inline(always)]
    fn perform(&mut self) -> (R, Effect) {
        self.cx.charge_op(&self.op);
        (self.act.take().expect("a step happens once"))()
    }

    #[cold]
    #[inline(never)]
    fn perform_seen(&mut self) -> Poll<R> {
        if !self.cx.granted(&self.op) {
            return Poll::Pending;
        }
        let (result, effect) = if self.cx.engine().exploring() {
            (self.act.take().expect("a step happens once"))()
        } else {
            self.perform()
        };
        self.cx.record(self.op, effect);
        Poll::Ready(result)
    }
}

impl<R, F: FnOnce() -> (R, Effect) + Unpin> Future for Step<'_, F> {
    type Output = R;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<R> {
        if self.cx.cpu().clock.get() <= self.cx.cpu().horizon.get() {
            return Poll::Ready(self.perform().0);
        }
        self.perform_seen()
    }
}
