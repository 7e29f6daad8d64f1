//! Bits that contexts sleep for: the page lock and the ends of I/O (`wait_on_bit_lock`, `wait_on_bit`).
//!
//! Follows kernel/wait.c of v2.6.27; a wake-up reaches everyone who sleeps for a bit of the word, and each looks again.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;

use crate::context::Context;
use crate::engine::Engine;
use crate::record::{Effect, Op, OpKind, Order};
use crate::step::Step;
use crate::wait::{BlockingStep, Waiting};
use crate::word::Word;

impl<'a> Word<'a, u32> {
    /// `wait_on_bit_lock`: sleeps until `bit` is clear, and sets it in the same act; acquire order.
    #[track_caller]
    pub fn lock_bit(self, cx: &'a Context, bit: u8) -> impl Future<Output = ()> + 'a {
        let op = self.bit_op(OpKind::ChangeBit(bit), Order::Acquire, Location::caller());
        let mask = 1 << bit;
        let free = move || self.cell().get() & mask == 0;
        BlockingStep::new(cx, op, Waiting::Sleep, free, move || self.cell().set(self.cell().get() | mask))
    }

    /// `wait_on_bit`: sleeps until `bit` is clear.
    #[track_caller]
    pub fn wait_on_bit(self, cx: &'a Context, bit: u8) -> impl Future<Output = ()> + 'a {
        let op = self.bit_op(OpKind::TestBit(bit), Order::Acquire, Location::caller());
        let free = move || self.cell().get() & (1 << bit) == 0;
        BlockingStep::new(cx, op, Waiting::Sleep, free, || ())
    }

    /// `if (test_bit) schedule()`: sleeps once if `bit` is set, and goes on when it is woken, whatever the bit is then.
    #[track_caller]
    pub fn sleep_on_bit(self, cx: &'a Context, bit: u8) -> impl Future<Output = ()> + 'a {
        let set = self.test_bit(cx, bit);
        let op = self.bit_op(OpKind::TestBit(bit), Order::Acquire, Location::caller());
        async move {
            if set.await {
                let slept = Cell::new(false);
                // A wake that came before it slept is not waited for.
                let woken = move || self.cell().get() & (1 << bit) == 0 || slept.replace(true);
                BlockingStep::new(cx, op, Waiting::Sleep, woken, || ()).await;
            }
        }
    }

    /// Clears `bit`, with release order, and wakes who sleeps for it: one step. Yields the old bit.
    ///
    /// Linux clears, then wakes. Waking makes nothing visible but that the sleepers look again, so one step has the same outcomes.
    #[track_caller]
    pub fn unlock_bit(self, cx: &'a Context, bit: u8) -> impl Future<Output = bool> + 'a {
        let op = self.bit_op(OpKind::ChangeBit(bit), Order::Release, Location::caller());
        Step::new(cx, op, move || {
            let old = self.cell().get();
            self.end_bit(cx.engine(), bit);
            let new = self.cell().get();
            (old & (1 << bit) != 0, Effect { old: u64::from(old), new: u64::from(new) })
        })
    }

    /// Clears `bit` and wakes who sleeps for it, from an interrupt handler: the delivery is the step.
    pub fn end_bit(self, engine: &Engine, bit: u8) {
        self.modify_in_step(engine, OpKind::ChangeBit(bit), |flags| flags & !(1 << bit));
        engine.notify_sleepers(self.id());
    }

    /// `wake_up_page`, from an interrupt handler: who sleeps for a bit of the word looks again.
    pub fn wake_bit_waiters(self, engine: &Engine) {
        engine.touch_untold(self.id(), OpKind::Load, Effect::NONE);
        engine.notify_sleepers(self.id());
    }

    fn bit_op(self, kind: OpKind, order: Order, location: &'static Location<'static>) -> Op {
        Op { object: self.id(), kind, order, location }
    }
}
