//! When antagonists act: by what the programs have done, so that they are as busy in a run that waits for disks as in one that does
//! not, and under every schedule.

use std::cell::{Cell, RefCell};

use pagewalk_engine::{Class, WaitQueue};

use crate::kernel::Kernel;
use crate::task::Task;

/// Antagonists that wait for their turn.
static PACE: Class = Class::new(56, "antagonists");

/// The pace of the machine's antagonists.
pub(crate) struct Pace {
    /// Accesses that programs have finished.
    accesses: Cell<u64>,
    /// With how many the next antagonist is due.
    due: Cell<u64>,
    /// With how many each is.
    targets: RefCell<Vec<u64>>,
    queue: WaitQueue,
}

pagewalk_engine::keep!(Pace: accesses, due, targets, queue);

impl Default for Pace {
    fn default() -> Self {
        Self {
            accesses: Cell::new(0),
            due: Cell::new(u64::MAX),
            targets: RefCell::default(),
            queue: WaitQueue::new(&PACE, 0),
        }
    }
}

impl Pace {
    /// An antagonist's place.
    pub(super) fn join(&self) -> usize {
        let mut targets = self.targets.borrow_mut();
        targets.push(u64::MAX);
        targets.len() - 1
    }

    fn set_target(&self, place: usize, target: u64) {
        let mut targets = self.targets.borrow_mut();
        targets[place] = target;
        self.due.set(targets.iter().copied().min().unwrap_or(u64::MAX));
    }
}

impl Kernel {
    /// A program has finished so many accesses more.
    #[inline]
    pub(crate) fn note_accesses(&self, current: &Task, accesses: u64) {
        let pace = &self.pace;
        pace.accesses.set(pace.accesses.get() + accesses);
        if pace.accesses.get() >= pace.due.get() {
            pace.due.set(u64::MAX);
            pace.queue.wake_up(current);
        }
    }

    /// A program has ended: antagonists look whether any is left.
    pub(crate) fn wake_antagonists(&self, current: &Task) {
        if !self.pace.targets.borrow().is_empty() {
            self.pace.queue.wake_up(current);
        }
    }
}

/// Sleeps until programs have finished `accesses` more, or the last of them has ended.
pub(super) async fn sleep(current: &Task, place: usize, accesses: u64) {
    let kernel = current.kernel();
    let pace = &kernel.pace;
    let target = pace.accesses.get() + accesses;
    pace.set_target(place, target);
    pace.queue.wait_event(current, || pace.accesses.get() >= target || !kernel.programs_run()).await;
    pace.set_target(place, u64::MAX);
}
