//! The native format gives back what was written, and refuses what was damaged.

use std::io::Cursor;

use crate::common::{Record, any_records, read, sample, write};
use pagewalk_trace::{Advice, Event, EventRecord, Op, Place, RawAccess, TraceError, TraceFile, TraceWriter};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read(records in any_records(300)) {
        let bytes = write(&records, 0);
        prop_assert_eq!(read(&bytes).unwrap(), records.clone());
        prop_assert_eq!(write(&records, 0), bytes, "the same records give the same bytes");
    }

    #[test]
    fn events_known_last_can_come_first(records in any_records(100)) {
        let mut records = records;
        records.sort_by_key(|record| matches!(record, Record::Access(..)));
        let events = records.iter().filter(|record| matches!(record, Record::Event(..))).count();
        prop_assert_eq!(read(&write(&records, events)).unwrap(), records.clone());
        // What uses a file is written after the event that introduces it.
        records.retain(|record| !matches!(record, Record::Event(record) if record.event.file().is_some()));
        let events = records.iter().filter(|record| matches!(record, Record::Event(..))).count();
        prop_assert_eq!(read(&write(&records, events / 2)).unwrap(), records);
    }
}

/// Many blocks, with threads taking turns of `turn` accesses.
fn long(count: u64, threads: u32, turn: u64) -> Vec<Record> {
    (0..count)
        .map(|i| {
            let tid = (i / turn % u64::from(threads)) as u32;
            let op = Op::ALL[(i % 7).min(3) as usize];
            let addr = 0x10_0000 * (1 + u64::from(tid)) + (i * 0x9e37) % 0x8_0000;
            Record::Access(1, 1 + tid, RawAccess { addr, len: 1 + (i % 9) as u16, op }, Place::default())
        })
        .collect()
}

#[test]
fn a_thread_may_have_many_blocks() {
    for (threads, turn) in [(1, 1), (3, 1), (3, 1000), (100, 7)] {
        let records = long(100_000, threads, turn);
        assert!(read(&write(&records, 0)).unwrap() == records, "{threads} threads, turns of {turn}");
    }
}

#[test]
fn blocks_are_decoded_into_the_callers_type_after_what_is_there() {
    let bytes = write(&long(40_000, 1, 1), 0);
    let file = TraceFile::from_reader(Cursor::new(bytes)).unwrap();
    let mut cursor = file.accesses(1);
    let (mut out, mut runs) = (vec![7u64], Vec::new());
    assert_eq!(cursor.next_seq(), Some(0));
    assert!(cursor.next_block(&mut out, &mut runs, |access| access.addr).unwrap());
    assert_eq!((out.len(), out[0], out[1]), (32_769, 7, 0x10_0000));
    assert_eq!((runs.len(), runs[0].first_seq, runs[0].start, runs[0].len), (1, 0, 1, 32_768));
    assert!(cursor.next_block(&mut out, &mut runs, |access| access.addr).unwrap());
    assert!(!cursor.next_block(&mut out, &mut runs, |access| access.addr).unwrap());
    assert_eq!((out.len(), runs[1].first_seq, runs[1].start), (40_001, 32_768, 32_769));
    let mut later = file.accesses(1);
    assert_eq!(later.skip_before(32_768), 32_768);
    assert_eq!(later.next_seq(), Some(32_768));
    assert!(!file.accesses(99).next_block(&mut out, &mut runs, |access| access.addr).unwrap());
}

#[test]
fn other_cursors_may_be_used_while_a_block_is_decoded() {
    let bytes = write(&sample(), 0);
    let file = TraceFile::from_reader(Cursor::new(bytes)).unwrap();
    let tid = file.threads()[0].tid;
    let (mut out, mut runs) = (Vec::new(), Vec::new());
    let first_event = |_| file.events().next().unwrap().map(|record| record.seq);
    file.accesses(tid).next_block(&mut out, &mut runs, first_event).unwrap();
    assert!(!out.is_empty() && out.iter().all(|seq| *seq == Some(0)));
}

#[test]
fn a_trace_cut_short_anywhere_is_refused() {
    let bytes = write(&sample(), 1);
    assert!(read(&bytes).is_ok());
    for len in 0..bytes.len() {
        let error = read(&bytes[..len]).unwrap_err();
        assert!(matches!(error, TraceError::Format { .. }), "{len}: {error}");
    }
}

#[test]
fn any_changed_byte_is_noticed() {
    let bytes = write(&sample(), 1);
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            assert!(read(&damaged).is_err(), "byte {at} changed by {change:#x}");
        }
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(read(&longer).is_err());
}

#[test]
fn an_unfinished_file_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.pwt");
    let access = RawAccess { addr: 4096, len: 8, op: Op::Load };
    let mut writer = TraceWriter::create(&path, 3).unwrap();
    writer.access(1, 1, access).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let mut writer = TraceWriter::create(&path, 3).unwrap();
    writer.access(1, 1, access).unwrap();
    assert_eq!(writer.finish().unwrap().accesses(), 1);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    assert_eq!(TraceFile::open(&path).unwrap().threads().len(), 1);
    let error = TraceFile::open(directory.path().join("b.pwt")).err().unwrap();
    assert!(error.to_string().contains("b.pwt: "), "{error}");
}

#[test]
fn what_no_trace_can_hold_is_refused_when_written() {
    let mut writer = TraceWriter::new(Vec::new(), 1).unwrap();
    for (addr, len) in [(1 << 56, 1), ((1 << 56) - 1, 2), (0, 0), (0, 4097), (u64::MAX, 4096)] {
        let access = RawAccess { addr, len, op: Op::Load };
        assert!(matches!(writer.access(1, 1, access), Err(TraceError::Record { .. })), "{access:?}");
    }
    let events = [
        Event::Unmap { start: 0, len: 0 },
        Event::Discard { start: u64::MAX, len: 2 },
        Event::Brk { end: 1 << 56 },
        Event::Exec { path: "x".repeat(4097) },
        Event::Exec { path: "a\nb".into() },
        Event::File { file: 1, path: "a\rb".into(), size: 0 },
        Event::File { file: 1, path: "a".into(), size: 1 << 63 },
        Event::File { file: 9, path: "again".into(), size: 0 },
        Event::Fsync { file: 8 },
        Event::Read { file: 9, offset: 0, len: 0, buffer: None, direct: false },
        Event::Read { file: 9, offset: 0, len: 0x7fff_f001, buffer: None, direct: false },
        Event::Write { file: 9, offset: i64::MAX as u64, len: 1, buffer: None, direct: true },
        Event::Write { file: 9, offset: 0, len: 4096, buffer: Some((1 << 56) - 4095), direct: false },
        Event::Truncate { file: 9, size: u64::MAX },
        Event::PunchHole { file: 9, offset: 4096, len: 0 },
        Event::Invalidate { file: 9, offset: u64::MAX, len: 2 },
        Event::Fadvise { file: 9, offset: 1, len: i64::MAX as u64, advice: Advice::Normal },
        Event::Msync { start: 0, len: 0, sync: true },
        Event::Madvise { start: 0, len: 4096, advice: Advice::DontNeed },
    ];
    let file = Event::File { file: 9, path: "/a".into(), size: 4096 };
    writer.event(EventRecord::new(1, 1, file)).unwrap();
    for event in events {
        assert!(writer.event(EventRecord::new(1, 1, event.clone())).is_err(), "{event:?}");
    }
    writer.event(EventRecord::new(1, 1, Event::ExitThread)).unwrap();
    let error = writer.event(EventRecord::new(2, 1, Event::ExitThread)).unwrap_err();
    assert!(error.to_string().contains("thread numbers are unique"), "{error}");
}

#[test]
fn memory_is_bounded_with_thousands_of_threads() {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1).unwrap();
    let access = RawAccess { addr: 4096, len: 8, op: Op::Load };
    for tid in 0..9000 {
        writer.access(tid / 10, tid, access).unwrap();
    }
    writer.finish().unwrap();
    let file = TraceFile::from_reader(Cursor::new(out)).unwrap();
    file.verify().unwrap();
    assert_eq!(file.threads().len(), 9000);
}
