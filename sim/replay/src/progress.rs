//! What runs share with whoever waits for them, and with each other.

use std::sync::Arc;

use crate::decoded::DecodedTraces;

/// Somebody who waits for a run. Runs on several host threads may have one.
pub trait Progress: Send + Sync {
    /// So many accesses more are done.
    fn executed(&self, accesses: u64);

    /// Whether the run is to end before its traces do. Asked every few thousand accesses of a thread.
    fn stop(&self) -> bool;
}

/// Nobody waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn executed(&self, _: u64) {}

    fn stop(&self) -> bool {
        false
    }
}

/// What runs share.
pub struct Shared {
    progress: Arc<dyn Progress>,
    decoded: Option<DecodedTraces>,
}

impl Default for Shared {
    /// Nothing, and nobody waits.
    fn default() -> Self {
        Self::new(Arc::new(Unwatched))
    }
}

impl Shared {
    /// For one run after another.
    #[must_use]
    pub fn new(progress: Arc<dyn Progress>) -> Self {
        Self { progress, decoded: None }
    }

    /// For several runs, which share up to `limit` bytes of decoded traces.
    #[must_use]
    pub fn of_many(progress: Arc<dyn Progress>, limit: u64) -> Self {
        Self { progress, decoded: Some(DecodedTraces::new(limit)) }
    }

    /// The decoded traces that runs share, if they do.
    #[must_use]
    pub fn decoded(&self) -> Option<&DecodedTraces> {
        self.decoded.as_ref()
    }

    /// Who waits for the runs.
    #[must_use]
    pub fn progress(&self) -> &dyn Progress {
        &*self.progress
    }
}
