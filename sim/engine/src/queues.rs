//! Waiting, waking and the run queues: which context of which CPU can go on.

use crate::config::Schedule;
use crate::context::ContextId;
use crate::cpu::{Cpu, CpuId, Mode};
use crate::engine::{Engine, Slot, State};
use crate::explore::bit_of;
use crate::object::ObjectId;
use crate::record::{Op, OpKind};

/// The last clock at which CPU `own` is still before a CPU `other` that goes on at `time`: the earliest goes
/// first, ties go to the lowest number.
#[inline]
pub(crate) fn before(own: CpuId, other: CpuId, time: u64) -> u64 {
    if own < other { time } else { time.saturating_sub(1) }
}

impl Engine {
    /// Puts the current context of `cpu` to wait for `object`.
    pub(crate) fn block(&self, id: ContextId, object: ObjectId, sleep: bool) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[id.index()];
        let cpu = self.cpu(slot.cpu);
        slot.state = if sleep { State::Sleeping(object) } else { State::Spinning(object) };
        drop(slots);
        self.ready.remove(cpu.id());
        if sleep {
            self.sleepers.borrow_mut().push(id);
            self.note_queued(cpu.id());
            self.leave_cpu(cpu);
        } else {
            self.spinners.borrow_mut().push(id);
            cpu.set_mode(Mode::Waiting);
        }
    }

    /// Tells everyone who sleeps for `object` that it changed.
    pub(crate) fn notify_sleepers(&self, object: ObjectId) {
        self.wake_where(false, |id| self.state_of(id) == State::Sleeping(object));
    }

    /// Wakes exactly these contexts, which sleep for `object`.
    pub(crate) fn notify_only(&self, object: ObjectId, woken: &[ContextId]) {
        self.wake_where(false, |id| woken.contains(&id) && self.state_of(id) == State::Sleeping(object));
    }

    /// Tells everyone who spins for `object` that it changed.
    #[inline]
    pub(crate) fn notify_spinners(&self, object: ObjectId) {
        if !self.spinners.borrow().is_empty() {
            self.wake_where(true, |id| self.state_of(id) == State::Spinning(object));
        }
    }

    /// Who gets `lock`, which is being released: under the timed schedule whoever spins for it since the
    /// earliest time (ties: the lowest CPU number), as with ticket locks. `None` if nobody spins by now, and
    /// under the other schedules, where anybody may be next.
    #[inline]
    pub(crate) fn next_spinner(&self, lock: ObjectId) -> Option<ContextId> {
        if self.spinners.borrow().is_empty() || self.config.schedule != Schedule::Timed {
            return None;
        }
        self.first_in_line(lock)
    }

    #[cold]
    fn first_in_line(&self, lock: ObjectId) -> Option<ContextId> {
        let slots = self.slots.borrow();
        let spinners = self.spinners.borrow();
        let arrival = |id: ContextId| (self.cpu(slots[id.index()].cpu).clock(), slots[id.index()].cpu);
        let waits = |&id: &ContextId| slots[id.index()].state == State::Spinning(lock);
        let first = spinners.iter().copied().filter(waits).min_by_key(|&id| arrival(id))?;
        (arrival(first).0 <= self.now()).then_some(first)
    }

    /// Lets exactly this spinning context go on.
    pub(crate) fn notify_spinner(&self, chosen: ContextId) {
        self.wake_where(true, |id| id == chosen);
    }

    fn state_of(&self, id: ContextId) -> State {
        self.slots.borrow()[id.index()].state
    }

    fn wake_where(&self, spinning: bool, mut waits: impl FnMut(ContextId) -> bool) {
        let list = if spinning { &self.spinners } else { &self.sleepers };
        let woken: Vec<ContextId> = list.borrow_mut().extract_if(.., |id| waits(*id)).collect();
        for id in woken {
            self.wake(id, self.now());
        }
    }

    /// Makes a waiting context ready at time `at`.
    fn wake(&self, id: ContextId, at: u64) {
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[id.index()];
        let was = std::mem::replace(&mut slot.state, State::Ready);
        slot.wake_at = at;
        let cpu = self.cpu(slot.cpu);
        drop(slots);
        match was {
            State::Spinning(_) => {
                self.contend(id);
                cpu.clock.set(cpu.clock().max(at));
                cpu.set_mode(Mode::Kernel);
                self.ready.insert(cpu.id());
                self.lower_horizon(cpu.id(), cpu.clock());
            }
            State::Sleeping(_) => self.enqueue(id),
            State::Ready | State::Done => unreachable!("only a waiting context is woken"),
        }
    }

    /// Notes the operation that a context waits to be granted.
    pub(crate) fn announce(&self, id: ContextId, op: Op) {
        self.slots.borrow_mut()[id.index()].announced = Some(op);
    }

    /// The context would take a lock that is free now.
    pub(crate) fn contend(&self, id: ContextId) {
        let mut slots = self.slots.borrow_mut();
        if !std::mem::replace(&mut slots[id.index()].contends, true) {
            self.contenders.set(self.contenders.get() + 1);
        }
    }

    pub(crate) fn stop_contending(&self, id: ContextId) {
        if std::mem::replace(&mut self.slots.borrow_mut()[id.index()].contends, false) {
            self.contenders.set(self.contenders.get() - 1);
        }
    }

    /// `lock` was just taken by `taker`: whoever was about to take it spins (on). This keeps "enabled"
    /// exact: a context that would only find the lock taken is not enabled.
    #[inline(always)]
    pub(crate) fn still_taken(&self, lock: ObjectId, taker: ContextId) {
        if self.contenders.get() > 0 {
            self.spin_on(lock, taker);
        }
    }

    #[cold]
    fn spin_on(&self, lock: ObjectId, taker: ContextId) {
        let losers: Vec<ContextId> = {
            let slots = self.slots.borrow();
            let wants = |slot: &Slot| {
                slot.contends
                    && slot.state == State::Ready
                    && slot.announced.is_some_and(|op| op.object == lock && op.kind == OpKind::Lock)
            };
            (0..slots.len()).filter(|&n| wants(&slots[n])).map(ContextId::new).collect()
        };
        for id in losers.into_iter().filter(|&id| id != taker) {
            self.stop_contending(id);
            self.block(id, lock, false);
        }
    }

    /// Puts a ready context at the end of its CPU's run queue, and on the CPU if that is idle.
    pub(crate) fn enqueue(&self, id: ContextId) {
        let cpu = self.cpu(self.slots.borrow()[id.index()].cpu);
        cpu.run_queue.borrow_mut().push_back(id);
        if self.exploring() {
            self.note_queued(cpu.id());
        }
        if cpu.current().is_none() {
            self.dispatch(cpu);
            self.lower_horizon(cpu.id(), cpu.clock());
        }
    }

    /// The current context gives up `cpu`; the next one takes it.
    pub(crate) fn leave_cpu(&self, cpu: &Cpu) {
        if let Some(watcher) = self.switch_watcher.get() {
            watcher(cpu, None);
        }
        cpu.current.set(None);
        self.ready.remove(cpu.id());
        cpu.set_mode(Mode::Idle);
        self.dispatch(cpu);
    }

    fn dispatch(&self, cpu: &Cpu) {
        let Some(next) = cpu.run_queue.borrow_mut().pop_front() else { return };
        let woken = self.slots.borrow()[next.index()].wake_at;
        cpu.clock.set(cpu.clock().max(woken).max(1));
        cpu.set_mode(Mode::Kernel);
        cpu.current.set(Some(next));
        self.ready.insert(cpu.id());
        self.exploring.fresh.set(self.exploring.fresh.get() | bit_of(cpu.id()));
        cpu.charge(u64::from(self.config.costs.context_switch));
        cpu.switches.set(cpu.switches.get() + 1);
        cpu.slice_end.set(cpu.clock().saturating_add(self.config.quantum));
        if let Some(watcher) = self.switch_watcher.get() {
            watcher(cpu, Some(next));
        }
    }

    /// The context on `cpu` is over.
    pub(crate) fn finish(&self, id: ContextId, cpu: &Cpu) {
        self.slots.borrow_mut()[id.index()].state = State::Done;
        self.free_slots.borrow_mut().push(id);
        self.live.set(self.live.get() - 1);
        self.leave_cpu(cpu);
    }

    /// CPU `other` can go on from `time`: whoever runs may not run past it unseen.
    pub(crate) fn lower_horizon(&self, other: CpuId, time: u64) {
        let Some(running) = self.running.get() else { return };
        let cpu = self.cpu(running);
        match self.config.schedule {
            Schedule::Timed => {
                let limit = cpu.limit.get().min(before(running, other, time));
                cpu.limit.set(limit);
                cpu.horizon.set(cpu.horizon.get().min(limit));
            }
            Schedule::Random | Schedule::Explore => cpu.budget.set(0),
        }
    }

    /// Every context that waits, and for what: the report of a deadlock.
    pub(crate) fn describe_waiters(&self) -> String {
        let slots = self.slots.borrow();
        let mut lines = Vec::new();
        for (index, slot) in slots.iter().enumerate() {
            let (verb, object) = match slot.state {
                State::Spinning(object) => ("spins for", object),
                State::Sleeping(object) => ("sleeps for", object),
                State::Ready | State::Done => continue,
            };
            let place = slot.announced.map_or_else(String::new, |op| format!(" at {}", op.location));
            lines.push(format!("context {index} on {} {verb} {object}{place}", slot.cpu));
        }
        lines.join("; ")
    }
}
