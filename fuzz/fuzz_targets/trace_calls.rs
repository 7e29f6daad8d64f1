//! Any logs with system calls, of a parent and perhaps its children, are either refused, or give a whole trace.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use pagewalk_trace::{FileTable, Log, LogOptions, TraceFile, TraceWriter, export_text, import_logs};

fuzz_target!(|data: &[u8]| {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1).expect("memory takes a header");
    let logs = data.split(|b| *b == 0).take(4).enumerate();
    let logs = logs.map(|(i, text)| Log { name: format!("log {i}"), input: Box::new(text) }).collect();
    let options = LogOptions { directory: Some("/home".into()), ..LogOptions::default() };
    if import_logs(logs, options, &mut writer).is_err() {
        return;
    }
    writer.finish().expect("memory takes a trace");
    let file = TraceFile::from_reader(Cursor::new(out)).expect("what was written can be read");
    file.verify().expect("what was written can be read");
    let (mut files, mut events) = (FileTable::default(), file.events());
    while let Some(record) = events.next().expect("verified") {
        files.admit(&record.event).expect("files are introduced before they are used");
    }
    export_text(&file, std::io::sink()).expect("what was written can be read");
});
