//! The run: who goes on, until nobody can.

use std::task::{self, Poll, Waker};

use crate::config::Schedule;
use crate::cpu::{Cpu, CpuId};
use crate::engine::{Engine, State};

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
    pub fn run(&self) -> Stop {
        let stop = loop {
            if let Some(reason) = self.stopped.borrow().clone() {
                break Stop::Stopped(reason);
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
        }
    }

    fn is_enabled(&self, cpu: &Cpu) -> bool {
        cpu.current().is_some_and(|id| self.slots.borrow()[id.index()].state == State::Ready)
    }

    /// When `cpu` could take its next step, and whose it would be. A due interrupt comes first.
    fn next_turn(&self, cpu: &Cpu) -> Option<(u64, Turn)> {
        let clock = cpu.clock();
        let interrupt = cpu.next_interrupt();
        if self.is_enabled(cpu) {
            let due = interrupt.is_some_and(|arrival| arrival <= clock);
            return Some((clock, if due { Turn::Interrupt } else { Turn::Context }));
        }
        interrupt.map(|arrival| (arrival.max(clock), Turn::Interrupt))
    }

    /// The CPU with the earliest next step (ties: the lowest number), and as its horizon the earliest
    /// that anybody else can do anything.
    fn choose_earliest(&self) -> Option<(&Cpu, Turn)> {
        let mut first: Option<(u64, CpuId, Turn)> = None;
        let mut second = u64::MAX;
        for cpu in &self.cpus {
            let Some((time, turn)) = self.next_turn(cpu) else { continue };
            match first {
                Some((earliest, ..)) if time >= earliest => second = second.min(time),
                _ => {
                    second = first.map_or(u64::MAX, |(earliest, ..)| earliest);
                    first = Some((time, cpu.id(), turn));
                }
            }
        }
        let (_, id, turn) = first?;
        let cpu = self.cpu(id);
        let own_interrupt = cpu.next_interrupt().unwrap_or(u64::MAX).max(cpu.clock());
        let limit = second.min(own_interrupt);
        cpu.limit.set(limit);
        cpu.horizon.set(if self.record().is_some() { 0 } else { limit });
        Some((cpu, turn))
    }

    /// A uniform choice among all CPUs that can go on and all deliverable interrupts. Where there is
    /// nothing to choose, the one goes on until there is.
    fn choose_randomly(&self) -> Option<(&Cpu, Turn)> {
        let mut candidates: [(u16, Turn); 512] = [(0, Turn::Context); 512];
        let mut count = 0;
        for cpu in &self.cpus {
            if cpu.next_interrupt().is_some() {
                candidates[count] = (cpu.id().0, Turn::Interrupt);
                count += 1;
            }
            if self.is_enabled(cpu) {
                candidates[count] = (cpu.id().0, Turn::Context);
                count += 1;
            }
        }
        let (chosen, budget) = match count {
            0 => return None,
            1 => (0, u64::MAX),
            _ => (self.choices.borrow_mut().below(count as u32) as usize, 1),
        };
        let (id, turn) = candidates[chosen];
        let cpu = self.cpu(CpuId(id));
        cpu.budget.set(budget);
        Some((cpu, turn))
    }

    /// Lets the current context of `cpu` go on until it must wait for its next step.
    fn resume(&self, cpu: &Cpu) {
        let id = cpu.current().expect("an enabled CPU has a context");
        let mut future =
            self.slots.borrow_mut()[id.index()].future.take().expect("a context is not inside itself");
        match future.as_mut().poll(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(()) => self.finish(id, cpu),
            Poll::Pending => self.slots.borrow_mut()[id.index()].future = Some(future),
        }
    }
}
