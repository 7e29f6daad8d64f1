//! What watches the kernel from outside its text: the memory oracle and the observers of the invariants.

mod backing;
mod catalogue;
mod discards;
mod dma;
mod file_ops;
mod file_page;
mod file_pages;
mod files;
mod invariants;
mod leftover;
mod oracle;
mod shadow;
mod state;
mod swapped;

pub use catalogue::{INVARIANTS, InvariantInfo, invariant, promises};
pub(crate) use dma::PinTicket;
pub use file_ops::FileTicket;
pub(crate) use files::initial_stamp;
pub use leftover::Leftover;
pub use oracle::Oracle;
