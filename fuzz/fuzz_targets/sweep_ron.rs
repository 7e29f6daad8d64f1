//! Any text is either refused with a message that can be shown, or a sweep with no more points than a sweep may have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pagewalk_cli::diagnostic::Diagnostic;
use pagewalk_cli::style::ColorChoice;
use pagewalk_sweep::parse_sweep_str;

fuzz_target!(|text: &str| {
    match parse_sweep_str("sweep.ron", text) {
        Ok(points) => assert!((1..=250_000).contains(&points)),
        Err(refusal) => assert!(!refusal.to_text(ColorChoice::Never.for_stdout()).is_empty()),
    }
});
