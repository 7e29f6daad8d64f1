//! Prints the events of a trace: `trace_events TRACE.pwt`.

use std::error::Error;

use pagewalk_trace::TraceFile;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: trace_events TRACE.pwt")?;
    let mut events = TraceFile::open(path)?.events();
    while let Some(record) = events.next()? {
        println!("{} {} {} {:x?}", record.seq, record.pid, record.tid, record.event);
    }
    Ok(())
}
