//! The free lists against a simple model that shares no code with them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod buddy;
