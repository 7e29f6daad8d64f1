//! The model's mappings: what changes them, and what becomes of the pages mapped there.

use pagewalk_trace::{Advice, Event, MapKind, Prot};

use super::space::{Area, Backing, Frame};
use super::world::{World, pages};

impl World {
    pub(super) fn drop_space(&mut self, pid: u32) {
        for entry in self.spaces.remove(&pid).unwrap_or_default().entries.into_values() {
            self.release(entry);
        }
    }

    pub(super) fn fork(&mut self, parent: u32, child: u32) {
        let space = self.space(parent);
        let mut copy = space.clone();
        copy.entries.clear();
        for (&page, entry) in &mut space.entries.clone() {
            let area = space.area(page).expect("what is mapped is in an area");
            if area.family.is_none() {
                continue; // a fault brings it back from the file
            }
            entry.writable = false;
            space.entries.insert(page, *entry);
            copy.entries.insert(page, *entry);
        }
        for entry in copy.entries.values() {
            if let Frame::Anonymous(frame) = entry.frame {
                self.users[frame] += 1;
            }
        }
        self.drop_space(child);
        self.spaces.insert(child, copy);
    }

    pub(super) fn change_mapping(&mut self, pid: u32, event: &Event) {
        match *event {
            Event::Map { start, len, prot, ref kind, shared, .. } => {
                let (first_page, end) = pages(start, len);
                self.unmap(pid, first_page, end);
                let (backing, first) = match kind {
                    MapKind::File { path, offset } => {
                        let first = (offset - start % 4096) / 4096;
                        (Backing::File(self.open_path(pid, path)), first)
                    }
                    _ if shared => {
                        let inode = self.cache.create((end - first_page) * 4096, false);
                        (Backing::File(self.cache.open(inode)), 0)
                    }
                    _ => (Backing::Anonymous, first_page),
                };
                let shared = shared && backing != Backing::Anonymous;
                let advice = Advice::Normal;
                self.space(pid).insert(Area {
                    start: first_page,
                    end,
                    prot,
                    backing,
                    shared,
                    advice,
                    first,
                    family: None,
                });
            }
            Event::Unmap { start, len } => {
                let (first, end) = pages(start, len);
                self.unmap(pid, first, end);
            }
            Event::Discard { start, len } => {
                let (first, end) = pages(start, len);
                self.discard(pid, first, end);
            }
            Event::Protect { start, len, prot } => {
                let (first, end) = pages(start, len);
                self.protect(pid, first, end, prot);
            }
            Event::Brk { end } => self.brk(pid, end.div_ceil(4096)),
            Event::Remap { old_start, old_len, new_len, new_start } => {
                let to = new_start.map(|start| start / 4096);
                self.remap(pid, old_start / 4096, old_len.div_ceil(4096), new_len.div_ceil(4096), to);
            }
            _ => unreachable!("only changes of mappings come here"),
        }
    }

    pub(super) fn discard(&mut self, pid: u32, start: u64, end: u64) {
        if start >= end {
            return;
        }
        for (_, entry) in self.space(pid).take_entries(start, end) {
            self.release(entry);
        }
    }

    pub(super) fn unmap(&mut self, pid: u32, start: u64, end: u64) {
        if start < end {
            self.discard(pid, start, end);
            self.space(pid).cut(start, end);
        }
    }

    pub(super) fn protect(&mut self, pid: u32, start: u64, end: u64, prot: Prot) {
        if !self.space(pid).covers(start, end) {
            return;
        }
        for area in self.space(pid).cut(start, end) {
            let changed = Area { prot, ..area.clone() };
            if changed.prot != area.prot {
                let always = self.always_writable(&changed);
                // A page of a file that is dirty already need not be told of again.
                let told = changed.shared && prot.contains(Prot::WRITE);
                for (_, entry) in self.space(pid).entries.range_mut(area.start..area.end) {
                    entry.writable = always || (told && entry.dirty);
                }
            }
            self.space(pid).insert(changed);
        }
    }

    pub(super) fn brk(&mut self, pid: u32, to: u64) {
        let (start, end) = self.space(pid).heap.unwrap_or((to, to));
        if to < start || (to > end && !self.space(pid).overlapping(end, to).is_empty()) {
            return;
        }
        if to > end {
            let (backing, prot) = (Backing::Anonymous, Prot::READ_WRITE);
            let advice = Advice::Normal;
            let area =
                Area { start: end, end: to, prot, backing, shared: false, advice, first: end, family: None };
            self.space(pid).insert(area);
        }
        self.unmap(pid, to, end.max(to));
        self.space(pid).heap = Some((start, to));
    }

    pub(super) fn remap(&mut self, pid: u32, old: u64, old_len: u64, new_len: u64, to: Option<u64>) {
        let whole = self.space(pid).area(old).filter(|area| old + old_len <= area.end).cloned();
        let Some(whole) = whole else { return };
        let to = to.unwrap_or(old);
        let kept = old_len.min(new_len);
        if to == old {
            self.unmap(pid, old + kept, old + old_len);
            let end = old + old_len;
            if new_len > old_len
                && end == whole.end
                && self.space(pid).overlapping(end, old + new_len).is_empty()
            {
                let tail = Area { start: end, end: old + new_len, first: whole.index(end), ..whole };
                self.space(pid).insert(tail);
            }
            return;
        }
        self.unmap(pid, old + kept, old + old_len);
        self.unmap(pid, to, to + new_len);
        let moved = Area { start: to, end: to + new_len, first: whole.index(old), ..whole };
        self.space(pid).insert(moved);
        for (page, entry) in self.space(pid).take_entries(old, old + kept) {
            self.space(pid).entries.insert(page - old + to, entry);
        }
        self.unmap(pid, old, old + kept);
    }
}
