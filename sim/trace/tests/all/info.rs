//! The summary of a trace counts what is there.

use std::io::Cursor;

use crate::common::{Record, write};
use pagewalk_trace::{Event, EventRecord, Op, Place, RawAccess, TraceFile, TraceSummary};

#[test]
fn a_summary_counts_pages_per_process_and_lists_ranges() {
    let access = |pid, addr, len, op| Record::Access(pid, pid, RawAccess { addr, len, op }, Place::default());
    let records = [
        access(1, 0x1ffe, 4, Op::Load),
        access(1, 0x4000, 4, Op::Fetch),
        access(2, 0x4000, 4, Op::Modify),
        access(2, 0x10_0000, 1, Op::Load),
        Record::Event(EventRecord::new(2, 2, Event::ExitThread)),
    ];
    let file = TraceFile::from_reader(Cursor::new(write(&records, 0))).unwrap();
    let summary = TraceSummary::of(&file).unwrap();
    assert_eq!((summary.processes, summary.threads, summary.pages), (2, 2, 5));
    let ranges: Vec<_> = summary.ranges.iter().map(|r| (r.pid, r.start, r.end, r.pages)).collect();
    assert_eq!(ranges, [(1, 0x1000, 0x5000, 3), (2, 0x4000, 0x5000, 1), (2, 0x10_0000, 0x10_1000, 1)]);
    let text = summary.to_string();
    for line in ["accesses   4 of 13 bytes in total\n", "  exit-thread  1\n", "ignored    7 lines: blank\n"] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(text.ends_with("pages      5 of 4096 bytes\n  1       00000000001000-00000000005000 r-x 3\n  2       00000000004000-00000000005000 rw- 1\n  2       00000000100000-00000000101000 r-- 1\n"), "{text}");
}
