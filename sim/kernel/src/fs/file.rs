//! `struct file`: an open file, with the state of its readahead.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use super::Inode;

/// How the program says it will read (`fadvise`, and `madvise` for areas).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Advice {
    /// Nothing is known: the readahead detects sequences.
    #[default]
    Normal,
    /// No order: no readahead.
    Random,
    /// In order: a window twice as large.
    Sequential,
}

/// `struct file_ra_state`, in pages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadaheadState {
    /// Where the current window begins.
    pub(crate) start: u64,
    /// Its size in pages; 0 before the first.
    pub(crate) size: u64,
    /// With this many pages of it left, the next window is begun.
    pub(crate) async_size: u64,
    /// Faults on pages that were not there, less those that were.
    pub(crate) mmap_miss: u32,
    /// The last page read before.
    pub(crate) prev_page: Option<u64>,
}

/// An open file description. Its readahead state is private to it: races between its readers only misguide the
/// readahead, in Linux as here.
pub struct File {
    inode: Rc<Inode>,
    /// `f_ra`: the window of its last sequential reader.
    pub(crate) ra: Cell<ReadaheadState>,
    /// What `posix_fadvise` said. It sets the largest window; what `madvise` said belongs to the area.
    pub(crate) advice: Cell<Advice>,
    /// Opened by the machine itself, not by a program: what is written through it is nobody's.
    foreign: bool,
}

pagewalk_engine::keep!(File: ra, advice; fixed inode, foreign);

impl File {
    /// Opens `inode` for a program: an open file description of its own, without readahead so far.
    pub fn open(inode: &Rc<Inode>) -> Rc<Self> {
        Self::opened(inode, false)
    }

    /// Opens `inode` for somebody who must leave its contents, and its size in the end, as programs have them.
    pub(crate) fn open_foreign(inode: &Rc<Inode>) -> Rc<Self> {
        Self::opened(inode, true)
    }

    fn opened(inode: &Rc<Inode>, foreign: bool) -> Rc<Self> {
        Rc::new(Self { inode: Rc::clone(inode), ra: Cell::default(), advice: Cell::default(), foreign })
    }

    /// What is written reaches to `end`. Holds `i_mutex`.
    pub(crate) fn note_extent(&self, end: u64) {
        if !self.foreign {
            self.inode.own_size.set(self.inode.own_size.get().max(end));
        }
    }

    /// The file that it opens: pages, size and locks are there, and shared by all that have it open.
    pub fn inode(&self) -> &Rc<Inode> {
        &self.inode
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open {:?}", self.inode)
    }
}
