//! Steps that must wait until they are enabled, and wait queues built from them.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{self, Poll};

use crate::context::Context;
use crate::engine::Engine;
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

/// A step with an enabled test: `attempt` performs it. There is no polling loop: the context is asleep to
/// the scheduler until whoever changes the object says so.
///
/// `enabled` may put a sleeper in line (it is then evaluated only in a granted step); a spinner's changes
/// nothing.
#[must_use = "a step happens only when it is awaited"]
pub(crate) struct BlockingStep<'a, A, E> {
    cx: &'a Context,
    op: Op,
    waiting: Waiting,
    announced: bool,
    slept: bool,
    /// The clock when it first could not go on at once.
    since: u64,
    enabled: E,
    attempt: A,
}

impl<'a, R, A, E> BlockingStep<'a, A, E>
where
    A: FnMut() -> R + Unpin,
    E: Fn() -> bool + Unpin,
{
    #[inline(always)]
    pub(crate) fn new(cx: &'a Context, op: Op, waiting: Waiting, enabled: E, attempt: A) -> Self {
        Self { cx, op, waiting, announced: false, slept: false, since: 0, enabled, attempt }
    }

    /// Keeps the CPU until the operation is enabled and granted.
    #[cold]
    #[inline(never)]
    fn spin(&mut self) -> Poll<R> {
        let engine = self.cx.engine();
        if !self.announced {
            self.since = self.cx.cpu().clock();
        }
        self.announced = true;
        engine.announce(self.cx.id(), self.op);
        if (self.enabled)() {
            engine.contend(self.cx.id());
        } else {
            engine.block(self.cx.id(), self.op.object, false);
        }
        Poll::Pending
    }

    /// Gives up the CPU until the object changes. Looking, getting in line and leaving is one step.
    #[cold]
    #[inline(never)]
    fn sleep(&mut self) -> Poll<R> {
        if !self.slept {
            self.since = self.cx.cpu().clock();
        }
        self.slept = true;
        self.cx.charge_op(&self.op);
        self.cx.record(self.op, Effect::NONE);
        self.cx.engine().announce(self.cx.id(), self.op);
        self.cx.engine().block(self.cx.id(), self.op.object, true);
        Poll::Pending
    }

    #[cold]
    #[inline(never)]
    fn note_wait(&self) {
        let waited = self.cx.cpu().clock() - self.since;
        self.cx.engine().waits.note(self.op.object.class, self.op.kind, waited);
    }

    /// A sleeper that was not granted its look. Where schedules are explored it looks nevertheless, and sleeps if it must: who
    /// cannot go on is not to be chosen.
    #[cold]
    #[inline(never)]
    fn wait_for_turn(&mut self) -> Poll<R> {
        let engine = self.cx.engine();
        if engine.exploring() {
            self.announced = true;
            engine.announce(self.cx.id(), self.op);
            engine.exploring.set_drowsy(self.cx.cpu().id(), true);
            if (self.enabled)() {
                engine.contend(self.cx.id());
            } else {
                engine.block(self.cx.id(), self.op.object, true);
            }
        }
        Poll::Pending
    }

    #[inline(always)]
    fn perform(&mut self) -> Poll<R> {
        let result = (self.attempt)();
        if self.announced || self.slept {
            self.note_wait();
        }
        if self.waiting == Waiting::Sleep && self.cx.engine().exploring() {
            self.cx.engine().exploring.set_drowsy(self.cx.cpu().id(), false);
        }
        self.cx.charge_op(&self.op);
        let new = match self.op.kind {
            OpKind::Lock | OpKind::LockShared => 1,
            OpKind::ChangeBit(bit) => 1 << bit,
            _ => 0,
        };
        self.cx.record(self.op, Effect { old: 0, new });
        Poll::Ready(result)
    }
}

impl<R, A, E> Future for BlockingStep<'_, A, E>
where
    A: FnMut() -> R + Unpin,
    E: Fn() -> bool + Unpin,
{
    type Output = R;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<R> {
        if self.announced {
            self.cx.engine().stop_contending(self.cx.id());
        }
        match self.waiting {
            // Who spins is not to be chosen until it can go on.
            Waiting::Spin if !(self.enabled)() || !self.cx.may_step(&self.op) => self.spin(),
            Waiting::Spin => self.perform(),
            // Finding that it must sleep changes who has the CPU and the place in line: that is a step, taken
            // when it is this context's turn and not on arrival.
            Waiting::Sleep if !self.cx.may_step(&self.op) => self.wait_for_turn(),
            Waiting::Sleep => {
                if !self.slept {
                    self.cx.might_sleep("may sleep");
                }
                if (self.enabled)() { self.perform() } else { self.sleep() }
            }
        }
    }
}

/// A queue of contexts that sleep until a condition holds (Linux's `wait_queue_head_t`).
pub struct WaitQueue {
    id: ObjectId,
}

crate::keep!(WaitQueue: ; fixed id);

impl WaitQueue {
    /// An empty queue. `index` tells queues of one class apart.
    pub fn new(class: &'static Class, index: u64) -> Self {
        Self { id: ObjectId::new(class, index) }
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
        BlockingStep::new(cx, op, Waiting::Sleep, condition, || ())
    }

    /// The step being executed reads what a condition of this queue is made of, or changes it without making any true.
    pub fn touch(&self, engine: &Engine, kind: OpKind) {
        engine.touch(self.id, kind, Effect::NONE);
    }

    /// [`WaitQueue::wake_up`] in the step of an interrupt.
    pub fn wake_up_from_interrupt(&self, engine: &Engine) {
        engine.touch(self.id, OpKind::Store, Effect { old: 0, new: 1 });
        engine.notify_sleepers(self.id);
    }

    /// Lets every waiter look at its condition again (`wake_up_all`).
    pub fn wake_up(&self, cx: &Context) {
        self.wake_up_from_interrupt(cx.engine());
    }
}
