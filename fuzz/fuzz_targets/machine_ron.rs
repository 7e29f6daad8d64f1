//! Any text is either refused with a message that can be shown, or a machine that can be built.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pagewalk_cli::diagnostic::Diagnostic;
use pagewalk_cli::style::ColorChoice;
use pagewalk_machine::parse_machine_str;

fuzz_target!(|text: &str| {
    match parse_machine_str("machine.ron", text) {
        Ok(machine) => machine.parts().hardware.tlb.validate().expect("what was accepted can be built"),
        Err(refusal) => assert!(!refusal.to_text(ColorChoice::Never.for_stdout()).is_empty()),
    }
});
