//! Steps that must wait until they are enabled, and wait queues built from them.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{self, Poll};

use crate::context::Context;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order};

/// How a context waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It keeps its CPU, as a spin lock does.
    Spin,
    /// It gives its CPU to others.
    Sleep,
}

/// A step with an enabled test: `attempt` performs it and yields `Some`, or finds it not enabled and
/// changes nothing. There is no polling loop: the context is asleep to the scheduler until whoever
/// changes the object says so.
#[must_use = "a step happens only when it is awaited"]
pub(crate) struct BlockingStep<'a, A, E> {
    cx: &'a Context,
    op: Op,
    waiting: Waiting,
    announced: bool,
    enabled: E,
    attempt: A,
}

impl<'a, R, A, E> BlockingStep<'a, A, E>
where
    A: FnMut() -> Option<R> + Unpin,
    E: Fn() -> bool + Unpin,
{
    #[inline(always)]
    pub(crate) fn new(cx: &'a Context, op: Op, waiting: Waiting, enabled: E, attempt: A) -> Self {
        Self { cx, op, waiting, announced: false, enabled, attempt }
    }

    #[cold]
    #[inline(never)]
    fn wait(&mut self) -> Poll<R> {
        let engine = self.cx.engine();
        self.announced = true;
        engine.announce(self.cx.id(), self.op);
        if self.waiting == Waiting::Spin && (self.enabled)() {
            engine.contend(self.cx.id());
        } else if !(self.enabled)() {
            if self.waiting == Waiting::Sleep {
                self.cx.might_sleep("sleeps");
            }
            engine.block(self.cx.id(), self.op.object, self.waiting == Waiting::Sleep);
        }
        Poll::Pending
    }
}

impl<R, A, E> Future for BlockingStep<'_, A, E>
where
    A: FnMut() -> Option<R> + Unpin,
    E: Fn() -> bool + Unpin,
{
    type Output = R;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<R> {
        if self.announced {
            self.cx.engine().stop_contending(self.cx.id());
        }
        if !(self.enabled)() || !self.cx.may_step(&self.op) {
            return self.wait();
        }
        let Some(result) = (self.attempt)() else {
            unreachable!("an enabled operation succeeds");
        };
        self.cx.charge_op(&self.op);
        self.cx.record(self.op, Effect::NONE);
        Poll::Ready(result)
    }
}

/// A queue of contexts that sleep until a condition holds (Linux's `wait_queue_head_t`).
pub struct WaitQueue {
    id: ObjectId,
    wakes: Cell<u64>,
}

impl WaitQueue {
    /// An empty queue. `index` tells queues of one class apart.
    pub fn new(class: &'static Class, index: u64) -> Self {
        Self { id: ObjectId::new(class, index), wakes: Cell::new(0) }
    }

    /// Sleeps until `condition` holds (`wait_event`). The condition reads private or guarded state; whoever
    /// makes it true calls [`WaitQueue::wake_up`].
    #[track_caller]
    pub fn wait_event<'a>(
        &'a self,
        cx: &'a Context,
        condition: impl Fn() -> bool + Unpin + 'a,
    ) -> impl Future<Output = ()> + 'a {
        let op = Op { object: self.id, kind: OpKind::Wait, order: Order::Full, location: Location::caller() };
        BlockingStep::new(cx, op, Waiting::Sleep, condition, || Some(()))
    }

    /// Lets every waiter look at its condition again (`wake_up_all`).
    pub fn wake_up(&self, cx: &Context) {
        self.wakes.set(self.wakes.get() + 1);
        cx.engine().notify(self.id);
    }
}
