//! Prints what is in a trace: `trace_info TRACE.pwt`.

use std::error::Error;

use pagewalk_trace::{TraceFile, TraceSummary};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: trace_info TRACE.pwt")?;
    let file = TraceFile::open(path)?;
    file.verify()?;
    print!("{}", TraceSummary::of(&file)?);
    Ok(())
}
