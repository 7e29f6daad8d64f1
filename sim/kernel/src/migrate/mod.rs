//! Migration: pages move to other frames while programs use them. And compaction, which is its user.
//!
//! Follows mm/migrate.c of v2.6.27, and mm/compaction.c of 2.6.35 (the first release with it).

mod compaction;
mod migrate_pages;
mod migration_entry_wait;
mod remove_migration_ptes;
mod unmap_and_move;

pub(crate) use compaction::compact_zone;
pub(crate) use migrate_pages::migrate_frames;
pub(crate) use migration_entry_wait::migration_entry_wait;
