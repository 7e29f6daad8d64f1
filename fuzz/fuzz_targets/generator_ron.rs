//! Any text is either refused with a message that can be shown, or parameters within their ranges.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pagewalk_cli::diagnostic::Diagnostic;
use pagewalk_cli::style::ColorChoice;
use pagewalk_cli::trace_cmd::parse_generator_str;

fuzz_target!(|text: &str| {
    match parse_generator_str("generator.ron", text) {
        Ok(spec) => spec.validate().expect("what was accepted is within the ranges"),
        Err(refusal) => assert!(!refusal.to_text(ColorChoice::Never.for_stdout()).is_empty()),
    }
});
