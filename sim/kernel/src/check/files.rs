//! The oracle of file pages: what each page of each file ought to contain, with no knowledge of the page cache.
//!
//! A page has one current value. While the kernel may choose, it admits more: a call that reads a file may see any value
//! the page had since the call began, and until a call that replaces contents (truncation, direct I/O) returns, the old
//! value lives beside the new one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hash;

use pagewalk_engine::Digest;

use super::file_page::FilePage;
use super::oracle::mix;
use crate::fs::Holes;

/// What a file's page holds when the machine starts: never 0, and another value for every page.
pub(crate) fn initial_stamp(inode: u32, index: u64) -> u64 {
    mix(u64::from(inode) << 40, index)
}

/// What is known of a file as a whole.
#[derive(Clone, Debug, Default)]
struct FileSize {
    /// Pages that the file had when the machine started.
    initial: u64,
    /// Holes whose old contents may still be seen, the latest last.
    cuts: Vec<Cut>,
    /// Older holes: what nobody has touched since is zeroes.
    gone: Holes,
}

/// Pages `first..end` became zeroes.
#[derive(Clone, Copy, Debug)]
struct Cut {
    first: u64,
    end: u64,
    made: u64,
    /// When the call returned.
    settled: Option<u64>,
}

/// The shadow of all files.
#[derive(Default)]
pub(crate) struct FileShadow {
    pages: RefCell<BTreeMap<(u32, u64), FilePage>>,
    sizes: RefCell<BTreeMap<u32, FileSize>>,
    /// The calls under way: when each began, and the CPU that it is of.
    open: RefCell<BTreeMap<u64, u32>>,
    ticks: Cell<u64>,
}

pagewalk_engine::keep!(FileShadow: pages, sizes, open, ticks);

impl FileShadow {
    /// What every page and every file may contain, for whom.
    pub(super) fn absorb_into(&self, digest: &mut Digest) {
        let groups = self.groups();
        // All that is ever asked of a time is which tickets are older.
        let order = |tick: u64| groups.iter().filter(|(began, _)| *began < tick).count();
        let mut owners: Vec<_> = groups
            .iter()
            .enumerate()
            .flat_map(|(n, (_, owners))| owners.iter().map(move |&owner| (owner, n)))
            .collect();
        owners.sort_unstable();
        owners.hash(digest);
        for (at, page) in self.pages.borrow().iter() {
            (at, &page.current, &page.replaced).hash(digest);
            for (value, gone) in page.past.iter().map(|&(value, gone)| (value, order(gone))) {
                if gone > 0 {
                    (value, gone).hash(digest);
                }
            }
            page.times().map(order).hash(digest);
        }
        for (inode, size) in self.sizes.borrow().iter() {
            (inode, size.initial, size.cuts.len()).hash(digest);
            for cut in &size.cuts {
                (cut.first, cut.end, order(cut.made), cut.settled.map(order)).hash(digest);
            }
            size.gone.absorb_into(digest);
        }
    }

    /// The open tickets from the oldest on, those together between whose beginnings nothing happened: when the first of them began,
    /// and whose they are.
    fn groups(&self) -> Vec<(u64, Vec<u32>)> {
        let mut events = Vec::new();
        for page in self.pages.borrow().values() {
            events.extend(page.times());
            events.extend(page.past.iter().map(|&(_, gone)| gone));
        }
        for cut in self.sizes.borrow().values().flat_map(|size| &size.cuts) {
            events.push(cut.made);
            events.extend(cut.settled);
        }
        let mut groups: Vec<(u64, Vec<u32>)> = Vec::new();
        for (&began, &owner) in self.open.borrow().iter() {
            match groups.last_mut() {
                Some((first, owners)) if !events.iter().any(|event| (*first..began).contains(event)) => {
                    owners.push(owner);
                }
                _ => groups.push((began, vec![owner])),
            }
        }
        groups
    }

    fn tick(&self) -> u64 {
        self.ticks.set(self.ticks.get() + 1);
        self.ticks.get()
    }

    pub(super) fn begin(&self, owner: u32) -> u64 {
        let now = self.tick();
        self.open.borrow_mut().insert(now, owner);
        now
    }

    pub(super) fn end(&self, began: u64) {
        self.open.borrow_mut().remove(&began);
    }

    /// File `inode` is known from now on; `pages` says how many pages it had when the machine started.
    pub(super) fn know(&self, inode: u32, pages: impl FnOnce() -> u64) {
        let of_new = || FileSize { initial: pages(), ..FileSize::default() };
        self.sizes.borrow_mut().entry(inode).or_insert_with(of_new);
    }

    /// A page that nobody has touched.
    fn initial(&self, inode: u32, index: u64) -> FilePage {
        let sizes = self.sizes.borrow();
        let Some(size) = sizes.get(&inode) else { return FilePage::holding(0) };
        let inside = |cut: &&Cut| (cut.first..cut.end).contains(&index);
        let mut cuts = size.cuts.iter().filter(inside);
        let mut page = FilePage::holding(0);
        page.last_set = cuts.clone().map(|cut| cut.made).max().unwrap_or(0);
        page.last_settled = cuts.clone().filter_map(|cut| cut.settled).max().unwrap_or(0);
        // The first hole took the contents away; those after it found zeroes.
        if index < size.initial && !size.gone.contains(index) {
            let stamp = initial_stamp(inode, index);
            match cuts.next() {
                None => page.current = vec![stamp],
                Some(Cut { settled: None, .. }) => page.replaced.push(stamp),
                Some(Cut { settled: Some(at), .. }) => page.past.push((stamp, *at)),
            }
        }
        // Zeroes that are about to go may yet be stored to.
        if cuts.any(|cut| cut.settled.is_none()) {
            page.replaced.push(0);
        }
        page
    }

    /// Pages `first..end` become zeroes.
    pub(super) fn cut(&self, inode: u32, first: u64, end: u64) {
        let known: Vec<u64> = {
            let pages = self.pages.borrow();
            pages.range((inode, first)..(inode, end)).map(|(&(_, index), _)| index).collect()
        };
        known.into_iter().for_each(|index| self.set(inode, index, 0));
        let (made, oldest) = (self.tick(), self.open.borrow().keys().next().copied());
        let mut sizes = self.sizes.borrow_mut();
        let FileSize { initial, cuts, gone } = sizes.entry(inode).or_default();
        let matters = |cut: &Cut| cut.settled.is_none_or(|at| oldest.is_some_and(|oldest| at > oldest));
        while let Some(cut) = cuts.first().filter(|cut| !matters(cut)).copied() {
            gone.add(cut.first.min(*initial), cut.end.min(*initial));
            cuts.remove(0);
        }
        if first < end {
            cuts.push(Cut { first, end, made, settled: None });
        }
    }

    fn look<R>(&self, inode: u32, index: u64, look: impl FnOnce(&FilePage) -> R) -> R {
        match self.pages.borrow().get(&(inode, index)) {
            Some(page) => look(page),
            None => look(&self.initial(inode, index)),
        }
    }

    /// Whether a load may find `stamp` in the page now.
    pub(super) fn admits(&self, inode: u32, index: u64, stamp: u64) -> bool {
        self.look(inode, index, |page| page.admits(stamp))
    }

    /// The values that a load may find now.
    pub(super) fn admitted(&self, inode: u32, index: u64) -> Vec<u64> {
        self.look(inode, index, FilePage::admitted)
    }

    /// The values that a call which began at `began` may find.
    pub(super) fn admitted_since(&self, inode: u32, index: u64, began: u64) -> Vec<u64> {
        self.look(inode, index, |page| {
            let past = page.past.iter().filter(|&&(_, gone)| gone > began).map(|&(value, _)| value);
            page.admitted().into_iter().chain(past).collect()
        })
    }

    /// Changes a page, keeping the value it had for the calls under way.
    pub(super) fn change(&self, inode: u32, index: u64, change: impl FnOnce(&mut FilePage)) {
        let now = self.tick();
        let oldest = self.open.borrow().keys().next().copied();
        let initial = self.initial(inode, index);
        let mut pages = self.pages.borrow_mut();
        let page = pages.entry((inode, index)).or_insert(initial);
        let before = page.admitted();
        change(page);
        match oldest {
            Some(oldest) => {
                page.past.retain(|&(_, gone)| gone > oldest);
                let gone = before.into_iter().filter(|&value| !page.admits(value)).map(|value| (value, now));
                let gone: Vec<_> = gone.collect();
                page.past.extend(gone);
            }
            None => page.past.clear(),
        }
    }

    /// A store into a frame that holds `stamp`, which then holds `after`. False if no frame may hold `stamp`.
    pub(super) fn store(&self, inode: u32, index: u64, stamp: u64, after: u64) -> bool {
        if !self.admits(inode, index, stamp) {
            return false;
        }
        let now = self.tick();
        self.change(inode, index, |page| {
            page.stored(stamp, after);
            page.last_store = now;
        });
        true
    }

    pub(super) fn set(&self, inode: u32, index: u64, value: u64) {
        let now = self.tick();
        self.change(inode, index, |page| {
            page.set(value);
            page.last_set = now;
        });
    }

    /// A device has written to a frame that was the page's at `since`: it held `before`, and holds `after`. So does the page from
    /// now on, unless it has been given other contents meanwhile.
    pub(super) fn device_wrote(&self, inode: u32, index: u64, (before, after): (u64, u64), since: u64) {
        let now = self.tick();
        self.change(inode, index, |page| {
            page.device_wrote(before, after, since);
            page.last_store = now;
        });
    }

    /// Pages of `first..end` that were given other contents by a call under way.
    fn replaced(&self, inode: u32, first: u64, end: u64) -> Vec<u64> {
        let pages = self.pages.borrow();
        let inside = pages.range((inode, first)..(inode, end));
        inside.filter(|(_, page)| !page.replaced.is_empty()).map(|(&(_, index), _)| index).collect()
    }

    fn settle_page(&self, inode: u32, index: u64, settle: impl FnOnce(&mut FilePage)) {
        let now = self.tick();
        self.change(inode, index, |page| {
            settle(page);
            page.last_settled = now;
        });
    }

    pub(super) fn settle_direct(&self, inode: u32, first: u64, end: u64, began: u64) {
        for index in self.replaced(inode, first, end) {
            self.settle_page(inode, index, |page| page.settle_direct(began));
        }
    }

    pub(super) fn settle(&self, inode: u32, first: u64, end: u64) {
        for index in self.replaced(inode, first, end) {
            self.settle_page(inode, index, |page| page.replaced.clear());
        }
        let now = self.tick();
        if let Some(size) = self.sizes.borrow_mut().get_mut(&inode) {
            let inside = |cut: &&mut Cut| cut.settled.is_none() && cut.first >= first && cut.end <= end;
            size.cuts.iter_mut().filter(inside).for_each(|cut| cut.settled = Some(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_may_see_what_was_replaced_since_it_began() {
        let files = FileShadow::default();
        files.sizes.borrow_mut().insert(1, FileSize { initial: 4, ..FileSize::default() });
        let old = initial_stamp(1, 3);
        let before = files.begin(0);
        assert!(files.store(1, 3, old, 30));
        let after = files.begin(0);
        assert!(files.admitted_since(1, 3, before).contains(&old));
        assert_eq!(files.admitted_since(1, 3, after), [30]);
        assert!(!files.store(1, 3, old, 31), "the frame lost a store");
        files.end(before);
        assert!(files.store(1, 3, 30, 32));
        assert_eq!(files.look(1, 3, |page| page.past.len()), 1, "the older value interests nobody");
    }

    #[test]
    fn the_old_contents_live_beside_the_new_ones_until_the_call_returns() {
        let files = FileShadow::default();
        files.set(1, 0, 7);
        assert!(files.admits(1, 0, 0) && files.admits(1, 0, 7));
        assert!(files.store(1, 0, 0, 9), "through a mapping that is about to go");
        assert!(files.admits(1, 0, 9) && files.admits(1, 0, 7));
        files.settle(1, 0, 1);
        assert_eq!(files.admitted(1, 0), [7]);
    }

    #[test]
    fn what_is_stored_beside_a_write_past_the_cache_may_win() {
        let files = FileShadow::default();
        assert!(files.store(1, 0, 0, 5) && files.store(1, 1, 0, 6));
        let began = files.begin(0);
        assert!(files.store(1, 0, 5, 7));
        files.set(1, 0, 20);
        files.set(1, 1, 21);
        files.settle_direct(1, 0, 2, began);
        assert_eq!((files.admitted(1, 0), files.admitted(1, 1)), (vec![7, 20], vec![21]));
        assert!(files.store(1, 0, 7, 8));
        assert_eq!(files.admitted(1, 0), [8], "the store has found out which");
    }

    #[test]
    fn what_a_file_lost_to_truncation_is_seen_by_calls_that_began_before_it_returned() {
        let files = FileShadow::default();
        files.sizes.borrow_mut().insert(1, FileSize { initial: 1 << 50, ..FileSize::default() });
        let (low, high) = (initial_stamp(1, 3), initial_stamp(1, 1 << 40));
        let early = files.begin(0);
        files.cut(1, 2, u64::MAX);
        assert_eq!(files.admitted(1, 1 << 40), [0, high]);
        let within = files.begin(0);
        files.settle(1, 2, u64::MAX);
        let late = files.begin(0);
        for (ticket, old) in [(early, true), (within, true), (late, false)] {
            assert_eq!(files.admitted_since(1, 1 << 40, ticket).contains(&high), old);
            assert_eq!(files.admitted_since(1, 3, ticket).contains(&low), old);
        }
        assert_eq!(files.admitted(1, 3), [0]);
        assert_eq!(files.admitted(1, 1), [initial_stamp(1, 1)]);
    }

    #[test]
    fn a_store_to_zeroes_that_are_about_to_go_may_be_lost() {
        let files = FileShadow::default();
        files.sizes.borrow_mut().insert(1, FileSize { initial: 4, ..FileSize::default() });
        files.cut(1, 0, u64::MAX);
        files.settle(1, 0, u64::MAX);
        for page in [2, 6] {
            files.cut(1, page, u64::MAX);
            assert!(files.store(1, page, 0, 30), "through a mapping that is about to go");
            files.settle(1, page, u64::MAX);
            assert!(files.admits(1, page, 0), "page {page}");
        }
    }

    #[test]
    fn what_a_device_writes_is_the_files_unless_its_page_went_meanwhile() {
        let files = FileShadow::default();
        files.set(1, 0, 7);
        files.settle(1, 0, 1);
        let kept = files.begin(0);
        files.device_wrote(1, 0, (6, 20), kept);
        assert_eq!(files.admitted(1, 0), [20], "whichever frame the device had");
        files.cut(1, 0, u64::MAX);
        files.device_wrote(1, 0, (20, 21), kept);
        assert_eq!(files.admitted(1, 0), [0, 21], "a mapping may have it still");
        let within = files.begin(0);
        files.settle(1, 0, u64::MAX);
        files.device_wrote(1, 0, (21, 22), kept);
        assert_eq!(files.admitted(1, 0), [0], "it is out of the file");
        files.device_wrote(1, 0, (0, 23), within);
        assert_eq!(
            files.admitted(1, 0),
            [0, 23],
            "pinned while the file was cut: the old page or the new one"
        );
    }

    #[test]
    fn beyond_its_first_pages_a_file_holds_zeroes() {
        let files = FileShadow::default();
        files.sizes.borrow_mut().insert(2, FileSize { initial: 1, ..FileSize::default() });
        assert_eq!(files.admitted(2, 0), [initial_stamp(2, 0)]);
        assert_eq!(files.admitted(2, 1), [0]);
    }
}
