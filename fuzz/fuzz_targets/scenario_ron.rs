//! Any text is either refused with a message that can be shown, or a scenario that was checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pagewalk_cli::diagnostic::Diagnostic;
use pagewalk_cli::style::ColorChoice;
use pagewalk_explore::parse_scenario_str;

fuzz_target!(|text: &str| {
    match parse_scenario_str("scenario.ron", text) {
        Ok(scenario) => scenario.check().expect("what was accepted is right"),
        Err(refusal) => assert!(!refusal.to_text(ColorChoice::Never.for_stdout()).is_empty()),
    }
});
