//! Writing a native trace: one open block per thread, in bounded memory, the same bytes for the same records.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::access::BlockEncoder;
use super::event;
use super::index::{BlockEntry, Index, Provenance, Summary, ThreadInfo};
use super::layout::{
    BLOCK_HEADER_LEN, BlockHeader, BlockKind, HEADER_LEN, MAX_BLOCK_ACCESSES, MAX_BLOCK_EVENTS,
    MAX_INDEX_RAW, MAX_THREADS, TRAILER_LEN, encode_header, encode_trailer,
};
use super::pending::PendingFile;
use crate::error::TraceError;
use crate::files::FileTable;
use crate::record::{EventRecord, Place, RawAccess};

/// Sequence numbers begin here in the file; the numbers below are for events that are only known at the end.
const FIRST_SEQ: u64 = 1 << 32;
/// The most events that may be put before all others.
const MAX_PROLOGUE: usize = 1 << 20;
/// When the open blocks hold more than this many bytes, all are written out.
const MAX_BUFFERED: usize = 64 << 20;
/// An event block is written when it has this many bytes.
const EVENT_BLOCK_BYTES: usize = 256 << 10;

/// Writes a native trace.
///
/// Sequence numbers are given in the order of the calls. A block is compressed and written when it is full; the file
/// is a trace only after [`Self::finish`].
pub struct TraceWriter<W: Write> {
    sink: W,
    commit: fn(W) -> Result<(), (String, std::io::Error)>,
    name: String,
    offset: u64,
    zip: zstd::bulk::Compressor<'static>,
    seq: u64,
    threads: Vec<ThreadState>,
    by_tid: BTreeMap<u32, usize>,
    /// Index in `threads` of the last access's thread.
    current: usize,
    buffered: usize,
    events: EventBlock,
    prologue: Vec<EventRecord>,
    files: FileTable,
    index: Index,
}

struct ThreadState {
    info: ThreadInfo,
    place: Place,
    block: Option<BlockEncoder>,
}

/// The open block of events.
#[derive(Default)]
struct EventBlock {
    raw: Vec<u8>,
    count: u32,
    first_seq: u64,
    last_seq: u64,
}

impl TraceWriter<PendingFile> {
    /// Starts a trace that will be at `path` once finished. `level` is zstd's, 1 to 19: 3 is fast, 19 small.
    ///
    /// # Errors
    /// If no file can be made in that directory.
    pub fn create(path: impl AsRef<Path>, level: i32) -> Result<Self, TraceError> {
        let path = path.as_ref();
        let file = PendingFile::create(path)?;
        Self::start(file, PendingFile::persist, path.display().to_string(), level)
    }
}

impl<'f> TraceWriter<&'f mut dyn Write> {
    /// Starts a trace in a file that the caller commits once the trace is finished.
    ///
    /// # Errors
    /// If the file refuses the header.
    pub fn within(file: &'f mut PendingFile, level: i32) -> Result<Self, TraceError> {
        let name = file.target().display().to_string();
        Self::start(file, |_| Ok(()), name, level)
    }
}

impl<W: Write> TraceWriter<W> {
    /// Starts a trace in any writer.
    ///
    /// # Errors
    /// If the writer refuses the header.
    pub fn new(sink: W, level: i32) -> Result<Self, TraceError> {
        let commit = |mut sink: W| sink.flush().map_err(|e| ("trace".to_owned(), e));
        Self::start(sink, commit, "trace".to_owned(), level)
    }

    fn start(
        mut sink: W,
        commit: fn(W) -> Result<(), (String, std::io::Error)>,
        name: String,
        level: i32,
    ) -> Result<Self, TraceError> {
        let io = |e| TraceError::io(&name, e);
        sink.write_all(&encode_header()).map_err(io)?;
        let zip = zstd::bulk::Compressor::new(level.clamp(1, 19)).map_err(io)?;
        Ok(Self {
            sink,
            commit,
            offset: HEADER_LEN,
            zip,
            seq: FIRST_SEQ,
            threads: Vec::new(),
            by_tid: BTreeMap::new(),
            current: 0,
            buffered: 0,
            events: EventBlock::default(),
            prologue: Vec::new(),
            files: FileTable::default(),
            index: Index::default(),
            name,
        })
    }

    /// Records an access of thread `tid` of process `pid`.
    ///
    /// # Errors
    /// If the access is out of range, the thread was another process's before, or writing fails.
    pub fn access(&mut self, pid: u32, tid: u32, access: RawAccess) -> Result<(), TraceError> {
        access.check()?;
        let thread = self.thread(pid, tid)?;
        let state = &mut self.threads[thread];
        let seq = self.seq;
        self.seq += 1;
        if state.info.accesses + state.info.events == 0 {
            state.info.first_seq = seq;
        }
        state.info.last_seq = seq;
        state.info.accesses += 1;
        let block = state.block.get_or_insert_with(|| {
            let block = BlockEncoder::new();
            self.buffered += block.size();
            block
        });
        self.buffered += block.push(seq, access, state.place);
        self.index.summary.by_op[access.op as usize] += 1;
        self.index.summary.bytes += u64::from(access.len);
        if block.count() == MAX_BLOCK_ACCESSES {
            self.flush_thread(thread)?;
        } else if self.buffered > MAX_BUFFERED {
            self.flush_threads()?;
        }
        Ok(())
    }

    /// Says where and when the next accesses of thread `tid` happen, until the next call for it.
    ///
    /// # Errors
    /// If the thread was another process's before.
    pub fn set_place(&mut self, pid: u32, tid: u32, place: Place) -> Result<(), TraceError> {
        let thread = self.thread(pid, tid)?;
        self.threads[thread].place = place;
        Ok(())
    }

    /// What [`Self::set_place`] last said about thread `tid`.
    pub fn place(&self, tid: u32) -> Place {
        self.by_tid.get(&tid).map_or_else(Place::default, |thread| self.threads[*thread].place)
    }

    /// Records an event; its sequence number is set here.
    ///
    /// # Errors
    /// If a field is out of range, the event uses a file that none before introduced, the thread was another process's
    /// before, or writing fails.
    pub fn event(&mut self, mut record: EventRecord) -> Result<(), TraceError> {
        record.check()?;
        self.admit(&record)?;
        record.seq = self.seq;
        self.seq += 1;
        self.count_event(&record)?;
        self.put_event(&record)
    }

    /// Records an event that comes before everything else; several keep their order. This is for what is known only
    /// at the end, such as inferred mappings.
    ///
    /// # Errors
    /// If a field is out of range, or there are more than 2^20 such events.
    pub fn prologue_event(&mut self, record: EventRecord) -> Result<(), TraceError> {
        record.check()?;
        if self.prologue.len() >= MAX_PROLOGUE {
            return Err(TraceError::record("another event before all others", "there may be 2^20"));
        }
        self.admit(&record)?;
        self.prologue.push(record);
        Ok(())
    }

    fn admit(&mut self, record: &EventRecord) -> Result<(), TraceError> {
        let admitted = self.files.admit(&record.event);
        admitted.map_err(|why| TraceError::record(format!("the event {:?}", record.event), why))
    }

    /// Says where the trace comes from. What is too long is cut.
    pub fn set_provenance(&mut self, mut provenance: Provenance) {
        provenance.clamp();
        self.index.summary.provenance = provenance;
    }

    /// Writes what is still open and the index; a file gets its name now. Returns the totals.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(mut self) -> Result<Summary, TraceError> {
        self.flush_threads()?;
        self.flush_events()?;
        let bias = FIRST_SEQ - self.prologue.len() as u64;
        for (seq, mut record) in (bias..).zip(std::mem::take(&mut self.prologue)) {
            record.seq = seq;
            self.count_event(&record)?;
            self.put_event(&record)?;
        }
        self.flush_events()?;
        self.index.bias = bias;
        for block in &mut self.index.blocks {
            block.first_seq -= bias;
            block.last_seq -= bias;
        }
        for state in self.threads {
            let mut info = state.info;
            // A thread with a place but no record is not part of the trace.
            if info.accesses + info.events > 0 {
                info.first_seq -= bias;
                info.last_seq -= bias;
                self.index.threads.push(info);
            }
        }
        self.index.threads.sort_by_key(|thread| (thread.pid, thread.tid));
        let raw = self.index.encode();
        if raw.len() > MAX_INDEX_RAW as usize {
            return Err(TraceError::record("this trace", "its index may have at most 64 MiB"));
        }
        let io = |e| TraceError::io(&self.name, e);
        let index_offset = self.offset;
        let stored = self.zip.compress(&raw).map_err(io)?;
        let header = header(BlockKind::Index, (0, 0), 0, &raw, &stored, (0, 0));
        self.sink.write_all(&header.encode()).map_err(io)?;
        self.sink.write_all(&stored).map_err(io)?;
        let file_len = index_offset + BLOCK_HEADER_LEN + stored.len() as u64 + TRAILER_LEN;
        self.sink.write_all(&encode_trailer(index_offset, file_len)).map_err(io)?;
        (self.commit)(self.sink).map_err(|(name, e)| TraceError::io(&name, e))?;
        Ok(self.index.summary)
    }

    /// The index in `threads` of a thread, which is added if it is new.
    fn thread(&mut self, pid: u32, tid: u32) -> Result<usize, TraceError> {
        let known = match self.threads.get(self.current) {
            Some(state) if state.info.tid == tid => Some(self.current),
            _ => self.by_tid.get(&tid).copied(),
        };
        let Some(thread) = known else {
            if self.threads.len() >= MAX_THREADS as usize {
                return Err(TraceError::record(format!("thread {tid}"), "a trace has at most 2^20 threads"));
            }
            self.current = self.threads.len();
            self.by_tid.insert(tid, self.current);
            let info = ThreadInfo { pid, tid, first_seq: 0, last_seq: 0, accesses: 0, events: 0 };
            self.threads.push(ThreadState { info, place: Place::default(), block: None });
            return Ok(self.current);
        };
        let owner = self.threads[thread].info.pid;
        if owner != pid {
            let why = format!("thread numbers are unique, and {tid} is of process {owner}");
            return Err(TraceError::record(format!("thread {tid} of process {pid}"), why));
        }
        self.current = thread;
        Ok(thread)
    }

    fn count_event(&mut self, record: &EventRecord) -> Result<(), TraceError> {
        let thread = self.thread(record.pid, record.tid)?;
        let info = &mut self.threads[thread].info;
        if info.accesses + info.events == 0 {
            (info.first_seq, info.last_seq) = (record.seq, record.seq);
        }
        info.first_seq = info.first_seq.min(record.seq);
        info.last_seq = info.last_seq.max(record.seq);
        info.events += 1;
        self.index.summary.events_by_kind[record.event.kind()] += 1;
        Ok(())
    }

    fn put_event(&mut self, record: &EventRecord) -> Result<(), TraceError> {
        let block = &mut self.events;
        if block.count == 0 {
            (block.first_seq, block.last_seq) = (record.seq, record.seq);
            event::encode(&mut block.raw, record, record.seq);
        } else {
            event::encode(&mut block.raw, record, block.last_seq + 1);
            block.last_seq = record.seq;
        }
        block.count += 1;
        if block.count == MAX_BLOCK_EVENTS || block.raw.len() >= EVENT_BLOCK_BYTES {
            self.flush_events()?;
        }
        Ok(())
    }

    fn flush_events(&mut self) -> Result<(), TraceError> {
        let block = std::mem::take(&mut self.events);
        if block.count == 0 {
            return Ok(());
        }
        self.put_block(BlockKind::Events, (0, 0), block.count, &block.raw, (block.first_seq, block.last_seq))
    }

    fn flush_thread(&mut self, thread: usize) -> Result<(), TraceError> {
        let state = &mut self.threads[thread];
        let Some(mut block) = state.block.take() else { return Ok(()) };
        let identity = (state.info.pid, state.info.tid);
        self.buffered -= block.size();
        self.put_block(BlockKind::Accesses, identity, block.count(), &block.finish(), block.seqs())?;
        // Keep the allocations while there are few threads; with many, blocks come and go.
        if self.threads.len() <= 64 {
            block.clear();
            self.buffered += block.size();
            self.threads[thread].block = Some(block);
        }
        Ok(())
    }

    fn flush_threads(&mut self) -> Result<(), TraceError> {
        for thread in 0..self.threads.len() {
            if self.threads[thread].block.as_ref().is_some_and(|block| block.count() > 0) {
                self.flush_thread(thread)?;
            }
        }
        Ok(())
    }

    fn put_block(
        &mut self,
        kind: BlockKind,
        (pid, tid): (u32, u32),
        count: u32,
        raw: &[u8],
        seqs: (u64, u64),
    ) -> Result<(), TraceError> {
        let io = |e| TraceError::io(&self.name, e);
        let stored = self.zip.compress(raw).map_err(io)?;
        let header = header(kind, (pid, tid), count, raw, &stored, seqs);
        self.sink.write_all(&header.encode()).map_err(io)?;
        self.sink.write_all(&stored).map_err(io)?;
        let BlockHeader { raw_len, stored_len, first_seq, last_seq, .. } = header;
        let offset = self.offset;
        let entry = BlockEntry { kind, pid, tid, count, raw_len, stored_len, first_seq, last_seq, offset };
        self.index.blocks.push(entry);
        self.offset += BLOCK_HEADER_LEN + u64::from(stored_len);
        Ok(())
    }
}

fn header(
    kind: BlockKind,
    (pid, tid): (u32, u32),
    count: u32,
    raw: &[u8],
    stored: &[u8],
    (first_seq, last_seq): (u64, u64),
) -> BlockHeader {
    let (raw_len, stored_len) = (raw.len() as u32, stored.len() as u32);
    let payload_crc = crc32fast::hash(stored);
    BlockHeader { kind, pid, tid, count, raw_len, stored_len, payload_crc, first_seq, last_seq }
}
