//! Host memory per frame of simulated memory in use, and over the length of a trace. `cargo bench --bench memory`.
//!
//! Reads the peak resident size of this process from `/proc/self/status`, so it runs on Linux only.

use std::sync::Arc;

use pagewalk_machine::Machine;
use pagewalk_replay::{Replay, ReplayOptions, RunOptions, Shared};
use pagewalk_trace::{GeneratorSpec, Pattern, TraceWriter, generate};

/// Peak resident size of this process, in bytes.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Touches `pages` pages with `accesses` accesses, going round.
fn replay(pages: u64, accesses: u64) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut spec = GeneratorSpec::new(Pattern::Strided);
    (spec.pages, spec.accesses, spec.write_per_mille) = (pages, accesses, 1000);
    let mut writer = TraceWriter::create(file.path(), 3).expect("a temporary trace");
    generate(&spec, &mut writer).expect("a valid generator");
    writer.finish().expect("a whole trace");
    let mut machine = Machine::default();
    machine.set_all(&["cpus=1", "memory.frames=\"16 GiB\""]).expect("valid options");
    let options = ReplayOptions::whole(RunOptions::default());
    let traces = [file.path().display().to_string()];
    let finished =
        Replay::run(&machine, &traces, options, Arc::new(Shared::default())).expect("a valid trace");
    assert_eq!(finished.replay.kernel.stat.pgfault.get(), pages.min(accesses), "every page is touched");
}

fn main() {
    if std::env::args().any(|word| word == "--test") {
        return;
    }
    let Some(_) = peak() else {
        println!("no /proc/self/status here");
        return;
    };
    println!("length of the trace, 64 MiB touched");
    for millions in [1, 4, 16] {
        replay(1 << 14, millions * 1_000_000);
        println!("  {millions:>4} million accesses      peak {:>8} KiB", peak().unwrap_or(0) / 1024);
    }
    println!("memory in use");
    let mut points = Vec::new();
    for mib in [256_u64, 512, 1024, 2048, 4096] {
        let pages = mib << 8;
        replay(pages, pages);
        let bytes = peak().unwrap_or(0);
        points.push((pages, bytes));
        println!("  {mib:>4} MiB, {pages:>8} frames   peak {:>8} KiB", bytes / 1024);
    }
    let ((first, low), (last, high)) = (points[0], points[points.len() - 1]);
    println!(
        "  slope                      {:.1} bytes per frame",
        (high - low) as f64 / (last - first) as f64
    );
}
