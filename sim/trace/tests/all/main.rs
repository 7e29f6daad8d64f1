//! Tests of the package through its public interface.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod frame;
mod importers;
mod info;
mod lackey;
mod make;
mod mutate;
mod native;
mod shipped;
mod text;
mod valgrind;
