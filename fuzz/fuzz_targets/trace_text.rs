//! Any text is either refused, or a trace whose text means the same trace.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use pagewalk_trace::{TraceFile, TraceWriter, export_text, import_text};

fn import(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1).expect("memory takes a header");
    import_text(text, "text", &mut writer).ok()?;
    writer.finish().expect("memory takes a trace");
    Some(out)
}

fuzz_target!(|data: &[u8]| {
    let Some(native) = import(data) else { return };
    let file = TraceFile::from_reader(Cursor::new(native.clone())).expect("what was written can be read");
    let mut text = Vec::new();
    export_text(&file, &mut text).expect("what was written can be read");
    assert_eq!(import(&text), Some(native));
});
