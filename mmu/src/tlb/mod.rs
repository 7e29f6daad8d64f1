//! Translation lookaside buffers: one array, and the hierarchy of split L1 and unified L2 arrays.

mod array;
mod entry;
mod geometry;
mod hierarchy;
mod last_hit;
mod recency;
mod search;
mod slot;
mod state;
mod tag_index;
mod tally;

pub use array::TlbArray;
pub use entry::TlbEntry;
pub(crate) use entry::{Payload, Rights};
pub use geometry::{MAX_TLB_ENTRIES, MAX_TLB_WAYS, Replacement, TlbGeometry, TlbSpec};
pub(crate) use hierarchy::Translation;
pub use hierarchy::{TlbCounters, TlbHierarchy, TlbLookup, TlbSide, TlbSideCounters};
pub use slot::TlbTag;
pub(crate) use tally::{Lanes, Tally};
