//! Mutated inputs are read or refused, and never worse.

use std::io::Cursor;

use crate::common::{Record, sample, write};
use crate::frame::{Section, frame};
use pagewalk_trace::{
    TraceError, TraceFile, TraceWriter, decompress, export_text, import_lackey, import_text,
};

/// The bytes that [`crate::frame::sections`] splits into these blocks.
fn join(sections: &[Section<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for section in sections {
        out.extend([section.kind + 1, section.pid, section.tid]);
        for word in [section.count, section.first, section.span, section.raw.len() as u16] {
            out.extend(word.to_le_bytes());
        }
        out.extend(section.raw);
    }
    out
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % bound
    }

    /// One to four small changes.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let special = [0, 1, 0x7f, 0x80, 0xff, b' ', b'\n', b'9'][self.below(8)];
            match self.below(5) {
                0 => bytes.insert(at, special),
                1 => bytes.truncate(at.max(bytes.len() / 2)),
                2 => {
                    let from = self.below(bytes.len() + 1).min(at);
                    let piece = bytes[from..at].to_vec();
                    bytes.splice(from..from, piece);
                }
                kind => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = if kind == 3 { special } else { *byte ^ 1 << self.below(8) };
                    }
                }
            }
        }
    }
}

/// The blocks of a small trace, before compression.
fn unframed(records: &[Record]) -> Vec<u8> {
    let file = write(records, 0);
    let (mut at, mut raws) = (20, Vec::new());
    loop {
        let word = |offset: usize| u32::from_le_bytes(file[at + offset..at + offset + 4].try_into().unwrap());
        let stored = &file[at + 52..at + 52 + word(24) as usize];
        if file[at + 4] == 3 {
            break;
        }
        let raw = zstd::bulk::decompress(stored, word(20) as usize).unwrap();
        raws.push((file[at + 4], word(8), word(12), word(16), word(32), word(40), raw));
        at += 52 + stored.len();
    }
    let sections: Vec<Section<'_>> = raws
        .iter()
        .map(|(kind, pid, tid, count, first, last, raw)| Section {
            kind: *kind,
            pid: *pid as u8,
            tid: *tid as u8,
            count: *count as u16,
            first: *first as u16,
            span: (last - first) as u16,
            raw,
        })
        .collect();
    join(&sections)
}

/// Reads everything; says how many records there were.
fn read_all(bytes: Vec<u8>) -> Result<u64, TraceError> {
    let file = TraceFile::from_reader(Cursor::new(bytes))?;
    let mut count = 0;
    let mut events = file.events();
    while events.next()?.is_some() {
        count += 1;
    }
    for thread in file.threads() {
        let mut cursor = file.accesses(thread.tid);
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        while cursor.next_block(&mut out, &mut runs, |access| access)? {}
        for access in &out {
            assert!(access.addr + u64::from(access.len) < 1 << 56 && (1..=4096).contains(&access.len));
        }
        assert_eq!(runs.iter().map(|run| run.len as usize).sum::<usize>(), out.len());
        count += out.len() as u64;
    }
    Ok(count)
}

#[test]
fn native_traces_with_mutated_payloads_are_read_or_refused() {
    let records = sample();
    let good = unframed(&records);
    assert_eq!(read_all(frame(&good)).unwrap(), records.len() as u64);
    let mut rng = Rng(1);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        rng.mutate(&mut bytes);
        match read_all(frame(&bytes)) {
            Ok(_) => read += 1,
            Err(TraceError::Format { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} read, {refused} refused");
}

#[test]
fn an_event_of_a_newer_version_is_named() {
    let raw = [5, 0, 12, 1, 1, 0];
    let section = Section { kind: 2, pid: 0, tid: 0, count: 1, first: 0, span: 0, raw: &raw };
    let error = read_all(frame(&join(&[section]))).unwrap_err().to_string();
    let expected = "trace: byte 20: found unknown event kind 12, written by a newer version, expected";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn mutated_files_are_refused() {
    let good = write(&sample(), 1);
    let mut rng = Rng(2);
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        rng.mutate(&mut bytes);
        let whole =
            TraceFile::from_reader(Cursor::new(bytes.clone())).is_ok_and(|file| file.verify().is_ok());
        assert_eq!(whole, bytes == good);
    }
}

#[test]
fn mutated_texts_are_read_or_refused() {
    let file = TraceFile::from_reader(Cursor::new(write(&sample(), 1))).unwrap();
    let mut good = Vec::new();
    export_text(&file, &mut good).unwrap();
    let log = b"==9== Command: x\nI  04000,3\n S 1ffe,8\n--9-- x\n M 04021008,8\n==9== Exit code:  1\n";
    let mut rng = Rng(3);
    for i in 0..20_000 {
        let mut writer = TraceWriter::new(std::io::sink(), 1).unwrap();
        let mut bytes = if i % 2 == 0 { good.clone() } else { log.to_vec() };
        rng.mutate(&mut bytes);
        let result = if i % 2 == 0 {
            import_text(bytes.as_slice(), "x", &mut writer)
        } else {
            import_lackey(decompress(bytes.as_slice()).unwrap(), "x", &mut writer)
        };
        match result {
            Ok(()) => assert!(writer.finish().is_ok()),
            Err(error) => assert!(matches!(error, TraceError::Text { .. }), "{error}"),
        }
    }
}
