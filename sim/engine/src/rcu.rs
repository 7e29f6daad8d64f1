//! RCU: read sections, `synchronize_rcu`, `call_rcu`.
//!
//! A grace period waits for exactly the read sections that were open when it began. It is two steps:
//! the beginning takes a snapshot of the readers, the end is enabled when none of them is left.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;

use crate::context::{Context, ContextId};
use crate::cpu::{Cpu, CpuId};
use crate::digest::Digest;
use crate::engine::Engine;
use crate::interrupt::Interrupt;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order};
use crate::step::Step;
use crate::wait::{BlockingStep, Waiting};

/// The class of the one object that read sections and the beginnings of grace periods share.
pub static RCU: Class = Class::new(3, "rcu");
/// The class of grace periods. The index is the CPU on which it began and how many began there before.
pub static GRACE: Class = Class::new(4, "grace period");

type Callback = Box<dyn FnOnce(&Engine)>;

/// A callback of an explored run: of which CPU, after which grace period, and the history of who asked for it.
struct Asked {
    cpu: CpuId,
    number: u64,
    callback: Callback,
    origin: Digest,
}

struct GracePeriod {
    number: u64,
    readers: Vec<ContextId>,
    callback: Option<(CpuId, Callback)>,
}

/// The read sections that are open and the grace periods that wait for them.
#[derive(Default)]
pub(crate) struct Rcu {
    /// Open sections: how deep each context is nested.
    sections: RefCell<Vec<(ContextId, u32)>>,
    waiting: RefCell<Vec<GracePeriod>>,
    /// Callbacks of explored runs, whose delivery is a choice of its own.
    callbacks: RefCell<Vec<Asked>>,
}

fn op(object: ObjectId, kind: OpKind, location: &'static Location<'static>) -> Op {
    Op { object, kind, order: Order::Full, location }
}

impl Rcu {
    /// Begins a grace period on `cpu`. Its number does not depend on what other CPUs do.
    fn begin(&self, cpu: &Cpu, callback: Option<(CpuId, Callback)>) -> u64 {
        let begun = cpu.grace_periods.get();
        cpu.grace_periods.set(begun + 1);
        let number = (u64::from(cpu.id().0) << 40) | begun;
        let readers = self.sections.borrow().iter().map(|&(reader, _)| reader).collect();
        self.waiting.borrow_mut().push(GracePeriod { number, readers, callback });
        number
    }

    fn over(&self, number: u64) -> bool {
        self.waiting.borrow().iter().all(|period| period.number != number)
    }

    /// Ends every grace period whose readers have all left.
    fn end_finished(&self, engine: &Engine) {
        let finished: Vec<_> =
            self.waiting.borrow_mut().extract_if(.., |period| period.readers.is_empty()).collect();
        for period in finished {
            engine.notify_sleepers(ObjectId::new(&GRACE, period.number));
            if let Some((cpu, callback)) = period.callback {
                let once = Cell::new(Some(callback));
                let run = Rc::new(move |engine: &Engine, _: &Cpu| {
                    once.take().expect("a callback runs once")(engine);
                });
                let (arrival, location, origin) = (engine.now(), Location::caller(), engine.history());
                engine.raise(
                    engine.cpu(cpu),
                    Interrupt { arrival, location, entered: false, handler: run, origin },
                );
            }
        }
    }

    /// Leaves a section; how deep the reader was.
    fn leave(&self, engine: &Engine, reader: ContextId) -> u32 {
        let mut sections = self.sections.borrow_mut();
        let place = sections.iter().position(|&(of, _)| of == reader).expect("only a reader leaves");
        let before = sections[place].1;
        if before > 1 {
            sections[place].1 -= 1;
            return before;
        }
        sections.swap_remove(place);
        drop(sections);
        if self.waiting.borrow().is_empty() {
            return 1;
        }
        for period in self.waiting.borrow_mut().iter_mut() {
            period.readers.retain(|&waited| waited != reader);
        }
        self.end_finished(engine);
        1
    }

    pub(crate) fn restart(&self) {
        self.sections.borrow_mut().clear();
        if !self.waiting.borrow().is_empty() || self.has_callbacks() {
            drop(self.take_callbacks());
        }
    }

    /// Callbacks not run, for an abandoned run to forget.
    pub(crate) fn take_callbacks(&self) -> impl Sized + use<> {
        (self.callbacks.take(), self.waiting.take())
    }

    pub(crate) fn has_callbacks(&self) -> bool {
        !self.callbacks.borrow().is_empty()
    }

    /// The grace period of the oldest callback of `cpu`, if it is over.
    pub(crate) fn callback_due(&self, cpu: CpuId) -> Option<u64> {
        let callbacks = self.callbacks.borrow();
        let number = callbacks.iter().find(|asked| asked.cpu == cpu)?.number;
        self.over(number).then_some(number)
    }

    /// Runs the oldest callback of `cpu`.
    pub(crate) fn run_callback(&self, engine: &Engine, cpu: CpuId) {
        let place = self.callbacks.borrow().iter().position(|asked| asked.cpu == cpu).expect("one is due");
        let asked = self.callbacks.borrow_mut().remove(place);
        engine.history_is(asked.origin);
        (asked.callback)(engine);
    }

    /// The grace periods that wait, for whom, and the callbacks after them.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        for period in self.waiting.borrow().iter() {
            let mut readers: Vec<_> = period.readers.iter().map(|reader| reader.number()).collect();
            readers.sort_unstable();
            digest.absorb(period.number);
            digest.absorb(readers.len() as u64);
            readers.iter().for_each(|&reader| digest.absorb(u64::from(reader)));
        }
        for asked in self.callbacks.borrow().iter() {
            digest.absorb(u64::from(asked.cpu.0) << 56 ^ asked.number);
            digest.absorb_digest(asked.origin);
        }
    }
}

/// The step in which a callback runs after grace period `number`.
pub(crate) fn callback_op(number: u64) -> Op {
    op(ObjectId::new(&GRACE, number), OpKind::GraceEnd, Location::caller())
}

impl Context {
    /// `rcu_read_lock`: opens a read section. It must not sleep.
    #[track_caller]
    pub fn rcu_read_lock(&self) -> impl Future<Output = RcuGuard<'_>> {
        let location = Location::caller();
        Step::new(self, op(ObjectId::new(&RCU, 0), OpKind::ReadLock, location), move || {
            let mut sections = self.engine().rcu.sections.borrow_mut();
            let place = sections.iter().position(|&(of, _)| of == self.id()).unwrap_or_else(|| {
                sections.push((self.id(), 0));
                sections.len() - 1
            });
            let old = u64::from(sections[place].1);
            sections[place].1 += 1;
            self.atomic.set(self.atomic.get() + 1);
            let new = old + 1;
            (RcuGuard { cx: self, location, armed: true }, Effect { old, new })
        })
    }

    /// `synchronize_rcu`: sleeps until every read section that is open now has ended.
    #[track_caller]
    pub fn synchronize_rcu(&self) -> impl Future<Output = ()> {
        let location = Location::caller();
        let begin = Step::new(self, op(ObjectId::new(&RCU, 0), OpKind::GraceBegin, location), move || {
            let number = self.engine().rcu.begin(self.cpu(), None);
            self.engine().rcu.end_finished(self.engine());
            (number, Effect { old: number, new: number })
        });
        async move {
            let number = begin.await;
            let end = op(ObjectId::new(&GRACE, number), OpKind::GraceEnd, location);
            let over = || self.engine().rcu.over(number);
            BlockingStep::new(self, end, Waiting::Sleep, over, || ()).await;
        }
    }

    /// `call_rcu`: runs `callback` on this CPU after a grace period that begins now. Does not wait.
    #[track_caller]
    pub fn call_rcu(&self, callback: impl FnOnce(&Engine) + 'static) -> impl Future<Output = ()> {
        let location = Location::caller();
        let callback: Callback = Box::new(callback);
        Step::new(self, op(ObjectId::new(&RCU, 0), OpKind::GraceBegin, location), move || {
            let (rcu, cpu) = (&self.engine().rcu, self.cpu());
            let number = if self.engine().exploring() {
                let number = rcu.begin(cpu, None);
                let (cpu, origin) = (cpu.id(), self.engine().history());
                rcu.callbacks.borrow_mut().push(Asked { cpu, number, callback, origin });
                number
            } else {
                rcu.begin(cpu, Some((cpu.id(), callback)))
            };
            rcu.end_finished(self.engine());
            ((), Effect { old: number, new: number })
        })
    }
}

/// An open read section.
#[must_use = "a read section is left by `unlock().await`"]
pub struct RcuGuard<'a> {
    cx: &'a Context,
    location: &'static Location<'static>,
    armed: bool,
}

impl RcuGuard<'_> {
    /// `rcu_read_unlock`.
    #[track_caller]
    pub fn unlock(self) -> impl Future<Output = ()> {
        let cx = self.cx;
        Step::new(cx, op(ObjectId::new(&RCU, 0), OpKind::ReadUnlock, Location::caller()), move || {
            let mut section = self;
            section.armed = false;
            cx.atomic.set(cx.atomic.get() - 1);
            let depth = u64::from(cx.engine().rcu.leave(cx.engine(), cx.id()));
            ((), Effect { old: depth, new: depth - 1 })
        })
    }
}

impl Drop for RcuGuard<'_> {
    fn drop(&mut self) {
        if self.armed && !self.cx.engine().abandoned() {
            let message = format!("the read section opened at {} was never left", self.location);
            self.cx.engine().violation("lost-lock", message);
        }
    }
}
