//! Streaming over the accesses of one thread, or over all events, a block at a time.

use std::ops::Range;
use std::rc::Rc;
use std::vec;

use super::access::{PlaceRun, SeqRun};
use super::bytes::{Bytes, Malformed};
use super::event;
use super::layout::BlockKind;
use super::reader::Shared;
use crate::error::TraceError;
use crate::record::{EventRecord, RawAccess};

/// The accesses of one thread in order.
#[derive(Clone)]
pub struct AccessCursor {
    shared: Rc<Shared>,
    blocks: Range<usize>,
    places: Vec<PlaceRun>,
}

impl AccessCursor {
    pub(super) fn new(shared: Rc<Shared>, tid: u32) -> Self {
        let blocks = shared.blocks_of(BlockKind::Accesses, tid);
        Self { shared, blocks, places: Vec::new() }
    }

    /// Sequence number of the next block's first access, or `None` at the end.
    pub fn next_seq(&self) -> Option<u64> {
        (!self.blocks.is_empty()).then(|| self.shared.block(self.blocks.start).first_seq)
    }

    /// Passes over blocks all of whose accesses come before sequence number `seq`, without reading them. Returns how
    /// many accesses were passed over.
    pub fn skip_before(&mut self, seq: u64) -> u64 {
        let mut skipped = 0;
        while !self.blocks.is_empty() {
            let block = self.shared.block(self.blocks.start);
            if block.last_seq >= seq {
                break;
            }
            skipped += u64::from(block.count);
            self.blocks.start += 1;
        }
        skipped
    }

    /// The next block's number, by which every cursor over the file knows it, and how many accesses it has; `None` at the end.
    pub fn next_number(&self) -> Option<(usize, u32)> {
        let number = self.blocks.start;
        (!self.blocks.is_empty()).then(|| (number, self.shared.block(number).count))
    }

    /// Passes over the next block without reading it.
    pub fn skip_block(&mut self) {
        self.blocks.next();
        self.places.clear();
    }

    /// Decodes the next block, at most 32,768 accesses: appends `make` of each access to `out`, and the sequence
    /// numbers of all of them to `seq_runs`. Returns false, and appends nothing, at the end.
    ///
    /// # Errors
    /// If the block cannot be read or is damaged; `out` and `seq_runs` are then as before, and the cursor stays where
    /// it is. In that case `make` may have seen accesses that are not in the trace; their fields are in range.
    pub fn next_block<T>(
        &mut self,
        out: &mut Vec<T>,
        seq_runs: &mut Vec<SeqRun>,
        make: impl Fn(RawAccess) -> T,
    ) -> Result<bool, TraceError> {
        if self.blocks.is_empty() {
            return Ok(false);
        }
        let block = self.shared.block(self.blocks.start);
        let (out_len, runs_len) = (out.len(), seq_runs.len());
        self.places.clear();
        let places = &mut self.places;
        let decoded = self.shared.with_block(&block, |raw, decoder| {
            let seqs = (block.first_seq, block.last_seq);
            decoder.decode(raw, block.count, seqs, (&mut *out, &mut *seq_runs, places), make)
        });
        match decoded {
            Ok(()) => self.blocks.start += 1,
            Err(_) => {
                out.truncate(out_len);
                seq_runs.truncate(runs_len);
                self.places.clear();
            }
        }
        decoded.map(|()| true)
    }

    /// CPU and time of the accesses of the last block, as runs in their order; empty if none were recorded.
    pub fn place_runs(&self) -> &[PlaceRun] {
        &self.places
    }
}

/// All events in order.
pub struct EventCursor {
    shared: Rc<Shared>,
    blocks: Range<usize>,
    decoded: vec::IntoIter<EventRecord>,
}

impl EventCursor {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        let blocks = shared.blocks_of(BlockKind::Events, 0);
        Self { shared, blocks, decoded: Vec::new().into_iter() }
    }

    /// The next event, or `None` at the end.
    ///
    /// # Errors
    /// If the next block cannot be read, is damaged, or holds an event of a newer version; asking again gives the same
    /// error.
    #[expect(clippy::should_implement_trait, reason = "a fallible cursor gives Result<Option<..>>")]
    pub fn next(&mut self) -> Result<Option<EventRecord>, TraceError> {
        while self.decoded.len() == 0 && !self.blocks.is_empty() {
            self.decoded = self.decode_block()?.into_iter();
            self.blocks.start += 1;
        }
        Ok(self.decoded.next())
    }

    fn decode_block(&self) -> Result<Vec<EventRecord>, TraceError> {
        let block = self.shared.block(self.blocks.start);
        self.shared.with_block(&block, |raw, _| {
            let mut bytes = Bytes::new(raw);
            let mut records = Vec::new();
            let mut expected = block.first_seq;
            for _ in 0..block.count {
                let record = event::decode(&mut bytes, expected)?;
                expected = record.seq.checked_add(1).ok_or_else(wrong_seqs)?;
                records.push(record);
            }
            bytes.end()?;
            let first = records.first().map(|record| record.seq);
            if first == Some(block.first_seq) && expected.checked_sub(1) == Some(block.last_seq) {
                Ok(records)
            } else {
                Err(wrong_seqs())
            }
        })
    }
}

fn wrong_seqs() -> Malformed {
    Malformed::new("events outside their block's span", "the sequence numbers of the block header")
}
