//! Any `--set` is either refused and changes nothing, or leaves a machine that can be built.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pagewalk_machine::Machine;

fuzz_target!(|option: &str| {
    let mut machine = Machine::default();
    match machine.set(option) {
        Ok(()) => machine.parts().hardware.tlb.validate().expect("what was accepted can be built"),
        Err(_) => assert_eq!(machine, Machine::default()),
    }
});
