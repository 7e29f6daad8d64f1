//! Shared words with Linux's operations, each one a step that names its memory order.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;

use crate::context::Context;
use crate::engine::Engine;
use crate::glance;
use crate::guard::Held;
use crate::object::ObjectId;
use crate::record::{Effect, Op, OpKind, Order};
use crate::step::Step;

/// A value that fits a shared word.
pub trait WordValue: Copy + PartialEq + Unpin {
    /// The value as bits, for records.
    fn bits(self) -> u64;
}

macro_rules! word_values {
    ($($type:ty),*) => { $(impl WordValue for $type {
        #[inline(always)]
        fn bits(self) -> u64 {
            // Sign extension of a negative count is what a reader of a record expects to see.
            self as u64
        }
    })* };
}
word_values!(u8, u16, u32, u64, i32, i64, bool);

/// A shared word: a cell and its identity. Reachable by anyone at any time, hence one step per access.
///
/// The handle is made where it is used (`page.count()`), so a word costs no memory beyond its cell.
#[derive(Clone, Copy)]
pub struct Word<'a, T> {
    cell: &'a Cell<T>,
    id: ObjectId,
}

impl<'a, T: WordValue> Word<'a, T> {
    /// The word in `cell`, known as `id`.
    #[inline(always)]
    pub fn new(cell: &'a Cell<T>, id: ObjectId) -> Self {
        Self { cell, id }
    }

    /// The word's identity.
    pub fn id(self) -> ObjectId {
        self.id
    }

    /// The value, for observers outside the kernel text. No step: a kernel path must not use it. While schedules are explored
    /// the look counts as an access of the step being executed.
    #[inline]
    pub fn observe(self) -> T {
        glance::note_look(self.id);
        self.cell.get()
    }

    /// The value, for who holds the lock under which alone the word is written: no step, as nobody else can change it
    /// meanwhile. There are readers without the lock, so the holder's stores are steps all the same.
    #[inline(always)]
    pub fn get(self, _held: &impl Held) -> T {
        let value = self.cell.get();
        glance::tell(|digest| digest.absorb(value.bits()));
        value
    }

    /// A load inside the step of an interrupt, which is told of it.
    pub fn load_in_step(self, engine: &Engine) -> T {
        let value = self.cell.get();
        engine.touch(self.id, OpKind::Load, Effect { old: value.bits(), new: value.bits() });
        value
    }

    /// A read-modify-write inside the step of an interrupt: replaces the word by `change` of it, and yields the old value, for
    /// this step only.
    pub fn modify_in_step(self, engine: &Engine, kind: OpKind, change: impl FnOnce(T) -> T) -> T {
        let old = self.cell.get();
        let new = change(old);
        self.cell.set(new);
        engine.touch_untold(self.id, kind, Effect { old: old.bits(), new: new.bits() });
        old
    }

    /// Sets the word outside a run (a scenario's beginning), or one that nobody can reach yet; what a step sets so counts as its
    /// access. A kernel path must not use it otherwise.
    pub fn set_up(self, value: T) {
        let old = self.cell.replace(value);
        glance::note_change(self.id, Effect { old: old.bits(), new: value.bits() });
    }

    /// The cell, for steps of this package that act on part of the word.
    #[inline(always)]
    pub(crate) fn cell(self) -> &'a Cell<T> {
        self.cell
    }

    #[inline(always)]
    fn op(self, kind: OpKind, order: Order, location: &'static Location<'static>) -> Op {
        Op { object: self.id, kind, order, location }
    }

    #[inline(always)]
    fn load(self, cx: &Context, order: Order, at: &'static Location<'static>) -> impl Future<Output = T> {
        Step::new(cx, self.op(OpKind::Load, order, at), move || {
            let value = self.cell.get();
            (value, Effect { old: value.bits(), new: value.bits() })
        })
    }

    #[inline(always)]
    fn store(
        self,
        cx: &Context,
        value: T,
        order: Order,
        at: &'static Location<'static>,
    ) -> impl Future<Output = ()> {
        Step::new(cx, self.op(OpKind::Store, order, at), move || {
            let old = self.cell.replace(value);
            ((), Effect { old: old.bits(), new: value.bits() })
        })
    }

    /// Replaces the word by `change` of it in one act; yields the old value.
    #[inline(always)]
    fn update(
        self,
        cx: &Context,
        kind: OpKind,
        order: Order,
        at: &'static Location<'static>,
        change: impl FnOnce(T) -> T + Unpin,
    ) -> impl Future<Output = T> {
        Step::new(cx, self.op(kind, order, at), move || {
            let old = self.cell.get();
            let new = change(old);
            self.cell.set(new);
            (old, Effect { old: old.bits(), new: new.bits() })
        })
    }

    /// `READ_ONCE`: a fresh load, unordered.
    #[inline(always)]
    #[track_caller]
    pub fn read_once(self, cx: &Context) -> impl Future<Output = T> {
        self.load(cx, Order::Once, Location::caller())
    }

    /// `WRITE_ONCE`: a store, unordered.
    #[inline(always)]
    #[track_caller]
    pub fn write_once(self, cx: &Context, value: T) -> impl Future<Output = ()> {
        self.store(cx, value, Order::Once, Location::caller())
    }

    /// `smp_load_acquire`.
    #[inline(always)]
    #[track_caller]
    pub fn load_acquire(self, cx: &Context) -> impl Future<Output = T> {
        self.load(cx, Order::Acquire, Location::caller())
    }

    /// `smp_store_release`.
    #[inline(always)]
    #[track_caller]
    pub fn store_release(self, cx: &Context, value: T) -> impl Future<Output = ()> {
        self.store(cx, value, Order::Release, Location::caller())
    }

    /// `rcu_dereference`: a load that orders accesses through the loaded address after it.
    #[inline(always)]
    #[track_caller]
    pub fn rcu_dereference(self, cx: &Context) -> impl Future<Output = T> {
        self.load(cx, Order::Dependent, Location::caller())
    }

    /// `xchg`: stores `value`, yields the old one; a full barrier.
    #[inline(always)]
    #[track_caller]
    pub fn xchg(self, cx: &Context, value: T) -> impl Future<Output = T> {
        self.update(cx, OpKind::Rmw, Order::Full, Location::caller(), move |_| value)
    }

    /// A locked read-modify-write with another name in Linux (`ptep_set_wrprotect`): replaces the word by `change` of it
    /// in one act, yields the old value; a full barrier.
    #[inline(always)]
    #[track_caller]
    pub fn modify(self, cx: &Context, change: impl FnOnce(T) -> T + Unpin) -> impl Future<Output = T> {
        self.update(cx, OpKind::Rmw, Order::Full, Location::caller(), change)
    }

    /// `cmpxchg`: stores `new` if the word is `old`. `Ok` on success; `Err` with what was found.
    #[inline(always)]
    #[track_caller]
    pub fn cmpxchg(self, cx: &Context, old: T, new: T) -> impl Future<Output = Result<(), T>> {
        Step::new(cx, self.op(OpKind::Rmw, Order::Full, Location::caller()), move || {
            let found = self.cell.get();
            if found == old {
                self.cell.set(new);
                (Ok(()), Effect { old: old.bits(), new: new.bits() })
            } else {
                (Err(found), Effect { old: found.bits(), new: found.bits() })
            }
        })
    }
}

macro_rules! counting_words {
    ($($type:ty),*) => { $(impl<'a> Word<'a, $type> {
        /// `atomic_add_return` (`fetch_add`): adds, yields the *old* value; a full barrier. Wraps.
        #[inline(always)]
        #[track_caller]
        pub fn fetch_add(self, cx: &Context, n: $type) -> impl Future<Output = $type> {
            self.update(cx, OpKind::Rmw, Order::Full, Location::caller(), move |old| old.wrapping_add(n))
        }

        /// `atomic_inc`: adds 1; a full barrier. Wraps.
        #[inline(always)]
        #[track_caller]
        pub fn inc(self, cx: &Context) -> impl Future<Output = ()> {
            let step = self.update(cx, OpKind::RmwTest, Order::Full, Location::caller(), |old| old.wrapping_add(1));
            async move { step.await; }
        }

        /// `atomic_inc_not_zero`: adds 1 unless the word is 0; yields whether it did.
        #[inline(always)]
        #[track_caller]
        pub fn inc_not_zero(self, cx: &Context) -> impl Future<Output = bool> {
            let step = self.update(cx, OpKind::RmwTest, Order::Full, Location::caller(), |old| {
                if old == 0 { 0 } else { old.wrapping_add(1) }
            });
            async move { step.await != 0 }
        }

        /// `atomic_dec_and_test`: subtracts 1, yields whether the result is 0; a full barrier.
        #[inline(always)]
        #[track_caller]
        pub fn dec_and_test(self, cx: &Context) -> impl Future<Output = bool> {
            let step = self.update(cx, OpKind::RmwTest, Order::Full, Location::caller(), |old| old.wrapping_sub(1));
            async move { step.await == 1 }
        }
    })* };
}
counting_words!(i32, u32, u64);

macro_rules! bit_words {
    ($($type:ty),*) => { $(impl<'a> Word<'a, $type> {
        #[inline(always)]
        fn change_bit(
            self,
            cx: &Context,
            bit: u8,
            to: bool,
            order: Order,
            at: &'static Location<'static>,
        ) -> impl Future<Output = bool> {
            let mask: $type = 1 << bit;
            let step = self.update(cx, OpKind::ChangeBit(bit), order, at, move |old| {
                if to { old | mask } else { old & !mask }
            });
            async move { step.await & mask != 0 }
        }

        /// `test_bit`.
        #[inline(always)]
        #[track_caller]
        pub fn test_bit(self, cx: &Context, bit: u8) -> impl Future<Output = bool> {
            let op = self.op(OpKind::TestBit(bit), Order::Once, Location::caller());
            Step::new(cx, op, move || {
                let word = self.cell.get();
                (word & (1 << bit) != 0, Effect { old: word.bits(), new: word.bits() })
            })
        }

        /// `set_bit`: unordered in Linux.
        #[inline(always)]
        #[track_caller]
        pub fn set_bit(self, cx: &Context, bit: u8) -> impl Future<Output = ()> {
            let step = self.change_bit(cx, bit, true, Order::Once, Location::caller());
            async move { step.await; }
        }

        /// `clear_bit`: unordered in Linux.
        #[inline(always)]
        #[track_caller]
        pub fn clear_bit(self, cx: &Context, bit: u8) -> impl Future<Output = ()> {
            let step = self.change_bit(cx, bit, false, Order::Once, Location::caller());
            async move { step.await; }
        }

        /// `test_and_set_bit`: yields the old bit; a full barrier.
        #[inline(always)]
        #[track_caller]
        pub fn test_and_set_bit(self, cx: &Context, bit: u8) -> impl Future<Output = bool> {
            self.change_bit(cx, bit, true, Order::Full, Location::caller())
        }

        /// `test_and_clear_bit`: yields the old bit; a full barrier.
        #[inline(always)]
        #[track_caller]
        pub fn test_and_clear_bit(self, cx: &Context, bit: u8) -> impl Future<Output = bool> {
            self.change_bit(cx, bit, false, Order::Full, Location::caller())
        }
    })* };
}
bit_words!(u32, u64);
