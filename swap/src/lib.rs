//! Swap: areas, their maps and counts, the swap cache, and the devices behind them.
//!
//! Follows mm/swapfile.c and mm/swap_state.c of v2.6.27. The swap cache is an address space of the page cache (`swapper_space`): its
//! pages are found, inserted and removed by the same code. One operation is one file.

mod add_to_swap_cache;
mod area;
mod delete_from_swap_cache;
mod device;
mod entry;
mod free_swap_and_cache;
mod get_swap_page;
mod remove_exclusive_swap_page;
mod swap_info;
mod swap_map;
mod swapoff;

pub use add_to_swap_cache::{add_to_swap, add_to_swap_cache};
pub use area::SWAP_MAP_MAX;
pub use delete_from_swap_cache::delete_from_swap_cache;
pub use device::{Device, DeviceSpec};
pub use entry::SwapEntry;
pub use free_swap_and_cache::free_swap_and_cache;
pub use get_swap_page::get_swap_page;
pub use remove_exclusive_swap_page::{
    free_page_swap, free_swap_cache, remove_exclusive_swap_page, try_to_free_swap,
};
pub use swap_info::{SWAP_LOCK, Swap};
pub use swap_map::{page_swapcount, swap_duplicate, swap_free, valid_swaphandles, vm_swap_full};
pub use swapoff::{
    abort_swapoff, begin_swapoff, find_next_to_unuse, finish_swapoff, reset_overflow, swap_count, swapon,
};

/// The text of this package: the lines that its steps stand in.
pub static SOURCE: include_dir::Dir<'static> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/src");
/// Where that text was when it was compiled.
pub const SOURCE_ROOT: &str = file!();

/// One swap area, as a machine is configured with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapAreaSpec {
    /// Pages it holds, its header apart: 1 to 2^27 - 1.
    pub pages: u32,
    /// Areas of a higher priority are filled first; those of one priority in turn.
    pub priority: i16,
    /// What its pages are written to, and how long that takes.
    pub device: DeviceSpec,
}

impl Default for SwapAreaSpec {
    /// 512 MiB on the usual drive.
    fn default() -> Self {
        Self { pages: 131_072, priority: 0, device: DeviceSpec::default() }
    }
}
