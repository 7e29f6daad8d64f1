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
        }
    }

    /// When `cpu` could take its next step, and whose it would be. A due interrupt comes first.
    fn next_turn(&self, cpu: &Cpu) -> Option<(u64, Turn)> {
        let clock = cpu.clock();
        let interrupt = cpu.next_interrupt();
        if cpu.ready.get() {
            let due = interrupt.is_some_and(|arrival| arrival <= clock);
            return Some((clock, if due { Turn::Interrupt } else { Turn::Context }));
        }
        interrupt.map(|arrival| (arrival.max(clock), Turn::Interrupt))
    }

    /// The CPU with the earliest next step (ties: the lowest number), and as its horizon the last clock at
    /// which it is still the first.
    fn choose_earliest(&self) -> Option<(&Cpu, Turn)> {
        let mut first: Option<(u64, &Cpu, Turn)> = None;
        let mut second = (u64::MAX, CpuId(u16::MAX));
        for cpu in self.cpus.iter().map(|cpu| &**cpu) {
            let Some((time, turn)) = self.next_turn(cpu) else { continue };
            match first {
                Some((earliest, ..)) if time >= earliest => second = second.min((time, cpu.id())),
                _ => {
                    second = first.map_or(second, |(earliest, other, _)| (earliest, other.id()));
                    first = Some((time, cpu, turn));
                }
            }
        }
        let (_, cpu, turn) = first?;
        // An interrupt that is due comes before the step.
        let own_interrupt = cpu.next_interrupt().map_or(u64::MAX, |arrival| arrival.saturating_sub(1));
        let limit = before(cpu.id(), second.1, second.0).min(own_interrupt);
        cpu.limit.set(limit);
        cpu.horizon.set(if self.record().is_some() { 0 } else { limit });
        Some((cpu, turn))
    }

    /// A uniform choice among all CPUs that can go on and all deliverable interrupts. Where there is
    /// nothing to choose, the one goes on until there is.
    fn choose_randomly(&self) -> Option<(&Cpu, Turn)> {
        let turns = |cpu: &Cpu| usize::from(cpu.next_interrupt().is_some()) + usize::from(cpu.ready.get());
        let count = self.cpus.iter().map(|cpu| turns(cpu)).sum::<usize>();
        let (mut chosen, budget) = match count {
            0 => return None,
            1 => (0, u64::MAX),
            _ => (self.choices.borrow_mut().below(count as u32) as usize, 1),
        };
        for cpu in &self.cpus {
            let here = turns(cpu);
            if chosen < here {
                let interrupt = chosen == 0 && cpu.next_interrupt().is_some();
                cpu.budget.set(budget);
                return Some((cpu, if interrupt { Turn::Interrupt } else { Turn::Context }));
            }
            chosen -= here;
        }
        unreachable!("fewer were counted than are there")
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
