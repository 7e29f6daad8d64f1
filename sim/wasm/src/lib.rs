//! Scenarios and traces as a few lines of text with digests: the same text natively and in WebAssembly, or something depends on
//! the computer.
//!
//! `.ci/wasm` builds this package for both, runs both, and compares. [`exports`] is how a JavaScript program calls it; natively
//! `examples/native.rs` does.
//!
//! A panic ends the module there. A `BUG` of the kernel is none: it ends the run, and a search goes on to the next schedule, so nothing
//! here has to handle it. What still panics is an assertion that only a mistake of this program can fail.

pub mod exports;
mod replaying;
mod searching;

pub use replaying::replay;
pub use searching::scenario;

use std::fmt::Write as _;

use pagewalk_engine::Digest;

/// The digest of a text, as 32 hexadecimal digits.
fn digest(text: &str) -> String {
    let mut digest = Digest::default();
    std::hash::Hasher::write(&mut digest, text.as_bytes());
    // What a text is padded with to whole words has to be no part of it.
    digest.absorb(text.len() as u64);
    format!("{:032x}", digest.value())
}

/// Adds a line to `lines`.
fn line(lines: &mut String, words: std::fmt::Arguments<'_>) {
    // A text takes everything.
    let _ = writeln!(lines, "{words}");
}
