//! Building, reading and comparing small traces.

use std::io::Cursor;

use pagewalk_trace::{
    Advice, Event, EventRecord, MapKind, Op, Place, Prot, Provenance, RawAccess, TraceError, TraceFile,
    TraceWriter,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// One record of a trace, in the order of sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Access(u32, u32, RawAccess, Place),
    Event(EventRecord),
}

/// Writes records, of which the first `prologue` must be events, at a low compression level.
pub(crate) fn write(records: &[Record], prologue: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1).unwrap();
    for record in &records[prologue..] {
        match record.clone() {
            Record::Access(pid, tid, access, place) => {
                writer.set_place(pid, tid, place).unwrap();
                writer.access(pid, tid, access).unwrap();
            }
            Record::Event(event) => writer.event(event).unwrap(),
        }
    }
    for record in &records[..prologue] {
        match record {
            Record::Event(event) => writer.prologue_event(event.clone()).unwrap(),
            Record::Access(..) => panic!("a prologue has no accesses"),
        }
    }
    writer.set_provenance(Provenance {
        source: "test".into(),
        command: "none".into(),
        notes: vec!["made up".into()],
        ignored: vec![("blank".into(), 7)],
    });
    writer.finish().unwrap();
    out
}

/// Reads a whole trace back; the records come in the order of their sequence numbers, which must have no gaps.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Record>, TraceError> {
    let file = TraceFile::from_reader(Cursor::new(bytes.to_vec()))?;
    file.verify()?;
    let mut all = Vec::new();
    let mut events = file.events();
    while let Some(record) = events.next()? {
        all.push((record.seq, Record::Event(EventRecord { seq: 0, ..record })));
    }
    for thread in file.threads() {
        let mut cursor = file.accesses(thread.tid);
        let (mut accesses, mut runs) = (Vec::new(), Vec::new());
        while cursor.next_block(&mut accesses, &mut runs, |access| access)? {
            let mut places = Vec::new();
            for run in cursor.place_runs() {
                places.extend(std::iter::repeat_n(run.place, run.len as usize));
            }
            places.resize(accesses.len(), Place::default());
            for run in runs.drain(..) {
                for i in 0..run.len {
                    let index = (run.start + i) as usize;
                    let record = Record::Access(thread.pid, thread.tid, accesses[index], places[index]);
                    all.push((run.first_seq + u64::from(i), record));
                }
            }
            accesses.clear();
        }
    }
    all.sort_by_key(|(seq, _)| *seq);
    Ok(all.into_iter().map(|(_, record)| record).collect())
}

/// Addresses that make every delta width likely.
pub(crate) fn any_addr() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..0x1000,
        0x40_0000u64..0x40_1000,
        (0x7fff_0000_0000u64..0x7fff_0001_0000),
        0u64..(1 << 56) - 4097,
        Just((1u64 << 56) - 4097),
    ]
}

pub(crate) fn any_access() -> impl Strategy<Value = RawAccess> {
    let len = prop_oneof![1u16..16, Just(32), 1u16..=4096];
    (any_addr(), len, 0usize..4).prop_map(|(addr, len, op)| RawAccess { addr, len, op: Op::ALL[op] })
}

pub(crate) fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![
        4 => Just(Place::default()),
        1 => (any::<Option<u16>>(), any::<Option<u64>>()).prop_map(|(cpu, time_ns)| Place { cpu, time_ns }),
    ]
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let len = 1u64..0x1_0000;
    let prot = (0u8..8).prop_map(Prot);
    let path = "[ -~é]{0,12}";
    let kind = prop_oneof![
        Just(MapKind::Anonymous),
        Just(MapKind::Stack),
        Just(MapKind::Heap),
        (path, any::<u64>()).prop_map(|(path, offset)| MapKind::File { path, offset }),
    ];
    let start = (0u64..(1 << 56) - 0x1_0000).boxed();
    prop_oneof![
        (start.clone(), len.clone(), prot.clone(), kind, any::<bool>(), any::<bool>()).prop_map(
            |(start, len, prot, kind, shared, inferred)| Event::Map {
                start,
                len,
                prot,
                kind,
                shared,
                inferred
            }
        ),
        (start.clone(), len.clone()).prop_map(|(start, len)| Event::Unmap { start, len }),
        (start.clone(), len.clone(), prot).prop_map(|(start, len, prot)| Event::Protect { start, len, prot }),
        start.clone().prop_map(|end| Event::Brk { end }),
        (start.clone(), 0..0x1000u64, len.clone(), proptest::option::of(start.clone())).prop_map(
            |(old_start, old_len, new_len, new_start)| Event::Remap {
                old_start,
                old_len,
                new_len,
                new_start
            }
        ),
        (start, len).prop_map(|(start, len)| Event::Discard { start, len }),
        any::<(u32, u32)>().prop_map(|(child_pid, child_tid)| Event::Fork { child_pid, child_tid }),
        any::<u32>().prop_map(|child_tid| Event::Clone { child_tid }),
        path.prop_map(|path| Event::Exec { path }),
        Just(Event::ExitThread),
        any::<i32>().prop_map(|status| Event::ExitProcess { status }),
        any::<u32>().prop_map(|child_pid| Event::Wait { child_pid }),
        any_file_event(),
    ]
}

/// The files that [`any_records`] introduces before all else.
const FILES: std::ops::Range<u32> = 70..73;

fn any_file_event() -> impl Strategy<Value = Event> {
    let advice = |kinds: usize| (0..kinds).prop_map(|kind| Advice::ALL[kind]);
    let start = (0u64..(1 << 56) - 0x1_0000).boxed();
    let len = 1u64..0x1_0000;
    let transfer =
        (FILES, 0u64..1 << 62, len.clone(), proptest::option::of(start.clone()), any::<bool>()).boxed();
    let range = (FILES, 0u64..1 << 62, 1u64..1 << 62).boxed();
    prop_oneof![
        transfer.clone().prop_map(|(file, offset, len, buffer, direct)| Event::Read {
            file,
            offset,
            len,
            buffer,
            direct
        }),
        transfer.prop_map(|(file, offset, len, buffer, direct)| Event::Write {
            file,
            offset,
            len,
            buffer,
            direct
        }),
        FILES.prop_map(|file| Event::Fsync { file }),
        (start.clone(), len.clone(), any::<bool>()).prop_map(|(start, len, sync)| Event::Msync {
            start,
            len,
            sync
        }),
        (FILES, 0u64..1 << 63).prop_map(|(file, size)| Event::Truncate { file, size }),
        range.clone().prop_map(|(file, offset, len)| Event::PunchHole { file, offset, len }),
        (range.clone(), advice(6)).prop_map(|((file, offset, len), advice)| Event::Fadvise {
            file,
            offset,
            len: len - 1,
            advice
        }),
        (start, len, advice(4)).prop_map(|(start, len, advice)| Event::Madvise { start, len, advice }),
        range.prop_map(|(file, offset, len)| Event::Invalidate { file, offset, len }),
        Just(Event::DropCaches),
        Just(Event::Sync),
    ]
}

/// Up to `max` records of up to four threads of two processes, after events that introduce files.
pub(crate) fn any_records(max: usize) -> impl Strategy<Value = Vec<Record>> {
    let access = (0u32..4, any_access(), any_place())
        .prop_map(|(tid, access, place)| Record::Access(10 + tid / 2, 100 + tid, access, place));
    let event = (0u32..4, any_event(), any_place()).prop_map(|(tid, event, place)| {
        let record = EventRecord::new(10 + tid / 2, 100 + tid, event);
        Record::Event(EventRecord { cpu: place.cpu, time_ns: place.time_ns, ..record })
    });
    let records = proptest::collection::vec(prop_oneof![4 => access, 1 => event], 0..max);
    (records, 0u64..1 << 63).prop_map(|(records, size)| introductions(size).chain(records).collect())
}

fn introductions(size: u64) -> impl Iterator<Item = Record> {
    FILES.map(move |file| {
        let path = format!("/tmp/é {file}");
        Record::Event(EventRecord::new(10, 100, Event::File { file, path, size }))
    })
}

/// A few records of every kind.
pub(crate) fn sample() -> Vec<Record> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut records = vec![Record::Event(EventRecord::new(
        10,
        100,
        Event::Map {
            start: 0x1000,
            len: 0x4000,
            prot: Prot::READ_WRITE,
            kind: MapKind::Anonymous,
            shared: false,
            inferred: true,
        },
    ))];
    for _ in 0..4 {
        let more = any_records(24).new_tree(&mut runner).unwrap().current();
        let known = if records.len() > 1 { FILES.len() } else { 0 };
        records.extend(more.into_iter().skip(known));
    }
    records
}
