//! The observers of the invariants that lookups and removers must keep. They look from outside, when the engine checks.

use pagewalk_engine::{Context, Engine, Retry};
use pagewalk_mmu::Pfn;
use pagewalk_pages::{PG_LOCKED, PG_WRITEBACK, PageRef};

use crate::address_space::AddressSpace;
use crate::radix::Tag;

/// What an observer notes of one lookup, to tell afterwards whether its answer was ever true (I9).
pub(crate) struct Watch {
    on: bool,
    index: u64,
    occupied: bool,
    emptied: u64,
    /// The page was at the index when it was referenced.
    there: std::cell::Cell<bool>,
}

impl Watch {
    /// The lookup has a reference to `pfn`, perhaps not the right one.
    #[inline(always)]
    pub(crate) fn referenced(&self, cx: &Context, mapping: &AddressSpace, pfn: Pfn) {
        if self.on {
            self.there.set(mapping.observe(self.index) == Some(pfn));
            cx.engine().note_found(self.there.get());
        }
    }

    /// The lookup is about to return `page`, in the same step in which it decided.
    #[inline(always)]
    pub(crate) fn returns(&self, cx: &Context, mapping: &AddressSpace, page: Option<&PageRef<'_>>) {
        if self.on {
            self.judge(cx, mapping, page.map(PageRef::pfn));
        }
    }

    #[cold]
    fn judge(&self, cx: &Context, mapping: &AddressSpace, page: Option<Pfn>) {
        let (engine, index, id) = (cx.engine(), self.index, mapping.id());
        let now = mapping.observe(index);
        match page {
            None if self.occupied && now.is_some() && mapping.tree.times_emptied(index) == self.emptied => {
                let message = format!(
                    "a lookup of index {index} of mapping {id} returns nothing: expected {now:?}, which was there all the time"
                );
                engine.violation("I9", message);
            }
            None => {}
            Some(pfn) if now == Some(pfn) => mapping.check_owner(cx, pfn, index),
            Some(pfn) if !self.there.get() => {
                let message = format!(
                    "a lookup of index {index} of mapping {id} returns {pfn:?}: expected a page that was there when it was referenced, or nothing"
                );
                engine.violation("I9", message);
            }
            Some(_) => {}
        }
    }
}

impl AddressSpace {
    /// Begins to watch a lookup.
    #[inline(always)]
    pub(crate) fn watch_lookup(&self, cx: &Context, index: u64) -> Watch {
        let on = cx.engine().config().checks;
        let mut watch = Watch { on, index, occupied: false, emptied: 0, there: false.into() };
        if on {
            watch.occupied = self.observe(index).is_some();
            watch.emptied = self.tree.times_emptied(index);
            cx.engine().note_found(u64::from(watch.occupied) | watch.emptied << 1);
        }
        watch
    }

    /// A lookup that found `pfn` with another mapping finds it again until the tree or the page has changed. (While schedules
    /// are explored; otherwise the loop goes round.)
    pub(crate) async fn until_changed(&self, cx: &Context, index: u64, pfn: Pfn) {
        if cx.engine().exploring() {
            let mut words = vec![self.zone().memory.words(pfn).mapping().id()];
            words.extend(self.tree.observe_path(self.nodes(), index));
            words.truncate(Retry::MOST);
            cx.retry(&words).await;
        }
    }

    /// I7, where it holds at every moment: a page that can be found says where.
    fn check_owner(&self, cx: &Context, pfn: Pfn, index: u64) {
        self.check_place(cx.engine(), pfn, index);
    }

    fn check_place(&self, engine: &Engine, pfn: Pfn, index: u64) {
        if self.observe_index(pfn) != Some(index) {
            let words = self.zone().memory.words(pfn);
            let (mapping, at) = (words.mapping().observe(), words.index().observe());
            let message = format!(
                "{pfn:?} is at index {index} of mapping {}: expected to say so, and says mapping word {mapping}, index {at}, private {}",
                self.id(),
                words.private().observe()
            );
            engine.violation("I7", message);
        }
    }

    /// I7 with the page locked: its index is the one looked for.
    pub(crate) fn check_locked(&self, cx: &Context, pfn: Pfn, index: u64) {
        if cx.engine().config().checks {
            self.check_owner(cx, pfn, index);
        }
    }

    /// I7 with the page locked: a page without this mapping is not at the index.
    pub(crate) fn check_truncated(&self, cx: &Context, pfn: Pfn, index: u64) {
        if cx.engine().config().checks && self.observe(index) == Some(pfn) {
            self.check_owner(cx, pfn, index);
        }
    }

    /// I23: whoever takes a page out has it locked.
    pub(crate) fn check_page_locked(&self, cx: &Context, pfn: Pfn) {
        let words = self.zone().memory.words(pfn);
        if words.flags().observe() & 1 << PG_LOCKED == 0 {
            cx.engine().violation(
                "I23",
                format!("{} changes the place of {pfn:?}, which is not locked: expected its lock", cx.id()),
            );
        }
    }

    /// I7 and I24: what was deleted is the page, which is under no writeback.
    pub(crate) fn check_removed(&self, cx: &Context, pfn: Pfn, index: u64, deleted: Option<Pfn>) {
        if deleted != Some(pfn) {
            let message = format!(
                "{pfn:?} leaves index {index} of mapping {}: expected there, and found {deleted:?}",
                self.id()
            );
            cx.engine().violation("I7", message);
        }
        if self.zone().memory.words(pfn).flags().observe() & 1 << PG_WRITEBACK != 0 {
            cx.engine().violation("I24", format!("{pfn:?} leaves the cache while it is being written: expected the end of its writeback before"));
        }
    }

    /// I13: a page of a file that leaves the cache is mapped nowhere.
    pub(crate) fn check_unmapped(&self, cx: &Context, pfn: Pfn) {
        let mapped = self.zone().memory.words(pfn).mapcount().observe();
        if mapped != 0 && !self.is_swapper() {
            cx.engine()
                .violation("I26", format!("{pfn:?} leaves the cache with {mapped} mappings, expected 0"));
        }
    }

    /// I6: a freeze has ended before the tree is unlocked.
    pub(crate) fn check_not_frozen(&self, cx: &Context, pfn: Pfn) {
        if self.zone().memory.words(pfn).count().observe() == 0 {
            cx.engine().violation(
                "I6",
                format!("{pfn:?} stays in the cache with a frozen count, 0: expected to be unfrozen"),
            );
        }
    }

    /// Looks at the whole tree while nobody holds its lock: I7, I10, and the tag of I24.
    pub fn check(&self, engine: &Engine) {
        if self.tree_is_locked() {
            return;
        }
        let pages = self.tree.observe_all(self.nodes());
        for &(index, pfn, tags) in &pages {
            let words = self.zone().memory.words(pfn);
            self.check_place(engine, pfn, index);
            if words.count().observe() < 1 {
                engine.violation(
                    "I6",
                    format!("{pfn:?} is at index {index} of {self:?} and its count is 0, expected 1 or more"),
                );
            }
            let flags = words.flags().observe();
            let has = |tag: Tag| tags >> tag as u32 & 1 != 0;
            if (flags & 1 << PG_WRITEBACK != 0) != has(Tag::Writeback) {
                engine.violation("I24", format!("{pfn:?} has flags {flags:#x} and tags {tags:#b}: expected the writeback tag if the flag is set, and only then"));
            }
        }
        if pages.len() as u64 != self.nrpages().observe() {
            let message = format!("{self:?} has {} pages in its tree", pages.len());
            engine.violation("I10", message);
        }
    }
}
