//! How fast lines of accesses are read, and how fast a log becomes a trace: bytes of log per second.

use std::io::{Cursor, Write};
use std::time::Instant;

use pagewalk_trace::{Log, LogOptions, TraceError, TraceWriter, import_logs, lackey_accesses};

/// Bytes of the log.
const SIZE: usize = 64 << 20;

/// A log with the usual mixture of lines: three fetches for each data access, short jumps, stack and heap.
fn log() -> Vec<u8> {
    let (mut text, mut random, mut pc) =
        (b"==7== Command: bench\n--7--   SCHED[1]: x\n".to_vec(), 1u64, 0u64);
    while text.len() < SIZE {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = random >> 33;
        pc = if draw % 16 == 0 { draw % 0x8_0000 } else { (pc + 1 + draw % 7) % 0x8_0000 };
        let written = match draw >> 8 & 7 {
            0 => writeln!(text, " S 1fff0{:05x},8", draw % 0x2000),
            1 => writeln!(text, " L {:08x},{}", 0x484_0000 + draw % 0x20_0000, 1 << (draw % 5)),
            2 => writeln!(text, " L 1fff0{:05x},8", draw % 0x2000),
            _ => writeln!(text, "I  {:08x},{}", 0x400_0000 + pc, 1 + draw % 8),
        };
        written.expect("memory takes a line");
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "measuring time is this program's purpose")]
fn rate(name: &str, log: &[u8], mut run: impl FnMut(&[u8]) -> Result<u64, TraceError>) {
    let mut best = f64::MAX;
    let mut accesses = 0;
    for _ in 0..5 {
        let started = Instant::now();
        accesses = run(log).expect("the log is well formed");
        best = best.min(started.elapsed().as_secs_f64());
    }
    let (gigabytes, ns) = (log.len() as f64 / best / 1e9, best * 1e9 / accesses.max(1) as f64);
    println!("{name:<8} {gigabytes:.2} GB/s, {ns:.2} ns per access");
}

fn main() {
    let log = log();
    rate("lines", &log, |log| {
        let mut check = 0u64;
        let count = lackey_accesses(log, "bench", |access| {
            check = check.wrapping_add(access.addr).rotate_left(1) ^ u64::from(access.len) ^ access.op as u64;
        })?;
        std::hint::black_box(check);
        Ok(count)
    });
    rate("import", &log, |log| {
        let mut writer = TraceWriter::new(std::io::sink(), 1)?;
        let input = Box::new(Cursor::new(log));
        let logs = vec![Log { name: "bench".to_owned(), input }];
        import_logs(logs, LogOptions::default(), &mut writer)?;
        Ok(writer.finish()?.accesses())
    });
}
