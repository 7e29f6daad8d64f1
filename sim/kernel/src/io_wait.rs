//! Waiting for the disks to get on: `congestion_wait`.
//!
//! Follows mm/backing-dev.c of v2.6.27, without its timeout: the end of any request ends the wait, and with none under way the
//! CPU is given to others.

use std::cell::Cell;

use pagewalk_engine::{Class, Digest, Engine, OpKind, WaitQueue};

use crate::task::Task;

/// Requests of all devices.
static IO: Class = Class::new(47, "I/O requests");

/// The requests under way.
pub(crate) struct Io {
    under_way: Cell<u32>,
    ended: Cell<u64>,
    queue: WaitQueue,
}

pagewalk_engine::keep!(Io: under_way, ended, queue);

impl Default for Io {
    fn default() -> Self {
        Self { under_way: Cell::new(0), ended: Cell::new(0), queue: WaitQueue::new(&IO, 0) }
    }
}

impl Io {
    /// How many there are, and have been.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        digest.absorb(u64::from(self.under_way.get()));
        digest.absorb(self.ended.get());
    }

    /// A request was handed to a device.
    pub(crate) fn begin(&self, engine: &Engine) {
        self.queue.touch(engine, OpKind::Count);
        self.under_way.set(self.under_way.get() + 1);
    }

    /// A request has ended: called in its interrupt.
    pub(crate) fn end(&self, engine: &Engine) {
        self.under_way.set(self.under_way.get() - 1);
        self.ended.set(self.ended.get() + 1);
        self.queue.wake_up_from_interrupt(engine);
    }

    /// Whether any is under way.
    pub(crate) fn is_busy(&self, engine: &Engine) -> bool {
        self.queue.touch(engine, OpKind::Load);
        let busy = self.under_way.get() > 0;
        engine.note_found((busy, self.ended.get()));
        busy
    }
}

/// `congestion_wait`: until some request ends; with none under way others get the CPU. Waits for nothing for ever.
pub(crate) async fn congestion_wait(current: &Task) {
    let io = &current.kernel().io;
    let before = io.ended.get();
    if io.is_busy(current.engine()) {
        io.queue.wait_event(current, || io.ended.get() != before || io.under_way.get() == 0).await;
    } else {
        current.yield_cpu().await;
    }
}
