//! RCU: read sections, `synchronize_rcu`, `call_rcu`.
//!
//! A grace period waits for exactly the read sections that were open when it began. It is two steps:
//! the beginning takes a snapshot of the readers, the end is enabled when none of them is left.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;

use crate::context::{Context, ContextId};
use crate::cpu::CpuId;
use crate::engine::Engine;
use crate::object::{Class, ObjectId};
use crate::record::{Effect, Op, OpKind, Order};
use crate::step::Step;
use crate::wait::{BlockingStep, Waiting};

static RCU: Class = Class::new(3, "rcu");
static GRACE: Class = Class::new(4, "grace period");

type Callback = Box<dyn FnOnce(&Engine)>;

struct GracePeriod {
    number: u64,
    readers: Vec<ContextId>,
    callback: Option<(CpuId, Callback)>,
}

/// The read sections that are open and the grace periods that wait for them.
#[derive(Default)]
pub(crate) struct Rcu {
    /// Open sections: how deep each context is nested.
    sections: RefCell<BTreeMap<ContextId, u32>>,
    waiting: RefCell<Vec<GracePeriod>>,
    begun: Cell<u64>,
}

fn op(object: ObjectId, kind: OpKind, location: &'static Location<'static>) -> Op {
    Op { object, kind, order: Order::Full, location }
}

impl Rcu {
    fn begin(&self, callback: Option<(CpuId, Callback)>) -> u64 {
        let number = self.begun.get();
        self.begun.set(number + 1);
        let readers = self.sections.borrow().keys().copied().collect();
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
                let run = Rc::new(move |engine: &Engine, _: &crate::Cpu| {
                    once.take().expect("a callback runs once")(engine);
                });
                engine.raise(engine.cpu(cpu), engine.now(), run);
            }
        }
    }

    fn leave(&self, engine: &Engine, reader: ContextId) {
        let mut sections = self.sections.borrow_mut();
        let depth = sections.get_mut(&reader).expect("only a reader leaves");
        *depth -= 1;
        if *depth > 0 {
            return;
        }
        sections.remove(&reader);
        drop(sections);
        for period in self.waiting.borrow_mut().iter_mut() {
            period.readers.retain(|&waited| waited != reader);
        }
        self.end_finished(engine);
    }
}

impl Context {
    /// `rcu_read_lock`: opens a read section. It must not sleep.
    #[track_caller]
    pub fn rcu_read_lock(&self) -> impl Future<Output = RcuGuard<'_>> {
        let location = Location::caller();
        Step::new(self, op(ObjectId::new(&RCU, 0), OpKind::Rcu, location), move || {
            *self.engine().rcu.sections.borrow_mut().entry(self.id()).or_default() += 1;
            self.atomic.set(self.atomic.get() + 1);
            (RcuGuard { cx: self, location, armed: true }, Effect::NONE)
        })
    }

    /// `synchronize_rcu`: sleeps until every read section that is open now has ended.
    #[track_caller]
    pub fn synchronize_rcu(&self) -> impl Future<Output = ()> {
        let location = Location::caller();
        let begin = Step::new(self, op(ObjectId::new(&RCU, 0), OpKind::Rcu, location), move || {
            let number = self.engine().rcu.begin(None);
            self.engine().rcu.end_finished(self.engine());
            (number, Effect::NONE)
        });
        async move {
            let number = begin.await;
            let end = op(ObjectId::new(&GRACE, number), OpKind::Wait, location);
            let over = || self.engine().rcu.over(number);
            BlockingStep::new(self, end, Waiting::Sleep, over, || ()).await;
        }
    }

    /// `call_rcu`: runs `callback` on this CPU after a grace period that begins now. Does not wait.
    #[track_caller]
    pub fn call_rcu(&self, callback: impl FnOnce(&Engine) + 'static) -> impl Future<Output = ()> {
        let location = Location::caller();
        let callback: Callback = Box::new(callback);
        Step::new(self, op(ObjectId::new(&RCU, 0), OpKind::Rcu, location), move || {
            self.engine().rcu.begin(Some((self.cpu().id(), callback)));
            self.engine().rcu.end_finished(self.engine());
            ((), Effect::NONE)
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
        Step::new(cx, op(ObjectId::new(&RCU, 0), OpKind::Rcu, Location::caller()), move || {
            let mut section = self;
            section.armed = false;
            cx.atomic.set(cx.atomic.get() - 1);
            cx.engine().rcu.leave(cx.engine(), cx.id());
            ((), Effect::NONE)
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
