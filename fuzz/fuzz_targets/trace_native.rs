//! Any bytes are either a whole trace, every record of which is in range, or an error.
//!
//! A random change rarely survives the checksums, so bytes that do not begin like a trace are taken as the payloads of
//! one and framed with correct headers and checksums.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use pagewalk_trace::{TraceError, TraceFile};

#[path = "../../sim/trace/tests/all/frame.rs"]
mod frame;

fn read(bytes: Vec<u8>) -> Result<(), TraceError> {
    let file = TraceFile::from_reader(Cursor::new(bytes))?;
    let mut events = file.events();
    while events.next()?.is_some() {}
    let mut accesses = 0;
    for thread in file.threads() {
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        let mut cursor = file.accesses(thread.tid);
        while cursor.next_block(&mut out, &mut runs, |access| access)? {
            for access in out.drain(..) {
                assert!(access.addr + u64::from(access.len) < 1 << 56 && (1..=4096).contains(&access.len));
                accesses += 1;
            }
        }
    }
    assert_eq!(accesses, file.summary().accesses());
    let _ = file.verify();
    Ok(())
}

fuzz_target!(|data: &[u8]| {
    let bytes = if data.starts_with(b"\x89PWT") { data.to_vec() } else { frame::frame(data) };
    let _ = read(bytes);
});
