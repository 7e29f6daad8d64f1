//! The page cache: each file's `address_space`, its radix tree and tags, and the speculative page references that make
//! lookup lock-free.
//!
//! Lookup (lib/radix-tree.c and mm/filemap.c of v2.6.27) takes no lock. It reads the slot (1), takes a reference unless the
//! count is 0 (2), and reads the slot again (3). A remover that needs a stable count holds `tree_lock`, freezes the count
//! from the expected value to 0 (A), deletes the slot (B), and frees or unfreezes the page (C). One operation is one file.

mod add_to_page_cache;
mod address_space;
mod buffers;
mod check;
mod dirty;
mod find_get_page;
mod find_get_pages;
mod find_lock_page;
mod freeze;
mod gauges;
mod hole;
mod invalidate_complete_page2;
mod migrate_page_move_mapping;
mod owner;
mod page_lock;
mod radix;
mod remove_from_page_cache;
mod remove_mapping;
mod retries;
mod writeback;

pub use add_to_page_cache::{AddError, add_to_page_cache, add_to_page_cache_locked};
pub use address_space::{AddressSpace, PageCache, PageIndex, TREE_LOCK};
pub use buffers::{
    ReleasePolicy, create_empty_buffers, do_invalidatepage, free_orphan_buffers, try_to_release_page,
};
pub use dirty::{set_page_dirty_nobuffers, test_clear_page_dirty};
pub use find_get_page::find_get_page;
pub use find_get_pages::{find_get_pages, find_get_pages_contig, find_get_pages_tag};
pub use find_lock_page::find_lock_page;
pub use freeze::{page_freeze_refs, page_unfreeze_refs};
pub use hole::{next_hole, page_is_cached};
pub use invalidate_complete_page2::invalidate_complete_page2;
pub use migrate_page_move_mapping::{migrate_page_left, migrate_page_move_mapping};
pub use page_lock::{lock_page, trylock_page, unlock_page, wait_on_page_locked, wait_on_page_writeback};
pub use radix::{MAP_SIZE, NODE_SLOT, ROOT_SLOT, Tag};
pub use remove_from_page_cache::{remove_from_page_cache, remove_from_page_cache_if};
pub use remove_mapping::{__remove_mapping, remove_mapping};
pub use retries::MOST_ROUNDS;
pub use writeback::{end_page_writeback, set_page_writeback};

/// The text of this package: the lines that its steps stand in.
pub static SOURCE: include_dir::Dir<'static> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/src");
/// Where that text was when it was compiled.
pub const SOURCE_ROOT: &str = file!();
