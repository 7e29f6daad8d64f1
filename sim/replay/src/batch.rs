//! A thread's accesses, a block at a time.

use std::sync::Arc;

use pagewalk_mmu::Access;
use pagewalk_trace::{AccessCursor, TraceError};

use super::decoded::{Block, DecodedTrace, DecodedTraces};

/// The accesses of a thread that are decoded and not all executed.
pub struct Batch {
    cursor: AccessCursor,
    /// Shared with other runs, or its own.
    block: Arc<Block>,
    next: usize,
}

impl Batch {
    /// Nothing yet.
    pub fn new(cursor: AccessCursor) -> Self {
        Self { cursor, block: Arc::default(), next: 0 }
    }

    /// Passes over whole blocks that come before `first_seq`.
    pub fn skip_before(&mut self, first_seq: u64) {
        self.cursor.skip_before(first_seq);
    }

    /// Whether the next access is in no block yet.
    pub fn is_empty(&self) -> bool {
        self.next == self.block.accesses.len()
    }

    /// Index of the next access.
    pub fn next(&self) -> usize {
        self.next
    }

    /// All accesses of the block.
    pub fn accesses(&self) -> &[Access] {
        &self.block.accesses
    }

    /// The accesses before `index` are executed.
    pub fn advance_to(&mut self, index: usize) {
        self.next = index;
    }

    /// The sequence number of access `index` of the block.
    pub fn seq(&self, index: usize) -> u64 {
        let runs = &self.block.runs;
        let run = &runs[runs.partition_point(|run| run.start as usize <= index) - 1];
        run.first_seq + (index - run.start as usize) as u64
    }

    /// The first access numbered `seq` or above, at or after the next one.
    pub fn first_from(&self, seq: u64) -> usize {
        let runs = &self.block.runs;
        let index = match runs[..runs.partition_point(|run| run.first_seq < seq)].last() {
            None => 0,
            Some(run) => run.start as usize + (seq - run.first_seq).min(u64::from(run.len)) as usize,
        };
        index.max(self.next)
    }

    /// Takes the next block, decoded by another run if there is one, and passes over accesses before `first_seq`. An exhausted thread
    /// keeps an empty batch.
    ///
    /// # Errors
    /// If the block cannot be read or is damaged.
    pub fn refill(
        &mut self,
        decoded: Option<(&DecodedTraces, &Arc<DecodedTrace>)>,
        first_seq: u64,
    ) -> Result<(), TraceError> {
        let shared = match decoded {
            Some((traces, trace)) => traces.next(trace, &mut self.cursor)?,
            None => None,
        };
        match shared {
            Some(block) => self.block = block,
            None => own(&mut self.block).decode(&mut self.cursor)?,
        }
        let skipped =
            self.block.runs.iter().map(|run| first_seq.saturating_sub(run.first_seq).min(u64::from(run.len)));
        self.next = skipped.sum::<u64>() as usize;
        Ok(())
    }
}

/// A block that nobody else has, with its memory if it was so already.
fn own(block: &mut Arc<Block>) -> &mut Block {
    if Arc::get_mut(block).is_none() {
        *block = Arc::default();
    }
    Arc::get_mut(block).expect("nobody else has it")
}
