//! Any log, compressed or not, is either refused, or gives a whole trace whose accesses all lie in its mappings.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use pagewalk_trace::{Event, TraceFile, TraceWriter, decompress, import_lackey};

fuzz_target!(|data: &[u8]| {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1).expect("memory takes a header");
    let Ok(input) = decompress(data) else { return };
    if import_lackey(input, "log", &mut writer).is_err() {
        return;
    }
    writer.finish().expect("memory takes a trace");
    let file = TraceFile::from_reader(Cursor::new(out)).expect("what was written can be read");
    file.verify().expect("what was written can be read");
    let mut maps = Vec::new();
    let mut events = file.events();
    while let Some(record) = events.next().expect("verified") {
        if let Event::Map { start, len, .. } = record.event {
            maps.push(start..start + len);
        }
    }
    for thread in file.threads() {
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        let mut cursor = file.accesses(thread.tid);
        while cursor.next_block(&mut out, &mut runs, |access| access).expect("verified") {
            for access in out.drain(..) {
                assert!(maps.iter().any(|map| map.contains(&access.addr)), "{access:?}");
            }
        }
    }
});
