//! The model's use of files: calls that read, write, clean and shorten them.

use std::collections::BTreeSet;
use std::ops::Range;

use pagewalk_trace::{Advice, Event, Op};

use super::cache::{Cached, pages_of};
use super::space::{Area, Entry, Frame};
use super::world::{World, pages};

impl World {
    pub(super) fn use_file(&mut self, pid: u32, event: &Event) {
        match *event {
            Event::Read { file, offset, len, buffer, direct: false } => {
                let open = self.open_number(pid, file);
                self.read(pid, open, offset, len, buffer);
            }
            Event::Write { file, offset, len, buffer, direct: false } => {
                let open = self.open_number(pid, file);
                self.write(pid, open, offset, len, buffer);
            }
            Event::Fsync { file } => {
                let open = self.open_number(pid, file);
                self.clean(self.cache.opens[open].inode);
            }
            Event::Msync { start, len, sync } => {
                let (first, end) = pages(start, len);
                for area in self.space(pid).overlapping(first, end).iter().filter(|area| sync && area.shared)
                {
                    self.clean(self.cache.opens[area.open().expect("it is shared")].inode);
                }
            }
            Event::Sync => (0..self.cache.inodes.len()).for_each(|inode| self.clean(inode)),
            Event::Truncate { file, size } => {
                let open = self.open_number(pid, file);
                self.truncate(self.cache.opens[open].inode, size);
            }
            Event::Fadvise { file, offset, len, advice } => {
                let open = self.open_number(pid, file);
                self.advise_file(open, offset, len, advice);
            }
            Event::Madvise { start, len, advice } => {
                let (first, end) = pages(start, len);
                self.advise_areas(pid, first, end, advice);
            }
            Event::DropCaches => self.drop_caches(),
            ref other => panic!("the model does not know {other:?}"),
        }
    }

    fn advise_file(&mut self, open: usize, offset: u64, len: u64, advice: Advice) {
        let (inode, size) = (self.cache.opens[open].inode, self.cache.inode_of(open).size);
        let end = if len == 0 { size } else { size.min(offset + len) };
        match advice {
            Advice::Normal | Advice::Random | Advice::Sequential => self.cache.opens[open].advice = advice,
            Advice::WillNeed => {
                let first = offset / 4096;
                self.cache.populate(open, first, pages_of(end).saturating_sub(first));
            }
            Advice::DontNeed => {
                self.clean(inode);
                self.drop_unused(inode, pages_of(offset)..end / 4096);
            }
            Advice::NoReuse => {}
        }
    }

    fn advise_areas(&mut self, pid: u32, first: u64, end: u64, advice: Advice) {
        match advice {
            Advice::WillNeed => self.will_need(pid, first, end),
            Advice::Normal | Advice::Random | Advice::Sequential => {
                for area in self.space(pid).cut(first, end) {
                    self.space(pid).insert(Area { advice, ..area });
                }
            }
            Advice::DontNeed => self.discard(pid, first, end),
            Advice::NoReuse => {}
        }
    }

    pub(super) fn will_need(&mut self, pid: u32, first: u64, end: u64) {
        for area in self.space(pid).overlapping(first, end) {
            let Some(open) = area.open() else { continue };
            let (from, to) = (area.start.max(first), area.end.min(end));
            self.cache.populate(open, area.index(from), to - from);
        }
    }

    pub(super) fn read(&mut self, pid: u32, open: usize, offset: u64, len: u64, buffer: Option<u64>) {
        let (mut at, end) = (offset, offset + len);
        let mut last = self.cache.previous(open);
        while at < end {
            let index = at / 4096;
            self.cache.read_page(open, index, pages_of(end) - index);
            let stop = self.cache.inode_of(open).size.min((index + 1) * 4096).min(end);
            if stop <= at {
                break;
            }
            if let Some(buffer) = buffer {
                self.touch_buffer(pid, buffer + (at - offset), stop - at, Op::Store);
            }
            last = Some(index);
            at = stop;
        }
        self.cache.was_read(open, last);
    }

    pub(super) fn write(&mut self, pid: u32, open: usize, offset: u64, len: u64, buffer: Option<u64>) {
        let (mut at, end) = (offset, offset + len);
        while at < end {
            let index = at / 4096;
            let stop = ((index + 1) * 4096).min(end);
            if let Some(buffer) = buffer {
                self.touch_buffer(pid, buffer + (at - offset), stop - at, Op::Load);
            }
            let inode = self.cache.inode_of(open);
            inode.pages.entry(index).or_default().dirty = true;
            inode.size = inode.size.max(stop);
            at = stop;
        }
    }

    /// Dirty pages are written: the next store to each, wherever it is mapped shared, is a fault again.
    pub(super) fn clean(&mut self, inode: usize) {
        if !self.cache.inodes[inode].disk {
            return;
        }
        for space in self.spaces.values_mut() {
            let shared: Vec<u64> = space
                .entries
                .iter()
                .filter(|(page, entry)| {
                    let mapped = matches!(entry.frame, Frame::File(number, _) if number == inode);
                    mapped && space.area(**page).is_some_and(|area| area.shared)
                })
                .map(|(&page, _)| page)
                .collect();
            for page in shared {
                let entry = space.entries.get_mut(&page).expect("just seen");
                (entry.writable, entry.dirty) = (false, false);
            }
        }
        self.cache.inodes[inode].pages.values_mut().for_each(|page| page.dirty = false);
    }

    /// The file ends at `size`: pages beyond go, from the cache and from every address space, copies included.
    pub(super) fn truncate(&mut self, inode: usize, size: u64) {
        let before = std::mem::replace(&mut self.cache.inodes[inode].size, size);
        if size >= before {
            return;
        }
        let first = pages_of(size);
        let mut gone = Vec::new();
        for (&pid, space) in &self.spaces {
            for area in space.areas() {
                let ours = area.open().is_some_and(|open| self.cache.opens[open].inode == inode);
                if ours && area.index(area.end) > first {
                    gone.push((pid, area.start + first.saturating_sub(area.first), area.end));
                }
            }
        }
        for (pid, start, end) in gone {
            self.discard(pid, start, end);
        }
        let pages = &mut self.cache.inodes[inode].pages;
        pages.split_off(&first);
        if !size.is_multiple_of(4096) {
            pages.entry(size / 4096).or_default().dirty = true; // its rest is zeroed in the cache
        }
    }

    pub(super) fn drop_caches(&mut self) {
        (0..self.cache.inodes.len()).for_each(|inode| self.drop_unused(inode, 0..u64::MAX));
    }

    /// Clean pages that nobody maps go.
    fn drop_unused(&mut self, number: usize, pages: Range<u64>) {
        let entries = self.spaces.values().flat_map(|space| space.entries.values());
        let of_inode = |entry: &Entry| match entry.frame {
            Frame::File(inode, index) if inode == number => Some(index),
            _ => None,
        };
        let mapped: BTreeSet<u64> = entries.filter_map(of_inode).collect();
        let inode = &mut self.cache.inodes[number];
        let stays =
            |index: &u64, page: &Cached| page.dirty || mapped.contains(index) || !pages.contains(index);
        if inode.disk {
            inode.pages.retain(|index, page| stays(index, page));
        }
    }
}
