//! The same lines natively: `cargo run --release -p pagewalk-wasm --example native -- FILE...`, scenarios and traces.

use std::process::ExitCode;

fn main() -> ExitCode {
    for file in std::env::args().skip(1) {
        let Ok(bytes) = std::fs::read(&file) else {
            eprintln!("cannot read {file}");
            return ExitCode::FAILURE;
        };
        if file.ends_with(".ron") {
            print!("{}", pagewalk_wasm::scenario(&file, &String::from_utf8_lossy(&bytes)));
        } else {
            print!("{}", pagewalk_wasm::replay(&file, &bytes));
        }
    }
    ExitCode::SUCCESS
}
