//! What swap needs of the kernel above it: pages for swap-in, reading and writing areas, swapoff.

mod page_io;
mod swapin;
mod swapoff;

pub use page_io::SwapStat;
pub(crate) use page_io::swap_writepage;
pub(crate) use swapin::{read_swap_cache_async, swapin_readahead};
pub(crate) use swapoff::{SwapoffState, do_swapoff, do_swapon, kill_swapoff};
