//! Turns arbitrary bytes into a trace file with correct checksums, so that mutations reach the decoders behind them.
//!
//! The input is a list of blocks: kind, pid, tid (1 byte each), count, first sequence number, span and length (2 bytes
//! each), then the payload before compression. The fuzz target for the native format uses this file too.

const HEAD: usize = 11;

/// One block of the input.
pub(crate) struct Section<'a> {
    pub(crate) kind: u8,
    pub(crate) pid: u8,
    pub(crate) tid: u8,
    pub(crate) count: u16,
    pub(crate) first: u16,
    pub(crate) span: u16,
    pub(crate) raw: &'a [u8],
}

/// Splits arbitrary bytes into blocks.
pub(crate) fn sections(mut data: &[u8]) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    while let Some((head, rest)) = data.split_at_checked(HEAD) {
        let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let (raw, rest) = rest.split_at(rest.len().min(word(9).into()));
        data = rest;
        let (kind, pid, tid) = (1 + head[0] % 2, head[1], head[2]);
        let (pid, tid) = if kind == 1 { (pid, tid) } else { (0, 0) };
        sections.push(Section { kind, pid, tid, count: word(3), first: word(5), span: word(7), raw });
    }
    sections
}

/// A trace file with these blocks, and an index that agrees with them.
pub(crate) fn frame(data: &[u8]) -> Vec<u8> {
    let sections = sections(data);
    let mut file = b"\x89PWT\r\n\x1a\n\x01\0\0\0\0\0\0\0".to_vec();
    push_crc(&mut file, 0);
    let mut stored_lens = Vec::new();
    for section in &sections {
        stored_lens.push(push_block(&mut file, section, section.raw));
    }
    let index = index(&sections, &stored_lens);
    let index_offset = file.len() as u64;
    let nobody = Section { kind: 3, pid: 0, tid: 0, count: 0, first: 0, span: 0, raw: &[] };
    push_block(&mut file, &nobody, &index);
    let start = file.len();
    file.extend(index_offset.to_le_bytes());
    file.extend((start as u64 + 24).to_le_bytes());
    push_crc(&mut file, start);
    file.extend(b"PWTE");
    file
}

fn push_crc(file: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&file[start..]);
    file.extend(crc.to_le_bytes());
}

fn push_block(file: &mut Vec<u8>, section: &Section<'_>, raw: &[u8]) -> u64 {
    let stored = zstd::bulk::compress(raw, 1).expect("memory is compressed");
    let start = file.len();
    file.extend(b"PWBK");
    file.extend([section.kind, 0, 0, 0]);
    let (pid, tid) = (section.pid.into(), section.tid.into());
    let lens = (raw.len() as u32, stored.len() as u32);
    for word in [pid, tid, section.count.into(), lens.0, lens.1, crc32fast::hash(&stored)] {
        file.extend(u32::to_le_bytes(word));
    }
    file.extend(u64::from(section.first).to_le_bytes());
    file.extend((u64::from(section.first) + u64::from(section.span)).to_le_bytes());
    push_crc(file, start);
    file.extend(&stored);
    stored.len() as u64
}

fn index(sections: &[Section<'_>], stored_lens: &[u64]) -> Vec<u8> {
    let mut threads = std::collections::BTreeMap::<(u8, u8), u64>::new();
    let mut totals = [0u64; 2];
    for section in sections {
        totals[usize::from(section.kind) - 1] += u64::from(section.count);
        if section.kind == 1 {
            *threads.entry((section.pid, section.tid)).or_default() += u64::from(section.count);
        }
    }
    let mut values = vec![0, totals[0], 0, 0, 0, 0, 12, totals[1]];
    values.extend([0; 11 + 4]);
    values.push(threads.len() as u64);
    for ((pid, tid), accesses) in threads {
        values.extend([pid.into(), tid.into(), 0, 0, accesses, 0]);
    }
    values.push(sections.len() as u64);
    for (s, stored_len) in sections.iter().zip(stored_lens) {
        values.extend([s.kind.into(), s.pid.into(), s.tid.into(), s.count.into(), s.raw.len() as u64]);
        values.extend([*stored_len, s.first.into(), s.span.into()]);
    }
    let mut out = Vec::new();
    for mut value in values {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    out
}
