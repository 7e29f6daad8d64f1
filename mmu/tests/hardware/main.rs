//! The hardware against simple models that share no code with it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod addresses;
mod hit_loop;
mod model;
mod tlb_array;
mod walk_cache;
