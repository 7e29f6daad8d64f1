//! Measures decoding: `decode_speed TRACE.pwt [ROUNDS]` prints nanoseconds per access, decompression included.

use std::error::Error;
use std::time::Instant;

use pagewalk_trace::{Op, TraceFile};

/// A compact access such as a simulator keeps.
struct Packed {
    addr_and_op: u64,
    len: u16,
}

#[expect(clippy::disallowed_methods, reason = "measuring time is this program's purpose")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let path = args.get(1).ok_or("usage: decode_speed TRACE.pwt [ROUNDS]")?;
    let rounds = args.get(2).map_or(Ok(5), |rounds| rounds.parse::<u32>())?;
    let file = TraceFile::open(path)?;
    let (mut out, mut runs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let started = Instant::now();
        let (mut accesses, mut check) = (0u64, 0u64);
        for thread in file.threads() {
            let mut cursor = file.accesses(thread.tid);
            while cursor.next_block(&mut out, &mut runs, |access| Packed {
                addr_and_op: access.addr << 2
                    | match access.op {
                        Op::Fetch => 0,
                        Op::Load => 1,
                        Op::Store => 2,
                        Op::Modify => 3,
                    },
                len: access.len,
            })? {
                accesses += out.len() as u64;
                check ^= out.last().map_or(0, |last| last.addr_and_op ^ u64::from(last.len));
                out.clear();
                runs.clear();
            }
        }
        let ns = started.elapsed().as_nanos() as f64 / accesses as f64;
        println!("{accesses} accesses, {ns:.2} ns each (check {check:x})");
    }
    Ok(())
}
