//! What watches the kernel from outside its text: the memory oracle and the observers of the invariants.

mod discards;
mod invariants;
mod leftover;
mod oracle;
mod shadow;

pub use leftover::Leftover;
pub use oracle::Oracle;
