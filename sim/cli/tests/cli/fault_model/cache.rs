//! The model's files: which pages are cached, and the readahead that brings them.

use std::collections::BTreeMap;

use pagewalk_trace::Advice;

/// More misses than hits by this many, and a fault reads its own page only (`MMAP_LOTSAMISS` of Linux 2.6.27).
const LOTS_OF_MISSES: u32 = 100;

/// A cached page.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cached {
    /// Whoever reads it by `read` starts the next window.
    pub(crate) mark: bool,
    pub(crate) dirty: bool,
}

pub(crate) struct Inode {
    /// In bytes.
    pub(crate) size: u64,
    /// Shared anonymous memory has no disk: nothing is read, so no fault on it is major.
    pub(crate) disk: bool,
    pub(crate) pages: BTreeMap<u64, Cached>,
}

/// One process's view of a file: readahead belongs to the open file.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) inode: usize,
    start: u64,
    size: u64,
    /// This many pages before the window's end the next one is begun.
    ahead: u64,
    previous: Option<u64>,
    pub(crate) misses: u32,
    pub(crate) advice: Advice,
}

pub(crate) struct Cache {
    /// The machine's largest window, in pages.
    window: u64,
    pub(crate) inodes: Vec<Inode>,
    pub(crate) opens: Vec<Open>,
}

pub(crate) fn pages_of(bytes: u64) -> u64 {
    bytes.div_ceil(4096)
}

impl Cache {
    pub(crate) fn new(window: u64) -> Self {
        Self { window, inodes: Vec::new(), opens: Vec::new() }
    }

    pub(crate) fn create(&mut self, size: u64, disk: bool) -> usize {
        self.inodes.push(Inode { size, disk, pages: BTreeMap::new() });
        self.inodes.len() - 1
    }

    pub(crate) fn open(&mut self, inode: usize) -> usize {
        self.opens.push(Open {
            inode,
            start: 0,
            size: 0,
            ahead: 0,
            previous: None,
            misses: 0,
            advice: Advice::Normal,
        });
        self.opens.len() - 1
    }

    pub(crate) fn inode_of(&mut self, open: usize) -> &mut Inode {
        &mut self.inodes[self.opens[open].inode]
    }

    pub(crate) fn holds(&mut self, open: usize, index: u64) -> bool {
        self.inode_of(open).pages.contains_key(&index)
    }

    /// `posix_fadvise` sets the window of an open file: none for random, twice as large for sequential.
    fn max_window(&self, open: usize) -> u64 {
        match self.opens[open].advice {
            Advice::Random => 0,
            Advice::Sequential => 2 * self.window,
            _ => self.window,
        }
    }

    /// Brings page `index` for a fault in an area with this advice. `None` beyond the end of the file; else whether the disk
    /// was asked.
    pub(crate) fn fault(&mut self, open: usize, index: u64, advice: Advice) -> Option<bool> {
        if index >= pages_of(self.inode_of(open).size) {
            return None;
        }
        let missing = !self.holds(open, index);
        if !self.inode_of(open).disk {
            self.inode_of(open).pages.entry(index).or_default();
            return Some(false);
        }
        if !missing && advice != Advice::Random {
            self.opens[open].misses = self.opens[open].misses.saturating_sub(1);
        }
        match advice {
            Advice::Random => {}
            Advice::Sequential => {
                if missing && self.max_window(open) > 0 {
                    self.ondemand(open, index, 1, false);
                }
                self.follow_mark(open, index, 1);
            }
            _ if missing => {
                let state = &mut self.opens[open];
                state.misses += 1;
                if state.misses <= LOTS_OF_MISSES {
                    let max = self.max_window(open);
                    self.read(open, index.saturating_sub(max / 2), max, 0);
                }
            }
            _ => {}
        }
        self.inode_of(open).pages.entry(index).or_default();
        self.opens[open].previous = Some(index);
        Some(missing)
    }

    /// Brings page `index` for a `read` that wants `wanted` pages from there on.
    pub(crate) fn read_page(&mut self, open: usize, index: u64, wanted: u64) {
        if !self.holds(open, index) && self.max_window(open) > 0 {
            self.ondemand(open, index, wanted, false);
        }
        self.follow_mark(open, index, wanted);
        self.inode_of(open).pages.entry(index).or_default();
    }

    /// A call of `read` is over, and this is the last page it copied from: the next one is the sequential one.
    pub(crate) fn was_read(&mut self, open: usize, last: Option<u64>) {
        self.opens[open].previous = last;
    }

    pub(crate) fn previous(&self, open: usize) -> Option<u64> {
        self.opens[open].previous
    }

    /// A marked page: the mark goes, and the next window is read.
    fn follow_mark(&mut self, open: usize, index: u64, wanted: u64) {
        if self.max_window(open) == 0 {
            return;
        }
        let marked = self.inode_of(open).pages.get_mut(&index).filter(|page| page.mark);
        if let Some(page) = marked {
            page.mark = false;
            self.ondemand(open, index, wanted, true);
        }
    }

    /// Readahead on demand, as Linux 2.6.27 has it: where is the window, and how large?
    fn ondemand(&mut self, open: usize, index: u64, wanted: u64, marked: bool) {
        let max = self.max_window(open);
        let grown = |size: u64| if size < max / 16 { max.min(4 * size) } else { max.min(2 * size) };
        let state = self.opens[open].clone();
        let end = state.start + state.size;
        let (start, size, ahead);
        if index > 0 && (index == end || index == end - state.ahead) {
            start = end;
            size = grown(state.size);
            ahead = size;
        } else if marked {
            // Somebody else's mark, perhaps: what is cached from here on counts as the last window.
            let pages = &self.inode_of(open).pages;
            let Some(hole) = (index..=index + max).find(|page| !pages.contains_key(page)) else { return };
            start = hole;
            size = grown(hole - index);
            ahead = size;
        } else if state.previous.map_or(index == 0, |last| index == last || index == last + 1) || wanted > max
        {
            let first = wanted.max(1).next_power_of_two();
            start = index;
            size = if first <= max / 32 {
                4 * first
            } else if first <= max / 4 {
                2 * first
            } else {
                max
            };
            ahead = if size > wanted { size - wanted } else { size };
        } else {
            self.read(open, index, wanted, 0);
            return;
        }
        let state = &mut self.opens[open];
        (state.start, state.size, state.ahead) = (start, size, ahead);
        self.read(open, start, size, ahead);
    }

    /// Puts the missing ones of `count` pages into the cache, up to the end of the file. The page `ahead` pages before the
    /// end of the window gets the mark if it was missing.
    fn read(&mut self, open: usize, start: u64, count: u64, ahead: u64) {
        let inode = self.inode_of(open);
        let end = pages_of(inode.size).min(start + count);
        for index in start..end {
            let mark = index == start + count - ahead;
            inode.pages.entry(index).or_insert(Cached { mark, dirty: false });
        }
    }

    /// `WILLNEED`: all of a range, whatever the window. Memory without a disk has nothing to read.
    pub(crate) fn populate(&mut self, open: usize, start: u64, count: u64) {
        if self.inode_of(open).disk {
            self.read(open, start, count, 0);
        }
    }
}
