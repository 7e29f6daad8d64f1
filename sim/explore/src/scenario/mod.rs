//! A scenario: a few pages, a few CPUs, and the kernel operations that each of them performs.

mod check;
mod ops;
mod world;

use serde::{Deserialize, Serialize};

pub use check::Problem;
pub use world::World;

/// The most CPUs of a scenario.
pub const MOST_CPUS: usize = 8;
/// The most operations of one CPU.
pub const MOST_OPS: usize = 16;

/// What is explored, as its file says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, for people.
    pub about: String,
    /// Frames of the machine, 64 to 4096, and enough for all that it can have in memory at once.
    #[serde(default = "default_frames")]
    pub frames: u32,
    /// Where freed pages go.
    #[serde(default)]
    pub pool: Pool,
    /// The files, 1 to 8.
    pub files: Vec<FileSpec>,
    /// What the one process of the scenario has mapped, from its first page on.
    #[serde(default)]
    pub maps: Vec<MapSpec>,
    /// Translations that CPUs have in their TLBs when it begins: CPU and page of the process.
    #[serde(default)]
    pub warm: Vec<(u16, u64)>,
    /// For each CPU, what it does, in order.
    pub cpus: Vec<Vec<Operation>>,
}

fn default_frames() -> u32 {
    64
}

/// Where pages that were freed last are handed out next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pool {
    /// To the CPU that freed them.
    #[default]
    PerCpu,
    /// To the next CPU that allocates.
    Shared,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Its name in this scenario.
    pub name: String,
    /// Its size in pages, up to 2^20.
    pub pages: u64,
    /// The pages in the cache when it begins, up to 16.
    #[serde(default)]
    pub cached: Vec<u64>,
    /// Those of them that are dirty.
    #[serde(default)]
    pub dirty: Vec<u64>,
}

/// A mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapSpec {
    /// Name of the file, one of `files`.
    pub file: String,
    /// How many pages, from the file's first.
    pub pages: u64,
    /// `MAP_SHARED`.
    #[serde(default)]
    pub shared: bool,
}

/// One operation: an entry point of the kernel, with what a caller does around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Operation {
    /// `find_get_page`, then the contents are read if the page is uptodate, and the reference is given back.
    Lookup {
        /// Name of the file, one of `files`.
        file: String,
        /// Index of the page in the file, from 0.
        page: u64,
    },
    /// `find_get_pages` from a page on, and every reference is given back.
    GangLookup {
        /// Name of the file, one of `files`.
        file: String,
        /// The first page.
        page: u64,
        /// The most pages.
        most: usize,
    },
    /// `find_lock_page`: the page is used while it is locked.
    LookupLocked {
        /// Name of the file, one of `files`.
        file: String,
        /// Index of the page in the file, from 0.
        page: u64,
    },
    /// What `shrink_page_list` does to a page that it has isolated from the LRU: trylock, `__remove_mapping`, free. The
    /// page is cached when the scenario begins, and the operation has had its reference since then.
    Reclaim {
        /// Name of the file, one of `files`.
        file: String,
        /// Index of the page in the file, from 0.
        page: u64,
    },
    /// A new page is allocated, added to the cache, filled and unlocked.
    Add {
        /// Name of the file, one of `files`.
        file: String,
        /// Index of the page in the file, from 0.
        page: u64,
    },
    /// The page leaves the cache and comes back at the same place.
    Reinsert {
        /// Name of the file, one of `files`.
        file: String,
        /// Index of the page in the file, from 0.
        page: u64,
    },
    /// `truncate` to so many pages.
    Truncate {
        /// Name of the file, one of `files`.
        file: String,
        /// Its new size in pages.
        pages: u64,
    },
    /// `invalidate_inode_pages2_range` of the whole file.
    Invalidate {
        /// Name of the file, one of `files`.
        file: String,
    },
    /// `drop_caches`: `invalidate_mapping_pages` of every file.
    DropCaches,
    /// `read` of one page.
    Read {
        /// Name of the file, one of `files`.
        file: String,
        /// Index of the page in the file, from 0.
        page: u64,
    },
    /// The program loads from a page that it has mapped.
    Load {
        /// The page of the process, from 0.
        page: u64,
    },
    /// The program stores to a page that it has mapped.
    Store {
        /// The page of the process, from 0.
        page: u64,
    },
    /// `madvise(MADV_DONTNEED)` of one page of the process.
    Discard {
        /// The page of the process, from 0.
        page: u64,
    },
    /// A page is allocated and freed. In between its count is expected to be exactly 1; after a grace period, if so asked.
    Allocate {
        /// Wait for a grace period before looking at the count.
        #[serde(default)]
        after_grace_period: bool,
        /// Whether a count above 1 is a violation.
        #[serde(default)]
        exact: bool,
    },
}

impl Operation {
    /// The file and page that it names, if it names a page.
    pub(crate) fn target(&self) -> Option<(&str, u64)> {
        match self {
            Self::Lookup { file, page }
            | Self::GangLookup { file, page, .. }
            | Self::LookupLocked { file, page }
            | Self::Reclaim { file, page }
            | Self::Add { file, page }
            | Self::Reinsert { file, page }
            | Self::Read { file, page } => Some((file, *page)),
            Self::Truncate { file, pages } => Some((file, *pages)),
            Self::Invalidate { file } => Some((file, 0)),
            _ => None,
        }
    }

    /// The page of the process that it accesses.
    pub(crate) fn accesses(&self) -> Option<u64> {
        match self {
            Self::Load { page } | Self::Store { page } | Self::Discard { page } => Some(*page),
            _ => None,
        }
    }

    /// The most pages that it allocates.
    pub(crate) fn allocates(&self) -> usize {
        match self {
            Self::Add { .. } | Self::Read { .. } | Self::Allocate { .. } => 1,
            // The file's, and a copy of it.
            Self::Load { .. } | Self::Store { .. } => 2,
            _ => 0,
        }
    }

    /// As people read it: `lookup a:0`.
    pub fn describe(&self) -> String {
        match self {
            Self::Lookup { file, page } => format!("lookup {file}:{page}"),
            Self::GangLookup { file, page, most } => format!("lookup {file}:{page} and up to {most} pages"),
            Self::LookupLocked { file, page } => format!("lookup and lock {file}:{page}"),
            Self::Reclaim { file, page } => format!("reclaim {file}:{page}"),
            Self::Add { file, page } => format!("add {file}:{page}"),
            Self::Reinsert { file, page } => format!("reinsert {file}:{page}"),
            Self::Truncate { file, pages } => format!("truncate {file} to {pages} pages"),
            Self::Invalidate { file } => format!("invalidate {file}"),
            Self::DropCaches => "drop caches".into(),
            Self::Read { file, page } => format!("read {file}:{page}"),
            Self::Load { page } => format!("load from page {page}"),
            Self::Store { page } => format!("store to page {page}"),
            Self::Discard { page } => format!("discard page {page}"),
            Self::Allocate { after_grace_period: true, .. } => {
                "allocate, wait for a grace period, free".into()
            }
            Self::Allocate { .. } => "allocate, free".into(),
        }
    }
}
