//! Opening a native trace and reading its blocks, trusting nothing that the file says.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

use super::access::BlockDecoder;
use super::bytes::Malformed;
use super::cursor::{AccessCursor, EventCursor};
use super::index::{BlockEntry, Index, Summary, ThreadInfo};
use super::layout::{
    BLOCK_HEADER_LEN, BlockHeader, BlockKind, HEADER_LEN, TRAILER_LEN, decode_header, decode_trailer,
};
use crate::error::TraceError;
use crate::files::FileTable;

trait Source: Read + Seek {}
impl<R: Read + Seek> Source for R {}

/// The fixed facts about a trace file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Major and minor version of the format.
    pub version: (u16, u16),
    /// Bytes in the file.
    pub file_len: u64,
    /// Blocks of accesses and events.
    pub blocks: usize,
}

/// An open native trace.
///
/// Cursors over it are independent of each other and may be many; all read through one file handle, and all belong to
/// one host thread (others open the file themselves).
pub struct TraceFile {
    pub(super) shared: Rc<Shared>,
    header: FileHeader,
}

/// What a trace's cursors share.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) index: Index,
    /// Indices of `index.blocks`, by kind, thread and sequence number.
    order: Vec<u32>,
    machinery: RefCell<Machinery>,
}

/// The file and the buffers for reading one block.
pub(super) struct Machinery {
    source: Box<dyn Source>,
    unzip: zstd::bulk::Decompressor<'static>,
    stored: Vec<u8>,
    /// The last block's payload.
    pub(super) raw: Vec<u8>,
    pub(super) decoder: BlockDecoder,
}

impl TraceFile {
    /// Opens the trace at `path` and reads its index.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a whole, undamaged trace. Damage inside a block shows when that block is
    /// read, or by [`Self::verify`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        let name = path.as_ref().display().to_string();
        // Opening a pipe would wait for who writes it, and a trace is not read once from front to back.
        let metadata = std::fs::metadata(&path).map_err(|e| TraceError::io(&name, e))?;
        if !metadata.is_file() && !metadata.is_dir() {
            return Err(TraceError::io(&name, io::Error::other("it is no plain file")));
        }
        let file = File::open(path).map_err(|e| TraceError::io(&name, e))?;
        Self::load(name, Box::new(file))
    }

    /// Opens a trace that is in memory or behind some other reader; its errors call it `trace`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_reader(reader: impl Read + Seek + 'static) -> Result<Self, TraceError> {
        Self::load("trace".to_owned(), Box::new(reader))
    }

    fn load(name: String, mut source: Box<dyn Source>) -> Result<Self, TraceError> {
        let io = |e| TraceError::io(&name, e);
        let file_len = source.seek(SeekFrom::End(0)).map_err(io)?;
        if file_len < HEADER_LEN + BLOCK_HEADER_LEN + TRAILER_LEN {
            let found = format!("a file of {file_len} bytes");
            return Err(TraceError::format(&name, 0, found, "a Pagewalk trace, which has at least 96"));
        }
        let bad = |offset| {
            let name = &name;
            move |m: Malformed| TraceError::format(name, offset, m.found, m.expected)
        };
        let mut header = [0; HEADER_LEN as usize];
        read_at(&mut source, 0, &mut header).map_err(io)?;
        let version = decode_header(&header).map_err(bad(0))?;
        let mut trailer = [0; TRAILER_LEN as usize];
        read_at(&mut source, file_len - TRAILER_LEN, &mut trailer).map_err(io)?;
        let index_offset = decode_trailer(&trailer, file_len).map_err(bad(file_len - TRAILER_LEN))?;
        let unzip = zstd::bulk::Decompressor::new().map_err(io)?;
        let (stored, raw, decoder) = (Vec::new(), Vec::new(), BlockDecoder::default());
        let mut machinery = Machinery { source, unzip, stored, raw, decoder };
        let limit = file_len - TRAILER_LEN;
        let (header, payload) = machinery.read_stored(&name, index_offset, limit)?;
        if header.kind != BlockKind::Index || index_offset + BLOCK_HEADER_LEN + payload != limit {
            return Err(bad(index_offset)(Malformed::new(
                "another block",
                "the index, right before the trailer",
            )));
        }
        machinery.unpack_index(&name, &header, index_offset)?;
        let index = Index::decode(&machinery.raw, index_offset).map_err(bad(index_offset))?;
        let header = FileHeader { version, file_len, blocks: index.blocks.len() };
        let mut order: Vec<u32> = (0..index.blocks.len() as u32).collect();
        order.sort_by_key(|&i| sort_key(&index.blocks[i as usize]));
        let shared = Shared { name, index, order, machinery: RefCell::new(machinery) };
        shared.check_event_order()?;
        Ok(Self { shared: Rc::new(shared), header })
    }

    /// The file, as it was named when it was opened.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Version, length and number of blocks.
    pub fn header(&self) -> FileHeader {
        self.header
    }

    /// Totals and provenance.
    pub fn summary(&self) -> &Summary {
        &self.shared.index.summary
    }

    /// All threads, ascending by process and thread.
    pub fn threads(&self) -> &[ThreadInfo] {
        &self.shared.index.threads
    }

    /// All events of all processes, in the order of their sequence numbers.
    pub fn events(&self) -> EventCursor {
        EventCursor::new(Rc::clone(&self.shared))
    }

    /// The accesses of thread `tid` in order; none if the trace has no such thread.
    pub fn accesses(&self, tid: u32) -> AccessCursor {
        AccessCursor::new(Rc::clone(&self.shared), tid)
    }

    /// Reads and decodes every block and compares the totals with the index.
    ///
    /// # Errors
    /// The first damage found.
    pub fn verify(&self) -> Result<(), TraceError> {
        let mut found = Summary { provenance: self.summary().provenance.clone(), ..Summary::default() };
        let mut events = self.events();
        let mut files = FileTable::default();
        while let Some(record) = events.next()? {
            let unknown = |why: String| TraceError::record(format!("record {}", record.seq), why);
            files.admit(&record.event).map_err(unknown)?;
            found.events_by_kind[record.event.kind()] += 1;
        }
        let (mut accesses, mut runs) = (Vec::new(), Vec::new());
        for thread in self.threads() {
            let mut cursor = self.accesses(thread.tid);
            while cursor.next_block(&mut accesses, &mut runs, |access| access)? {
                for access in accesses.drain(..) {
                    found.by_op[access.op as usize] += 1;
                    found.bytes += u64::from(access.len);
                }
                runs.clear();
            }
        }
        if found == *self.summary() {
            return Ok(());
        }
        let at = self.header.file_len - TRAILER_LEN;
        Err(TraceError::format(
            &self.shared.name,
            at,
            "an index with other totals",
            "the totals of the blocks",
        ))
    }
}

/// Blocks of a kind and thread are neighbours in this order.
fn sort_key(block: &BlockEntry) -> (BlockKind, u32, u64) {
    (block.kind, block.tid, block.first_seq)
}

impl Shared {
    /// The range of positions in `order` of the blocks of a kind and thread.
    pub(super) fn blocks_of(&self, kind: BlockKind, tid: u32) -> std::ops::Range<usize> {
        let key = |&i: &u32| {
            let block = &self.index.blocks[i as usize];
            (block.kind, block.tid)
        };
        let start = self.order.partition_point(|i| key(i) < (kind, tid));
        let end = self.order.partition_point(|i| key(i) <= (kind, tid));
        start..end
    }

    /// The block at a position in `order`.
    pub(super) fn block(&self, position: usize) -> BlockEntry {
        self.index.blocks[self.order[position] as usize]
    }

    /// Event blocks may stand anywhere in the file, but may not overlap in their sequence numbers.
    fn check_event_order(&self) -> Result<(), TraceError> {
        let range = self.blocks_of(BlockKind::Events, 0);
        for position in range.clone().skip(1) {
            let (before, block) = (self.block(position - 1), self.block(position));
            if before.last_seq >= block.first_seq {
                let m = Malformed::new("event blocks that overlap", "one order of all events");
                return Err(self.malformed(block.offset, m));
            }
        }
        Ok(())
    }

    pub(super) fn malformed(&self, offset: u64, m: Malformed) -> TraceError {
        TraceError::format(&self.name, offset, m.found, m.expected)
    }

    /// Reads and unpacks a block, and lends the machinery that then holds its payload in `raw`.
    pub(super) fn with_block<R>(
        &self,
        block: &BlockEntry,
        use_it: impl FnOnce(&mut Vec<u8>, &mut BlockDecoder) -> Result<R, Malformed>,
    ) -> Result<R, TraceError> {
        let mut machinery = self.machinery.borrow_mut();
        let limit = block.offset + BLOCK_HEADER_LEN + u64::from(block.stored_len);
        let (header, _) = machinery.read_stored(&self.name, block.offset, limit)?;
        if !block.agrees(&header, self.index.bias) {
            let m = Malformed::new("a block header that differs from the index", "the block of the index");
            return Err(self.malformed(block.offset, m));
        }
        machinery.unpack(&header).map_err(|m| self.malformed(block.offset, m))?;
        // The caller's closures run while the buffers are out, so that they may use other cursors of this file.
        let mut raw = std::mem::take(&mut machinery.raw);
        let mut decoder = std::mem::take(&mut machinery.decoder);
        drop(machinery);
        let result = use_it(&mut raw, &mut decoder);
        let mut machinery = self.machinery.borrow_mut();
        (machinery.raw, machinery.decoder) = (raw, decoder);
        result.map_err(|m| self.malformed(block.offset, m))
    }
}

impl Machinery {
    /// Reads header and payload of the block at `offset`, which must end at or before `limit`, and checks both
    /// checksums. Returns the header and the payload's length; the payload is in `stored`.
    fn read_stored(&mut self, name: &str, offset: u64, limit: u64) -> Result<(BlockHeader, u64), TraceError> {
        let io = |e| TraceError::io(name, e);
        let bad = |m: Malformed| TraceError::format(name, offset, m.found, m.expected);
        let mut header = [0; BLOCK_HEADER_LEN as usize];
        read_at(&mut self.source, offset, &mut header).map_err(io)?;
        let header = BlockHeader::decode(&header).map_err(bad)?;
        let payload = u64::from(header.stored_len);
        if offset + BLOCK_HEADER_LEN + payload > limit {
            return Err(bad(Malformed::new(
                format!("a payload of {payload} bytes"),
                "a block inside its bounds",
            )));
        }
        self.stored.resize(header.stored_len as usize, 0);
        self.source.read_exact(&mut self.stored).map_err(io)?;
        if crc32fast::hash(&self.stored) != header.payload_crc {
            return Err(bad(Malformed::new("a wrong checksum", "a payload that matches its CRC-32")));
        }
        Ok((header, payload))
    }

    /// Unpacks `stored` into `raw`. Allocates at most what a block may have.
    fn unpack(&mut self, header: &BlockHeader) -> Result<(), Malformed> {
        let want = header.raw_len as usize;
        self.raw.clear();
        self.raw.reserve(want + 8);
        let unpacked = self.unzip.decompress_to_buffer(&self.stored, &mut self.raw);
        check_unpacked(unpacked, want)
    }

    /// Unpacks the index, growing `raw` with what really comes, since an index may claim to be large.
    fn unpack_index(&mut self, name: &str, header: &BlockHeader, offset: u64) -> Result<(), TraceError> {
        self.raw.clear();
        let unpacked = zstd::stream::read::Decoder::new(self.stored.as_slice())
            .and_then(|decoder| decoder.take(u64::from(header.raw_len) + 1).read_to_end(&mut self.raw));
        check_unpacked(unpacked, header.raw_len as usize)
            .map_err(|m| TraceError::format(name, offset, m.found, m.expected))
    }
}

fn check_unpacked(unpacked: io::Result<usize>, want: usize) -> Result<(), Malformed> {
    match unpacked {
        Ok(n) if n == want => Ok(()),
        Ok(n) => Err(Malformed::new(format!("{n} bytes or more after decompression"), "the recorded length")),
        Err(e) => Err(Malformed::new(format!("a payload that does not decompress ({e})"), "a zstd frame")),
    }
}

fn read_at(source: &mut Box<dyn Source>, offset: u64, into: &mut [u8]) -> io::Result<()> {
    source.seek(SeekFrom::Start(offset))?;
    source.read_exact(into)
}
