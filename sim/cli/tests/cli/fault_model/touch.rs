//! The model's accesses: which of them fault, and what a fault maps.

use pagewalk_trace::{Op, Prot};

use super::cache::pages_of;
use super::space::{Area, Backing, Entry, Frame};
use super::world::{RECENT, World, pages};

fn allows(prot: Prot, op: Op) -> bool {
    match op {
        Op::Store | Op::Modify => prot.contains(Prot::WRITE),
        Op::Fetch => prot.contains(Prot::EXEC),
        Op::Load => prot != Prot::NONE,
    }
}

impl World {
    /// One access of the program: each of its pages in order, up to one that is refused.
    pub(crate) fn access(&mut self, pid: u32, start: u64, len: u64, op: Op) {
        let (first, end) = pages(start, len);
        for page in first..end {
            let class = match op {
                Op::Fetch => 0,
                Op::Load => 1,
                Op::Store | Op::Modify => 2,
            };
            let key = (pid, page << 2 | class);
            let slot = (page as usize ^ (class as usize) << 8) % RECENT;
            if self.recent[slot] == key {
                continue;
            }
            if !self.touch(pid, page, op) {
                let granted = self.space(pid).area(page).is_some_and(|area| allows(area.prot, op));
                self.faults.refused += u64::from(!granted);
                return;
            }
            self.recent[slot] = key;
        }
    }

    /// One touch of one page, with the fault that it may need. False if it is refused.
    pub(super) fn touch(&mut self, pid: u32, page: u64, op: Op) -> bool {
        let write = op.writes();
        let Some(area) = self.space(pid).area(page).filter(|area| allows(area.prot, op)).cloned() else {
            return false;
        };
        match self.space(pid).entries.get(&page).copied() {
            Some(entry) if !write || entry.writable => return true,
            Some(entry) => self.write_fault(pid, page, &area, entry),
            None => match area.backing {
                Backing::Anonymous => self.map_anonymous(pid, page, area.prot.contains(Prot::WRITE)),
                Backing::File(open) => {
                    if !self.file_fault(pid, page, &area, open, write) {
                        return false;
                    }
                }
            },
        }
        self.faults.pgfault += 1;
        true
    }

    /// A store to a page that is mapped read-only: a private page is copied if anybody else has it.
    pub(super) fn write_fault(&mut self, pid: u32, page: u64, area: &Area, entry: Entry) {
        let alone = matches!(entry.frame, Frame::Anonymous(frame) if self.users[frame] == 1);
        if alone || area.shared {
            if let Frame::File(inode, index) = entry.frame {
                self.mark_dirty(inode, index);
            }
            self.space(pid).entries.insert(page, Entry { writable: true, dirty: true, ..entry });
            return;
        }
        self.release(entry);
        self.map_anonymous(pid, page, true);
    }

    pub(super) fn map_anonymous(&mut self, pid: u32, page: u64, writable: bool) {
        self.users.push(1);
        let frame = Frame::Anonymous(self.users.len() - 1);
        self.families += 1;
        let family = self.families;
        let space = self.space(pid);
        let family = space.mergeable_family(page).unwrap_or(family);
        space.entries.insert(page, Entry { frame, writable, dirty: true });
        space.area_mut(page).expect("the page is in an area").family.get_or_insert(family);
    }

    pub(super) fn file_fault(&mut self, pid: u32, page: u64, area: &Area, open: usize, write: bool) -> bool {
        if !write && self.around > 1 {
            self.map_around(pid, page, area, open);
            if self.space(pid).entries.contains_key(&page) {
                return true;
            }
        }
        let index = area.index(page);
        let Some(major) = self.cache.fault(open, index, area.advice) else { return false };
        self.faults.pgmajfault += u64::from(major);
        if write && !area.shared {
            self.map_anonymous(pid, page, true);
            return true;
        }
        let inode = self.cache.opens[open].inode;
        if write {
            self.mark_dirty(inode, index);
        }
        let entry = Entry {
            frame: Frame::File(inode, index),
            writable: write || self.always_writable(area),
            dirty: write,
        };
        self.space(pid).entries.insert(page, entry);
        true
    }

    /// Of a file on a disk the kernel wants to know the first store to each page.
    pub(super) fn always_writable(&mut self, area: &Area) -> bool {
        let writable = area.shared && area.prot.contains(Prot::WRITE);
        writable && area.open().is_some_and(|open| !self.cache.inode_of(open).disk)
    }

    /// Maps what is cached of the aligned block around `page`, but nothing that carries the mark of the readahead.
    pub(super) fn map_around(&mut self, pid: u32, page: u64, area: &Area, open: usize) {
        let block = 1 << self.around.min(512).ilog2();
        let start = (page / block * block).max(area.start);
        let end = (page / block * block + block).min(area.end);
        let writable = self.always_writable(area);
        let number = self.cache.opens[open].inode;
        for page in start..end {
            let (index, inode) = (area.index(page), &self.cache.inodes[number]);
            let ready =
                inode.pages.get(&index).is_some_and(|page| !page.mark) && index < pages_of(inode.size);
            let entries = &mut self.spaces.entry(pid).or_default().entries;
            if ready && !entries.contains_key(&page) {
                let misses = &mut self.cache.opens[open].misses;
                *misses = misses.saturating_sub(1);
                entries.insert(page, Entry { frame: Frame::File(number, index), writable, dirty: false });
            }
        }
    }

    pub(super) fn mark_dirty(&mut self, inode: usize, index: u64) {
        if let Some(page) = self.cache.inodes[inode].pages.get_mut(&index) {
            page.dirty = true;
        }
    }

    /// An entry is gone; what the hardware noted in it goes to the file's page.
    pub(super) fn release(&mut self, entry: Entry) {
        match entry.frame {
            Frame::Anonymous(frame) => self.users[frame] -= 1,
            Frame::File(inode, index) if entry.dirty => self.mark_dirty(inode, index),
            Frame::File(..) => {}
        }
    }

    /// The kernel touches a program's buffer.
    pub(super) fn touch_buffer(&mut self, pid: u32, start: u64, len: u64, op: Op) {
        let (first, end) = pages(start, len);
        for page in first..end {
            if !self.touch(pid, page, op) {
                return;
            }
        }
    }
}
