//! Fixed parts of the native format: file header, block header, trailer. See `docs/trace-format.md`.

use super::bytes::{Bytes, Malformed};

/// First bytes of every trace; like PNG's, they reveal text-mode and 7-bit transfers.
pub(crate) const MAGIC: [u8; 8] = *b"\x89PWT\r\n\x1a\n";
/// Version of the format that readers of another major version cannot read.
pub(crate) const MAJOR: u16 = 1;
/// Version within [`MAJOR`]; a newer one may add event kinds. 1.1 added those of files.
pub(crate) const MINOR: u16 = 1;
/// Bytes in the file header.
pub(crate) const HEADER_LEN: u64 = 20;
/// First bytes of every block.
pub(crate) const BLOCK_MARK: [u8; 4] = *b"PWBK";
/// Bytes in a block header.
pub(crate) const BLOCK_HEADER_LEN: u64 = 52;
/// Bytes in the trailer.
pub(crate) const TRAILER_LEN: u64 = 24;
/// Last bytes of every trace.
pub(crate) const END_MARK: [u8; 4] = *b"PWTE";

/// The most accesses in one block.
pub(crate) const MAX_BLOCK_ACCESSES: u32 = 32_768;
/// The most events in one block.
pub(crate) const MAX_BLOCK_EVENTS: u32 = 4096;
/// The most bytes a block of accesses or events may have before compression.
pub(crate) const MAX_BLOCK_RAW: u32 = 4 << 20;
/// The most bytes the index may have before compression.
pub(crate) const MAX_INDEX_RAW: u32 = 64 << 20;
/// The most threads in a trace.
pub(crate) const MAX_THREADS: u64 = 1 << 20;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BlockKind {
    Accesses = 1,
    Events = 2,
    Index = 3,
}

impl BlockKind {
    pub(crate) fn from_byte(byte: u8) -> Result<Self, Malformed> {
        match byte {
            1 => Ok(Self::Accesses),
            2 => Ok(Self::Events),
            3 => Ok(Self::Index),
            n => Err(Malformed::new(format!("block kind {n}"), "1 (accesses), 2 (events) or 3 (index)")),
        }
    }

    /// The most bytes that such a block may unpack to.
    pub(crate) fn max_raw(self) -> u32 {
        if self == Self::Index { MAX_INDEX_RAW } else { MAX_BLOCK_RAW }
    }
}

/// The file header's bytes.
pub(crate) fn encode_header() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&MAJOR.to_le_bytes());
    out.extend_from_slice(&MINOR.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    push_crc(&mut out);
    out
}

/// Checks the file header; returns its major and minor version.
pub(crate) fn decode_header(raw: &[u8]) -> Result<(u16, u16), Malformed> {
    let mut bytes = Bytes::new(raw);
    if bytes.take(8)? != MAGIC {
        return Err(Malformed::new("other bytes", "the magic number of a Pagewalk trace"));
    }
    let body = check_crc(raw)?;
    let mut bytes = Bytes::new(&body[8..]);
    let (major, minor, flags) = (bytes.u16()?, bytes.u16()?, bytes.u32()?);
    if major != MAJOR {
        return Err(Malformed::new(format!("format version {major}.{minor}"), "version 1"));
    }
    if flags != 0 {
        return Err(Malformed::new(format!("flags {flags:#x}"), "flags 0"));
    }
    Ok((major, minor))
}

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) kind: BlockKind,
    /// Process and thread of an access block; 0 otherwise.
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    /// Accesses or events; 0 for the index.
    pub(crate) count: u32,
    /// Payload bytes after decompression.
    pub(crate) raw_len: u32,
    /// Payload bytes in the file.
    pub(crate) stored_len: u32,
    /// CRC-32 (IEEE) of the stored payload.
    pub(crate) payload_crc: u32,
    /// Sequence number of the first and of the last record, before the bias is taken off.
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

impl BlockHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = BLOCK_MARK.to_vec();
        out.extend_from_slice(&[self.kind as u8, 0, 0, 0]);
        let words = [self.pid, self.tid, self.count, self.raw_len, self.stored_len, self.payload_crc];
        for word in words {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.first_seq.to_le_bytes());
        out.extend_from_slice(&self.last_seq.to_le_bytes());
        push_crc(&mut out);
        out
    }

    pub(crate) fn decode(raw: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new(raw);
        if bytes.take(4)? != BLOCK_MARK {
            return Err(Malformed::new("other bytes", "the mark `PWBK` of a block"));
        }
        let body = check_crc(raw)?;
        let mut bytes = Bytes::new(&body[4..]);
        let kind = BlockKind::from_byte(bytes.u8()?)?;
        if bytes.take(3)? != [0; 3] {
            return Err(Malformed::new("other bytes", "three zero bytes after the block kind"));
        }
        let header = Self {
            kind,
            pid: bytes.u32()?,
            tid: bytes.u32()?,
            count: bytes.u32()?,
            raw_len: bytes.u32()?,
            stored_len: bytes.u32()?,
            payload_crc: bytes.u32()?,
            first_seq: bytes.u64()?,
            last_seq: bytes.u64()?,
        };
        header.check_sizes()?;
        Ok(header)
    }

    fn check_sizes(&self) -> Result<(), Malformed> {
        let max_count = match self.kind {
            BlockKind::Accesses => MAX_BLOCK_ACCESSES,
            BlockKind::Events => MAX_BLOCK_EVENTS,
            BlockKind::Index => 0,
        };
        if self.count > max_count || (self.count == 0 && self.kind != BlockKind::Index) {
            let expected = "at least 1, and at most 32768 accesses or 4096 events in a block";
            return Err(Malformed::new(format!("a count of {}", self.count), expected));
        }
        let max_raw = self.kind.max_raw();
        // Incompressible data grows by 1/256 and a few bytes at most (ZSTD_COMPRESSBOUND).
        if self.raw_len > max_raw || self.stored_len > max_raw + max_raw / 128 {
            let found = format!("sizes {} and {}", self.raw_len, self.stored_len);
            return Err(Malformed::new(found, "at most 4 MiB in a block and 64 MiB in the index"));
        }
        Ok(())
    }
}

/// The trailer's bytes for an index block at `index_offset` in a file of `file_len` bytes.
pub(crate) fn encode_trailer(index_offset: u64, file_len: u64) -> Vec<u8> {
    let mut out = index_offset.to_le_bytes().to_vec();
    out.extend_from_slice(&file_len.to_le_bytes());
    push_crc(&mut out);
    out.extend_from_slice(&END_MARK);
    out
}

/// Checks the trailer of a file of `file_len` bytes; returns the offset of the index block.
pub(crate) fn decode_trailer(raw: &[u8], file_len: u64) -> Result<u64, Malformed> {
    let (body, mark) = raw.split_at(raw.len() - END_MARK.len());
    if mark != END_MARK {
        return Err(Malformed::new("other bytes", "the end mark `PWTE` (is the file cut short?)"));
    }
    let mut bytes = Bytes::new(check_crc(body)?);
    let (index_offset, recorded) = (bytes.u64()?, bytes.u64()?);
    if recorded != file_len {
        return Err(Malformed::new(format!("a recorded length of {recorded} bytes"), "the file's length"));
    }
    let last = file_len.saturating_sub(TRAILER_LEN + BLOCK_HEADER_LEN);
    if !(HEADER_LEN..=last).contains(&index_offset) {
        return Err(Malformed::new(format!("index offset {index_offset}"), "an offset inside the file"));
    }
    Ok(index_offset)
}

fn push_crc(out: &mut Vec<u8>) {
    let crc = crc32fast::hash(out);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// Splits off and checks the four CRC bytes at the end.
fn check_crc(raw: &[u8]) -> Result<&[u8], Malformed> {
    let (body, crc) = raw.split_last_chunk::<4>().expect("fixed-size structures are longer than a CRC");
    if crc32fast::hash(body) == u32::from_le_bytes(*crc) {
        Ok(body)
    } else {
        Err(Malformed::new("a wrong checksum", "bytes that match their CRC-32"))
    }
}
