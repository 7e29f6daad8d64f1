//! The index at the end of a trace: totals, provenance, threads, and where each block is.

use super::bytes::{Bytes, Malformed, put_str, put_varint};
use super::file_event::KNOWN_KINDS;
use super::layout::{BLOCK_HEADER_LEN, BlockHeader, BlockKind, HEADER_LEN, MAX_THREADS};
use crate::event::Event;

/// The most bytes in one string of the provenance.
const MAX_STRING: usize = 64 << 10;
/// The most notes, and counters of ignored lines.
pub(crate) const MAX_LIST: u64 = 1024;

/// Where a trace comes from and what was done to it on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// What it was made from: `lackey`, `text`, `generator`.
    pub source: String,
    /// The traced command, or the generator's parameters; empty if unknown.
    pub command: String,
    /// What was inferred, assumed or left out, one sentence each.
    pub notes: Vec<String>,
    /// Lines of the source that carry no record, by kind.
    pub ignored: Vec<(String, u64)>,
}

impl Provenance {
    /// Cuts what is too long for the format, at a character boundary.
    pub(crate) fn clamp(&mut self) {
        self.notes.truncate(MAX_LIST as usize);
        self.ignored.truncate(MAX_LIST as usize);
        let names = self.ignored.iter_mut().map(|(name, _)| name);
        for text in [&mut self.source, &mut self.command].into_iter().chain(&mut self.notes).chain(names) {
            let end = (0..=MAX_STRING.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
            text.truncate(end.unwrap_or(0));
        }
    }
}

/// Totals over a whole trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Accesses by operation, in the order of [`crate::Op::ALL`].
    pub by_op: [u64; 4],
    /// Bytes touched, summed over all accesses.
    pub bytes: u64,
    /// Events by kind number.
    pub events_by_kind: [u64; Event::KINDS],
    /// Where the trace comes from.
    pub provenance: Provenance,
}

impl Summary {
    /// Accesses of all kinds.
    pub fn accesses(&self) -> u64 {
        self.by_op.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Events of all kinds.
    pub fn events(&self) -> u64 {
        self.events_by_kind.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }
}

/// One thread of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadInfo {
    /// Number of the process it belongs to, as the trace gives it.
    pub pid: u32,
    /// Its number, unique over the trace.
    pub tid: u32,
    /// Sequence number of its first access or event.
    pub first_seq: u64,
    /// Sequence number of its last access or event.
    pub last_seq: u64,
    /// How many accesses it makes.
    pub accesses: u64,
    /// How many events it causes.
    pub events: u64,
}

/// One block as the index describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockEntry {
    pub(crate) kind: BlockKind,
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) count: u32,
    pub(crate) raw_len: u32,
    pub(crate) stored_len: u32,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Of the block's header in the file; not stored, since blocks follow each other without gaps.
    pub(crate) offset: u64,
}

impl BlockEntry {
    /// True if a block header says the same. The header's numbers include `bias`.
    pub(crate) fn agrees(&self, header: &BlockHeader, bias: u64) -> bool {
        self.kind == header.kind
            && (self.pid, self.tid) == (header.pid, header.tid)
            && (self.count, self.raw_len, self.stored_len)
                == (header.count, header.raw_len, header.stored_len)
            && header.first_seq.checked_sub(bias) == Some(self.first_seq)
            && header.last_seq.checked_sub(bias) == Some(self.last_seq)
    }
}

/// Everything in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Subtracted from the sequence numbers in block headers, so that events found last can come first.
    pub(crate) bias: u64,
    pub(crate) summary: Summary,
    /// Ascending by (pid, tid).
    pub(crate) threads: Vec<ThreadInfo>,
    /// In file order; sequence numbers without the bias.
    pub(crate) blocks: Vec<BlockEntry>,
}

impl Index {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.bias);
        encode_summary(&mut out, &self.summary);
        put_varint(&mut out, self.threads.len() as u64);
        for thread in &self.threads {
            put_varint(&mut out, u64::from(thread.pid));
            put_varint(&mut out, u64::from(thread.tid));
            put_varint(&mut out, thread.first_seq);
            put_varint(&mut out, thread.last_seq - thread.first_seq);
            put_varint(&mut out, thread.accesses);
            put_varint(&mut out, thread.events);
        }
        put_varint(&mut out, self.blocks.len() as u64);
        for block in &self.blocks {
            out.push(block.kind as u8);
            put_varint(&mut out, u64::from(block.pid));
            put_varint(&mut out, u64::from(block.tid));
            put_varint(&mut out, u64::from(block.count));
            put_varint(&mut out, u64::from(block.raw_len));
            put_varint(&mut out, u64::from(block.stored_len));
            put_varint(&mut out, block.first_seq);
            put_varint(&mut out, block.last_seq - block.first_seq);
        }
        out
    }

    /// Decodes and cross-checks an index whose block begins at `index_offset`.
    pub(crate) fn decode(raw: &[u8], index_offset: u64) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new(raw);
        let bias = bytes.varint()?;
        let summary = decode_summary(&mut bytes)?;
        let mut index = Self { bias, summary, ..Self::default() };
        let threads = bytes.varint()?;
        if threads > MAX_THREADS {
            return Err(Malformed::new(format!("{threads} threads"), "at most 2^20 threads"));
        }
        for _ in 0..threads {
            index.threads.push(decode_thread(&mut bytes)?);
        }
        let mut offset = HEADER_LEN;
        for _ in 0..bytes.varint()? {
            let block = decode_block(&mut bytes, offset)?;
            offset += BLOCK_HEADER_LEN + u64::from(block.stored_len);
            // Before there are more entries than the file has room for blocks.
            if offset > index_offset {
                return Err(Malformed::new("blocks beyond the index", "blocks that reach up to the index"));
            }
            index.blocks.push(block);
        }
        bytes.end()?;
        if offset != index_offset {
            let found = format!("blocks that end at byte {offset}");
            return Err(Malformed::new(found, "blocks that reach up to the index"));
        }
        index.check()?;
        Ok(index)
    }

    /// Checks that totals, threads and blocks agree.
    fn check(&self) -> Result<(), Malformed> {
        let wrong = |found: &str| Malformed::new(found, "an index whose parts agree");
        let mut left = std::collections::BTreeMap::new();
        for thread in &self.threads {
            if left.insert(thread.tid, (thread, thread.accesses)).is_some() {
                return Err(wrong(&format!("thread {} twice", thread.tid)));
            }
        }
        if !self.threads.is_sorted_by_key(|thread| (thread.pid, thread.tid)) {
            return Err(wrong("threads out of order"));
        }
        let (mut accesses, mut events) = (0u64, 0u64);
        let mut last_seq = std::collections::BTreeMap::new();
        for block in &self.blocks {
            if block.kind == BlockKind::Events {
                events += u64::from(block.count);
                continue;
            }
            accesses += u64::from(block.count);
            let (thread, left) = left.get_mut(&block.tid).ok_or_else(|| wrong("a block of no thread"))?;
            *left = left
                .checked_sub(u64::from(block.count))
                .filter(|_| thread.pid == block.pid)
                .ok_or_else(|| wrong("a block that is not of its thread"))?;
            let last = last_seq.insert(block.tid, block.last_seq);
            if last.is_some_and(|last| last >= block.first_seq) {
                return Err(wrong("blocks of a thread out of order"));
            }
        }
        let threads_fit = left.values().all(|(_, left)| *left == 0);
        if !threads_fit || accesses != self.summary.accesses() || events != self.summary.events() {
            return Err(wrong("totals that are not those of the blocks"));
        }
        Ok(())
    }
}

fn encode_summary(out: &mut Vec<u8>, summary: &Summary) {
    for n in summary.by_op {
        put_varint(out, n);
    }
    put_varint(out, summary.bytes);
    put_varint(out, Event::KINDS as u64);
    for n in summary.events_by_kind {
        put_varint(out, n);
    }
    let provenance = &summary.provenance;
    put_str(out, &provenance.source);
    put_str(out, &provenance.command);
    put_varint(out, provenance.notes.len() as u64);
    for note in &provenance.notes {
        put_str(out, note);
    }
    put_varint(out, provenance.ignored.len() as u64);
    for (name, count) in &provenance.ignored {
        put_str(out, name);
        put_varint(out, *count);
    }
}

fn decode_summary(bytes: &mut Bytes<'_>) -> Result<Summary, Malformed> {
    let mut summary = Summary::default();
    for n in &mut summary.by_op {
        *n = bytes.varint()?;
    }
    summary.bytes = bytes.varint()?;
    for kind in 0..bytes.varint()? {
        let count = bytes.varint()?;
        match usize::try_from(kind).ok().and_then(|kind| summary.events_by_kind.get_mut(kind)) {
            Some(n) => *n = count,
            None if count == 0 => {}
            None => {
                let found = format!("unknown event kind {kind}, written by a newer version");
                return Err(Malformed::new(found, KNOWN_KINDS));
            }
        }
    }
    let provenance = &mut summary.provenance;
    provenance.source = bytes.string(MAX_STRING)?;
    provenance.command = bytes.string(MAX_STRING)?;
    for _ in 0..list_len(bytes)? {
        provenance.notes.push(bytes.string(MAX_STRING)?);
    }
    for _ in 0..list_len(bytes)? {
        let name = bytes.string(MAX_STRING)?;
        provenance.ignored.push((name, bytes.varint()?));
    }
    Ok(summary)
}

fn list_len(bytes: &mut Bytes<'_>) -> Result<u64, Malformed> {
    match bytes.varint()? {
        n if n > MAX_LIST => Err(Malformed::new(format!("a list of {n}"), "at most 1024 entries")),
        n => Ok(n),
    }
}

fn span(bytes: &mut Bytes<'_>) -> Result<(u64, u64), Malformed> {
    let first = bytes.varint()?;
    let last = first.checked_add(bytes.varint()?);
    Ok((first, last.ok_or_else(|| Malformed::new("a span past 2^64", "sequence numbers"))?))
}

fn decode_thread(bytes: &mut Bytes<'_>) -> Result<ThreadInfo, Malformed> {
    let (pid, tid) = (bytes.varint32()?, bytes.varint32()?);
    let (first_seq, last_seq) = span(bytes)?;
    Ok(ThreadInfo { pid, tid, first_seq, last_seq, accesses: bytes.varint()?, events: bytes.varint()? })
}

fn decode_block(bytes: &mut Bytes<'_>, offset: u64) -> Result<BlockEntry, Malformed> {
    let kind = BlockKind::from_byte(bytes.u8()?)?;
    if kind == BlockKind::Index {
        return Err(Malformed::new("an index in the index", "a block of accesses or events"));
    }
    let (pid, tid) = (bytes.varint32()?, bytes.varint32()?);
    let (count, raw_len, stored_len) = (bytes.varint32()?, bytes.varint32()?, bytes.varint32()?);
    let (first_seq, last_seq) = span(bytes)?;
    Ok(BlockEntry { kind, pid, tid, count, raw_len, stored_len, first_seq, last_seq, offset })
}
