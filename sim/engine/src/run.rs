//! The run: who goes on, until nobody can.

use std::task::{self, Poll, Waker};

use crate::config::Schedule;
use crate::cpu::{Cpu, CpuId};
use crate::engine::Engine;
use crate::queues::before;

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Every context has ended.
    Finished,
    /// Somebody called [`Engine::stop`], for this reason.
    Stopped(String),
    /// Contexts are left and none can go on; who waits for what.
    Deadlock(String),
}

/// Who takes the next step on a CPU.
#[derive(Clone, Copy)]
enum Turn {
    Context,
    Interrupt,
}

impl Engine {
    /// Runs until every context has ended, somebody stops the engine, or nobody can go on. Contexts that
    /// are left are dropped.
    ///
    /// # Panics
    /// Under the explore schedule, which needs somebody who chooses.
    pub fn run(&self) -> Stop {
        let stop = loop {
            if let Some(reason) = self.stopped.borrow().as_ref() {
                break Stop::Stopped(reason.clone());
            }
            let Some((cpu, turn)) = self.choose() else {
                break if self.live.get() == 0 {
                    Stop::Finished
                } else {
                    Stop::Deadlock(self.describe_waiters())
                };
            };
            self.running.set(Some(cpu.id()));
            match turn {
                Turn::Interrupt => self.deliver(cpu),
                Turn::Context => self.resume(cpu),
            }
            self.running.set(None);
        };
        if stop != Stop::Finished {
            self.abandon();
        }
        stop
    }

    fn choose(&self) -> Option<(&Cpu, Turn)> {
        match self.config.schedule {
            Schedule::Timed => self.choose_earliest(),
            Schedule::Random => self.choose_randomly(),
            Schedule::Explore => panic!("explored schedules are run by `Engine::explore`"),
        }
    }

    /// The CPU with the earliest next step (ties: the lowest number), and as its horizon the last clock at
    /// which it is still the first. A due interrupt comes before the step.
    fn choose_earliest(&self) -> Option<(&Cpu, Turn)> {
        let mut first: Option<(u64, CpuId)> = None;
        let mut second = (u64::MAX, CpuId(u16::MAX));
        let mut consider = |time: u64, id: CpuId| match first {
            Some(earliest) if (time, id) >= earliest => second = second.min((time, id)),
            _ => {
                second = first.unwrap_or(second);
                first = Some((time, id));
            }
        };
        for id in self.ready.iter() {
            consider(self.cpu(id).clock(), id);
        }
        for id in self.interrupted.iter().filter(|&id| !self.ready.contains(id)) {
            let cpu = self.cpu(id);
            if let Some(arrival) = cpu.next_interrupt() {
                consider(arrival.max(cpu.clock()), id);
            }
        }
        let (time, id) = first?;
        let cpu = self.cpu(id);
        let mut limit = before(id, second.1, second.0);
        let mut turn = Turn::Context;
        if let Some(arrival) = cpu.next_interrupt() {
            limit = limit.min(arrival.saturating_sub(1));
            if arrival <= time {
                turn = Turn::Interrupt;
            }
        }
        cpu.limit.set(limit);
        cpu.horizon.set(if self.record().is_some() { 0 } else { limit });
        Some((cpu, turn))
    }

    /// A uniform choice among all CPUs that can go on and all deliverable interrupts. Where there is
    /// nothing to choose, the one goes on until there is.
    fn choose_randomly(&self) -> Option<(&Cpu, Turn)> {
        if let Some(id) = self.drawn.take() {
            let cpu = self.cpu(id);
            cpu.budget.set(1);
            return Some((cpu, Turn::Context));
        }
        let contexts = self.ready.len();
        let interrupted = || self.interrupted.iter().filter(|&id| self.cpu(id).next_interrupt().is_some());
        let count = contexts + if self.interrupted.len() == 0 { 0 } else { interrupted().count() };
        let (chosen, budget) = match count {
            0 => return None,
            1 => (0, u64::MAX),
            _ => (self.choices.borrow_mut().below(count as u32) as usize, 1),
        };
        let (id, turn) = if chosen < contexts {
            (self.ready.get(chosen), Turn::Context)
        } else {
            (interrupted().nth(chosen - contexts)?, Turn::Interrupt)
        };
        let cpu = self.cpu(id);
        cpu.budget.set(budget);
        Some((cpu, turn))
    }

    /// The same choice, made where the context on CPU `own` stands before its next step: true if it is the one. The way out of
    /// the context and in again is spared; the draws are those that [`Engine::run`] would make.
    #[inline(always)]
    pub(crate) fn goes_on(&self, own: CpuId) -> bool {
        let contexts = self.ready.len();
        if contexts < 2 || self.interrupted.len() > 0 || self.stopped.borrow().is_some() {
            return false;
        }
        let chosen = self.ready.get(self.choices.borrow_mut().below(contexts as u32) as usize);
        if chosen != own {
            self.drawn.set(Some(chosen));
        }
        chosen == own
    }

    /// Lets the current context of `cpu` go on until it must wait for its next step.
    pub(crate) fn resume(&self, cpu: &Cpu) {
        let id = cpu.current().expect("an enabled CPU has a context");
        let mut future =
            self.slots.borrow_mut()[id.index()].future.take().expect("a context is not inside itself");
        match future.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(()) => self.finish(id, cpu),
            Poll::Pending => self.slots.borrow_mut()[id.index()].future = Some(future),
        }
    }
}
