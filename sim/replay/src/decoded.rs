//! Decoded blocks of traces that several runs share: a sweep decodes a trace once and not once for each point, where memory allows.
//!
//! Which blocks are kept depends on who asked first, and changes nothing that a run does: a block that is not here is decoded by whoever
//! needs it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pagewalk_mmu::{Access, AccessKind, Vaddr};
use pagewalk_trace::{AccessCursor, FileHeader, Op, RawAccess, SeqRun, TraceError, TraceFile};

/// An access of a trace, as the hardware sees it.
///
/// # Panics
/// If the access is outside the format's ranges, which no reader of traces lets through.
pub fn access(raw: RawAccess) -> Access {
    let kind = match raw.op {
        Op::Fetch => AccessKind::Fetch,
        Op::Load => AccessKind::Load,
        Op::Store => AccessKind::Store,
        Op::Modify => AccessKind::Modify,
    };
    Access::new(Vaddr(raw.addr), raw.len, kind).expect("a trace holds accesses of 1 to 4096 bytes below 2^56")
}

/// Accesses of one thread, at most 32 768, as the hardware sees them.
#[derive(Debug, Default)]
pub struct Block {
    /// The accesses, in order.
    pub accesses: Vec<Access>,
    /// Their sequence numbers.
    pub runs: Vec<SeqRun>,
}

impl Block {
    /// Replaces what it holds by the cursor's next block; by nothing at the end.
    ///
    /// # Errors
    /// If the block cannot be read or is damaged.
    pub fn decode(&mut self, cursor: &mut AccessCursor) -> Result<(), TraceError> {
        self.accesses.clear();
        self.runs.clear();
        cursor.next_block(&mut self.accesses, &mut self.runs, access).map(drop)
    }

    /// Bytes that it takes.
    fn size(&self) -> u64 {
        (self.accesses.capacity() * size_of::<Access>() + self.runs.capacity() * size_of::<SeqRun>()) as u64
    }
}

/// The decoded blocks of all traces, up to a size.
pub struct DecodedTraces {
    limit: u64,
    // Locked after a trace's slots, never before.
    traces: Mutex<Traces>,
}

#[derive(Default)]
struct Traces {
    /// Bytes that blocks take.
    used: u64,
    /// The least recently opened first.
    known: Vec<Known>,
}

struct Known {
    trace: Arc<DecodedTrace>,
    /// Bytes that its blocks take.
    used: u64,
}

/// The decoded blocks of one trace. Whoever replays it holds it; it stays for the next, until others need the room.
pub struct DecodedTrace {
    name: String,
    header: FileHeader,
    slots: Mutex<BTreeMap<usize, Slot>>,
}

/// A block, once somebody has decoded it.
type Slot = Arc<Mutex<Option<Arc<Block>>>>;

impl DecodedTraces {
    /// Room for `limit` bytes of blocks; 0 keeps none.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, traces: Mutex::default() }
    }

    /// The blocks of an open trace.
    #[must_use]
    pub fn open(&self, file: &TraceFile) -> Arc<DecodedTrace> {
        let mut traces = self.lock();
        let (name, header) = (file.name(), file.header());
        let is_it = |known: &Known| known.trace.name == name && known.trace.header == header;
        let known = match traces.known.iter().position(is_it) {
            Some(place) => traces.known.remove(place),
            None => {
                let trace = DecodedTrace { name: name.to_owned(), header, slots: Mutex::default() };
                Known { trace: Arc::new(trace), used: 0 }
            }
        };
        let trace = Arc::clone(&known.trace);
        traces.known.push(known);
        trace
    }

    /// The cursor's next block, which it passes; `None`, with the cursor where it was, if there is no room to keep it.
    ///
    /// # Errors
    /// If the block cannot be read or is damaged.
    pub fn next(
        &self,
        trace: &Arc<DecodedTrace>,
        cursor: &mut AccessCursor,
    ) -> Result<Option<Arc<Block>>, TraceError> {
        let Some((number, accesses)) = cursor.next_number() else { return Ok(None) };
        let slot = {
            let mut slots = trace.slots();
            // With one run of sequence numbers; a block may turn out to have more.
            let least = u64::from(accesses) * size_of::<Access>() as u64;
            if !slots.contains_key(&number) && !self.lock().make_room(self.limit, least) {
                return Ok(None);
            }
            Arc::clone(slots.entry(number).or_default())
        };
        let mut known = match slot.try_lock() {
            Ok(known) => known,
            // Whoever comes meanwhile does not decode it again, but one that will be needed.
            Err(_) => {
                self.decode_ahead(trace, cursor.clone());
                slot.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        if let Some(block) = &*known {
            cursor.skip_block();
            return Ok(Some(Arc::clone(block)));
        }
        let mut block = Block::default();
        block.decode(cursor)?;
        block.accesses.shrink_to_fit();
        block.runs.shrink_to_fit();
        let block = Arc::new(block);
        if self.lock().keep(self.limit, trace, block.size()) {
            *known = Some(Arc::clone(&block));
        }
        Ok(Some(block))
    }

    /// Decodes blocks of traces that nobody has begun, as long as there are any, room for them, and something to wait for: for who would
    /// replay them next and cannot yet.
    pub fn decode_while(&self, names: &[String], waiting: impl Fn() -> bool) {
        // What is wrong with a trace is for those to say who replay it.
        for file in names.iter().filter_map(|name| TraceFile::open(name).ok()) {
            let trace = self.open(&file);
            for thread in file.threads() {
                let mut cursor = file.accesses(thread.tid);
                while let Some((number, _)) = cursor.next_number() {
                    if trace.slots().contains_key(&number) {
                        cursor.skip_block();
                    } else if !waiting() || !matches!(self.next(&trace, &mut cursor), Ok(Some(_))) {
                        return;
                    }
                }
            }
        }
    }

    /// Decodes the first block after the cursor's next one that nobody has begun.
    fn decode_ahead(&self, trace: &Arc<DecodedTrace>, mut cursor: AccessCursor) {
        cursor.skip_block();
        while cursor.next_number().is_some_and(|(number, _)| trace.slots().contains_key(&number)) {
            cursor.skip_block();
        }
        // What is wrong with it is for those to say who come to it.
        drop(self.next(trace, &mut cursor));
    }

    fn lock(&self) -> MutexGuard<'_, Traces> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traces {
    /// Whether `bytes` more fit into `limit`, if need be in place of traces that nobody replays.
    fn make_room(&mut self, limit: u64, bytes: u64) -> bool {
        while self.used.saturating_add(bytes) > limit {
            // Nobody can come to hold it meanwhile: that takes the lock.
            let idle = |known: &Known| Arc::strong_count(&known.trace) == 1;
            let Some(place) = self.known.iter().position(idle) else { return false };
            self.used -= self.known.remove(place).used;
        }
        true
    }

    /// Whether `bytes` of a trace that somebody replays may stay.
    fn keep(&mut self, limit: u64, trace: &Arc<DecodedTrace>, bytes: u64) -> bool {
        if !self.make_room(limit, bytes) {
            return false;
        }
        let known = self.known.iter_mut().find(|known| Arc::ptr_eq(&known.trace, trace));
        known.expect("a trace that somebody holds stays").used += bytes;
        self.used += bytes;
        true
    }
}

impl DecodedTrace {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<usize, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DecodedTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodedTraces").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Shared;
    use crate::run::{Replay, ReplayOptions};
    use crate::run_options::RunOptions;
    use pagewalk_machine::Machine;

    const TCC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../traces/tcc.pwt");
    const SORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../traces/sort.pwt");

    fn open(name: &str) -> (TraceFile, AccessCursor) {
        let file = TraceFile::open(name).expect("it is shipped");
        let cursor = file.accesses(file.threads()[0].tid);
        (file, cursor)
    }

    fn next(
        traces: &DecodedTraces,
        trace: &Arc<DecodedTrace>,
        cursor: &mut AccessCursor,
    ) -> Option<Arc<Block>> {
        traces.next(trace, cursor).expect("it is not damaged")
    }

    #[test]
    fn a_block_is_decoded_once_and_is_what_the_cursor_would_give() {
        let traces = DecodedTraces::new(1 << 30);
        let ((file, mut plain), (again, mut one), (_, mut other)) = (open(TCC), open(TCC), open(TCC));
        let trace = traces.open(&file);
        assert!(Arc::ptr_eq(&trace, &traces.open(&again)));
        let mut expected = Block::default();
        for _ in 0..20 {
            expected.decode(&mut plain).expect("it is not damaged");
            let block = next(&traces, &trace, &mut one).expect("there is room");
            assert_eq!((&block.accesses, &block.runs), (&expected.accesses, &expected.runs));
            assert!(Arc::ptr_eq(&block, &next(&traces, &trace, &mut other).expect("it is there")));
        }
        assert_eq!((one.next_number(), other.next_number()), (plain.next_number(), plain.next_number()));
    }

    #[test]
    fn without_room_the_cursor_stays_and_traces_that_nobody_replays_make_room() {
        let traces = DecodedTraces::new(2 << 20);
        let ((file, mut cursor), (sort, mut second)) = (open(TCC), open(SORT));
        let trace = traces.open(&file);
        let kept = std::iter::from_fn(|| next(&traces, &trace, &mut cursor)).count();
        assert!((1..=4).contains(&kept), "{kept} blocks of half a MiB");
        let stays = cursor.next_number();
        assert!(stays.is_some() && next(&traces, &trace, &mut cursor).is_none());
        assert_eq!(cursor.next_number(), stays);

        let other = traces.open(&sort);
        assert!(next(&traces, &other, &mut second).is_none(), "all the room is that of a trace in use");
        drop(trace);
        let block = next(&traces, &other, &mut second).expect("nobody replays the first trace");
        assert_eq!(traces.lock().used, block.size());
        assert!(next(&DecodedTraces::new(0), &other, &mut second).is_none());
    }

    #[test]
    fn who_waits_decodes_what_nobody_has_begun_as_long_as_there_is_something_to_wait_for() {
        let traces = DecodedTraces::new(1 << 30);
        let (file, mut cursor) = open(TCC);
        let trace = traces.open(&file);
        let names = [TCC.to_owned(), "no such trace".to_owned()];
        traces.decode_while(&names, || false);
        assert!(trace.slots().is_empty());
        let first = next(&traces, &trace, &mut cursor).expect("there is room");
        traces.decode_while(&names, || true);
        let all = std::iter::successors(cursor.next_number(), |_| {
            cursor.skip_block();
            cursor.next_number()
        });
        assert_eq!(trace.slots().len(), 1 + all.count());
        let (_, mut again) = open(TCC);
        assert!(Arc::ptr_eq(&first, &next(&traces, &trace, &mut again).expect("it is kept")));
    }

    #[test]
    fn runs_side_by_side_get_the_blocks_of_the_trace_in_order() {
        let traces = DecodedTraces::new(1 << 30);
        let digest = |block: &Block| format!("{:?} {:?}", block.accesses.last(), block.runs);
        let run = || {
            let (file, mut cursor) = open(SORT);
            let trace = traces.open(&file);
            std::iter::from_fn(|| next(&traces, &trace, &mut cursor)).map(|block| digest(&block)).collect()
        };
        let four = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("four threads");
        let found: Vec<Vec<String>> = four.broadcast(|_| run());
        let (_, mut cursor) = open(SORT);
        let mut block = Block::default();
        for number in 0..found[0].len() {
            block.decode(&mut cursor).expect("it is not damaged");
            assert!(found.iter().all(|one| one[number] == digest(&block)), "block {number}");
        }
        assert!(cursor.next_number().is_none() && found.iter().all(|one| one.len() == found[0].len()));
    }

    #[test]
    fn a_run_gives_its_traces_back_however_it_ends() {
        for size in ["64 MiB", "512 KiB"] {
            let mut machine = Machine::default();
            machine.memory.frames = pagewalk_machine::Frames::from_size(size).expect("a size");
            machine.swap.clear();
            let shared = Arc::new(Shared::of_many(Arc::new(crate::Unwatched), 1 << 30));
            let options = ReplayOptions::whole(RunOptions::default());
            let ended = Replay::run(&machine, &[TCC.to_owned()], options, Arc::clone(&shared));
            let finished = ended.expect("it can be replayed");
            assert_eq!(finished.replay.kernel.oom().is_some(), size == "512 KiB");
            drop(finished);
            let traces = shared.decoded().expect("runs share them").lock();
            assert!(traces.used > 0);
            assert_eq!(Arc::strong_count(&traces.known[0].trace), 1, "with {size}");
        }
    }
}
