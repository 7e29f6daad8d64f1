//! What an ELF program has mapped when it begins: the loadable segments of its program headers.

use crate::pages::PAGE_SIZE;
use crate::record::Prot;

/// The most bytes of a program that are looked at: headers stand at the front.
pub(super) const HEAD: u64 = 64 << 10;

/// A loadable segment; addresses are relative to where the program is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// The page where it begins, and the page after the last that comes from the file.
    pub(super) first: u64,
    pub(super) file_end: u64,
    /// The page after the last, with memory that is zero at the start.
    pub(super) end: u64,
    /// Offset in the file of the first page, in bytes.
    pub(super) offset: u64,
    pub(super) prot: Prot,
}

/// The headers of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Where it begins to execute.
    pub(super) entry: u64,
    /// False if it can be loaded anywhere.
    pub(super) fixed: bool,
    /// The path of the dynamic linker.
    pub(super) interpreter: Option<String>,
    pub(super) segments: Vec<Segment>,
}

/// The path after `#!` at the front of a script.
pub(super) fn script(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let words = String::from_utf8_lossy(line);
    words.split_whitespace().next().map(str::to_owned)
}

/// Reads the first bytes of a 64-bit little-endian ELF program; `None` if it is something else.
pub(super) fn parse(head: &[u8]) -> Option<Program> {
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let fixed = match u16_at(head, 16)? {
        2 => true,
        3 => false,
        _ => return None,
    };
    let (table, size, count) = (u64_at(head, 32)?, u64::from(u16_at(head, 54)?), u16_at(head, 56)?);
    let mut program = Program { entry: u64_at(head, 24)?, fixed, interpreter: None, segments: Vec::new() };
    for i in 0..u64::from(count) {
        let at = usize::try_from(table.checked_add(i * size)?).ok()?;
        let word = |offset: usize| u64_at(head, at.checked_add(offset)?);
        let (offset, addr, in_file, in_memory) = (word(8)?, word(16)?, word(32)?, word(40)?);
        match u32_at(head, at)? {
            1 if in_memory > 0 => {
                program.segments.push(segment(u32_at(head, at + 4)?, offset, addr, in_file, in_memory)?);
            }
            3 => {
                let start = usize::try_from(offset).ok()?;
                let path = head.get(start..start.checked_add(usize::try_from(in_file).ok()?)?)?;
                let path = path.split(|b| *b == 0).next()?;
                program.interpreter = Some(String::from_utf8(path.to_vec()).ok()?);
            }
            _ => {}
        }
    }
    Some(program)
}

fn segment(flags: u32, offset: u64, addr: u64, in_file: u64, in_memory: u64) -> Option<Segment> {
    let prot = Prot((flags >> 2 & 1 | flags & 2 | (flags & 1) << 2) as u8);
    let end = addr.checked_add(in_memory).filter(|end| *end < 1 << 55)?;
    let file_end = addr.checked_add(in_file).filter(|file_end| *file_end <= end)?;
    let first = addr / PAGE_SIZE;
    let file_end = if in_file == 0 { first } else { file_end.div_ceil(PAGE_SIZE) };
    let offset = offset - offset % PAGE_SIZE;
    Some(Segment { first, file_end, end: end.div_ceil(PAGE_SIZE), offset, prot })
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
