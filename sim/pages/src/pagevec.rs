//! Pages on their way to, on and off the LRU lists: pagevecs, `put_page`, `release_pages`, isolation.
//!
//! Follows mm/swap.c and mm/vmscan.c (`isolate_lru_pages`, `__isolate_lru_page`, `putback_lru_pages`) of v2.6.27.

use std::cell::RefCell;
use std::rc::Rc;

use pagewalk_engine::{Class, Completion, Context, Cpu, CpuId, Effect, Engine, ObjectId, OpKind, SpinGuard};
use pagewalk_mmu::Pfn;

use crate::lru::{LruList, LruVec};
use crate::page::{PG_ACTIVE, PG_DIRTY, PG_LOCKED, PG_LRU};
use crate::{Mutant, Zone};

/// Pages of a batch on their way to the lists (`PAGEVEC_SIZE`).
pub const PAGEVEC_SIZE: usize = 14;

static DRAIN: Class = Class::new(30, "lru_add_drain_all");

/// A CPU's pagevecs: its contexts and its interrupts change them.
static PAGEVECS: Class = Class::new(60, "pagevecs");
/// The pages that interrupts have put aside.
static ROTATED: Class = Class::new(62, "lru_rotate_pvecs");

/// Pages on their way to the lists, by list.
type Batches = Vec<(LruList, Vec<Pfn>)>;

/// A CPU's pages on their way to the lists (`lru_add_pvecs`): each holds one reference.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct PageVecs {
    adding: [Vec<Pfn>; LruList::COUNT],
}

impl PageVecs {
    fn take(&mut self) -> Batches {
        let full = LruList::ALL.into_iter().filter(|&list| !self.adding[list as usize].is_empty());
        let full: Vec<LruList> = full.collect();
        full.into_iter().map(|list| (list, std::mem::take(&mut self.adding[list as usize]))).collect()
    }
}

/// How a list is accessed by who takes all there is: to find it empty changes nothing.
fn taking<T>(taken: &[T]) -> OpKind {
    if taken.is_empty() { OpKind::Load } else { OpKind::Store }
}

impl Zone {
    /// `spin_lock_irq(&zone->lru_lock)`.
    pub async fn lock_lru<'a>(&'a self, cx: &'a Context) -> SpinGuard<'a> {
        cx.local_irq_disable();
        self.lru_lock.lock(cx).await
    }

    /// `spin_unlock_irq(&zone->lru_lock)`.
    pub async fn unlock_lru(&self, cx: &Context, guard: SpinGuard<'_>) {
        guard.unlock().await;
        cx.local_irq_enable();
    }

    /// The lists of the group that a page belongs to, under the lock.
    pub fn with_lru<R>(&self, held: &SpinGuard<'_>, pfn: Pfn, change: impl FnOnce(&mut LruVec) -> R) -> R {
        self.with_lru_of(held, self.memory.page(pfn).group.get(), change)
    }

    /// The lists of memory group `group`, under the lock.
    pub fn with_lru_of<R>(
        &self,
        held: &SpinGuard<'_>,
        group: u16,
        change: impl FnOnce(&mut LruVec) -> R,
    ) -> R {
        let mut all = self.lru.get_mut(held);
        let group = usize::from(group);
        if all.len() <= group {
            all.resize_with(group + 1, LruVec::default);
        }
        change(&mut all[group])
    }

    /// `lru_cache_add`: the page, new to the lists, is put on this CPU's pagevec, which owns a reference until it is on `list`.
    pub async fn lru_cache_add(&self, cx: &Context, pfn: Pfn, list: LruList) {
        self.memory.get_page(cx, pfn).await.into_pfn();
        let object = ObjectId::new(&PAGEVECS, u64::from(cx.cpu().id().0));
        cx.engine().touch(object, OpKind::Store, Effect::NONE);
        let full = {
            let mut pagevecs = self.cpu(cx.cpu().id()).pagevecs.borrow_mut();
            let adding = &mut pagevecs.adding[list as usize];
            adding.push(pfn);
            cx.engine().note_found(adding.len());
            (adding.len() >= PAGEVEC_SIZE).then(|| std::mem::take(adding))
        };
        if let Some(pages) = full {
            self.pagevec_lru_add(cx, list, pages).await;
        }
    }

    /// `__pagevec_lru_add`: onto the list, and the pagevec's references go.
    async fn pagevec_lru_add(&self, cx: &Context, list: LruList, pages: Vec<Pfn>) {
        let held = self.lock_lru(cx).await;
        for &pfn in &pages {
            let flags = self.memory.words(pfn).flags();
            if list.is_active() {
                flags.set_bit(cx, PG_ACTIVE).await;
            }
            if flags.test_and_set_bit(cx, PG_LRU).await {
                cx.engine().violation("I22", format!("{pfn:?} is put on {list:?} and was on a list already"));
            } else {
                self.with_lru(&held, pfn, |lru| lru.add(&self.memory, pfn, list));
            }
        }
        self.unlock_lru(cx, held).await;
        self.release_pages(cx, pages).await;
    }

    /// What is in the pagevecs of `cpu`, in a step of its own or in its interrupt.
    fn take_pagevecs(&self, engine: &Engine, cpu: CpuId) -> Batches {
        let taken = self.cpu(cpu).pagevecs.borrow_mut().take();
        engine.note_found(&taken);
        engine.touch(ObjectId::new(&PAGEVECS, u64::from(cpu.0)), taking(&taken), Effect::NONE);
        taken
    }

    /// `lru_add_drain`: this CPU's pagevecs are emptied onto the lists.
    pub async fn lru_add_drain(&self, cx: &Context) {
        let waiting = self.take_pagevecs(cx.engine(), cx.cpu().id());
        for (list, pages) in waiting {
            self.pagevec_lru_add(cx, list, pages).await;
        }
        self.drain_rotated(cx).await;
    }

    /// `lru_add_drain_all`: the pagevecs of every CPU. (Linux runs a work item on each; here each CPU hands its pagevecs over
    /// in an interrupt, and the caller puts their pages on the lists.)
    pub async fn lru_add_drain_all(&self, cx: &Context) {
        let others: Vec<CpuId> = cx.engine().other_cpus(cx.cpu().id()).collect();
        let drained: Rc<RefCell<Batches>> = Rc::default();
        let outstanding = u32::try_from(others.len()).expect("at most 256 CPUs");
        let done = Completion::new(&DRAIN, cx.cpu().id().0.into(), outstanding);
        for other in others {
            let (zone, drained, done) = (self.shared(), Rc::clone(&drained), Rc::clone(&done));
            let handler = Rc::new(move |engine: &Engine, cpu: &Cpu| {
                drained.borrow_mut().extend(zone.take_pagevecs(engine, cpu.id()));
                done.complete(engine);
            });
            cx.send_ipi(other, handler).await;
        }
        done.wait(cx).await;
        self.lru_add_drain(cx).await;
        for (list, pages) in drained.take() {
            self.pagevec_lru_add(cx, list, pages).await;
        }
    }

    /// `release_pages`: a reference less for each; those that had no other are freed. The lists are locked once for as many as
    /// are freed in a row.
    pub async fn release_pages(&self, cx: &Context, pages: Vec<Pfn>) {
        let mut held = None;
        let mut freed = Vec::new();
        for pfn in pages {
            if !self.put_page_testzero(cx, pfn).await {
                continue;
            }
            if self.memory.words(pfn).flags().test_bit(cx, PG_LRU).await {
                let guard = match held.take() {
                    Some(guard) => guard,
                    None => self.lock_lru(cx).await,
                };
                self.del_page_from_lru(cx, &guard, pfn).await;
                held = Some(guard);
            }
            freed.push(pfn);
            if freed.len() == PAGEVEC_SIZE {
                if let Some(guard) = held.take() {
                    self.unlock_lru(cx, guard).await;
                }
                for pfn in freed.drain(..) {
                    self.free_hot_page(cx, pfn).await;
                }
            }
        }
        if let Some(guard) = held {
            self.unlock_lru(cx, guard).await;
        }
        for pfn in freed {
            self.free_hot_page(cx, pfn).await;
        }
    }

    /// `__page_cache_release`: a page whose count is 0 leaves the lists. The look at `PG_lru` takes no lock: from a count of 0
    /// on only the freer clears it, as isolation takes a reference first, and cannot.
    pub(crate) async fn page_cache_release(&self, cx: &Context, pfn: Pfn) {
        if self.memory.words(pfn).flags().test_bit(cx, PG_LRU).await {
            let held = self.lock_lru(cx).await;
            self.del_page_from_lru(cx, &held, pfn).await;
            self.unlock_lru(cx, held).await;
        }
    }

    /// `del_page_from_lru`: off its list, `PG_lru` clear. Holds the lock.
    async fn del_page_from_lru(&self, cx: &Context, held: &SpinGuard<'_>, pfn: Pfn) {
        let flags = self.memory.words(pfn).flags();
        if !flags.test_and_clear_bit(cx, PG_LRU).await {
            cx.engine().violation("I22", format!("{pfn:?} leaves the lists and is on none"));
            return;
        }
        let list = LruList::of_flags(flags.read_once(cx).await);
        self.with_lru(held, pfn, |lru| lru.remove(&self.memory, pfn, list));
    }

    /// `isolate_lru_pages`: up to `most` of the oldest pages of a list, each with a reference, off the list. Yields them and how
    /// many were looked at. Holds the lock.
    ///
    /// `PG_lru` is cleared only when the reference is had: who has put the last reference trusts `PG_lru` afterwards. A page whose
    /// count is 0 is being freed by somebody, who waits for the lock; it goes to the front.
    pub async fn isolate_lru_pages(
        &self,
        cx: &Context,
        held: &SpinGuard<'_>,
        (group, list): (u16, LruList),
        most: u64,
    ) -> (Vec<Pfn>, u64) {
        let mut taken = Vec::new();
        let mut scanned = 0;
        let length = self.with_lru_of(held, group, |lru| lru.len(list));
        while scanned < most.min(length) {
            let Some(pfn) = self.with_lru_of(held, group, |lru| lru.oldest(list)) else { break };
            scanned += 1;
            let isolated = self.isolate_lru_page_locked(cx, held, pfn).await;
            if isolated {
                taken.push(pfn);
            } else {
                cx.mark("isolate_lru_pages:being-freed");
                self.with_lru_of(held, group, |lru| {
                    lru.remove(&self.memory, pfn, list);
                    lru.add(&self.memory, pfn, list);
                });
            }
        }
        (taken, scanned)
    }

    /// `__isolate_lru_page`: takes a page that is on a list off it, with a reference. False if it is being freed.
    ///
    ///  1. a reference, unless the count is 0;
    ///  2. clear `PG_lru`, and off the list.
    async fn isolate_lru_page_locked(&self, cx: &Context, held: &SpinGuard<'_>, pfn: Pfn) -> bool {
        let count = self.memory.words(pfn).count();
        if self.mutant(Mutant::LruIsolatePlainInc) {
            count.fetch_add(cx, 1).await; // MUTANT lru-isolate-plain-inc
        } else if !count.inc_not_zero(cx).await {
            return false; // 1
        }
        self.del_page_from_lru(cx, held, pfn).await; // 2
        true
    }

    /// `isolate_lru_page` of mm/migrate.c: the page, to which the caller has a reference, off its list with one reference more.
    /// False if it is on none.
    pub async fn isolate_lru_page(&self, cx: &Context, pfn: Pfn) -> bool {
        let held = self.lock_lru(cx).await;
        let listed = self.memory.words(pfn).flags().test_bit(cx, PG_LRU).await;
        let isolated = listed && self.isolate_lru_page_locked(cx, &held, pfn).await;
        self.unlock_lru(cx, held).await;
        isolated
    }

    /// `putback_lru_pages`: isolated pages go back to the lists that their flags say, and the isolation's references go.
    pub async fn putback_lru_pages(&self, cx: &Context, pages: Vec<Pfn>) {
        if pages.is_empty() {
            return;
        }
        let held = self.lock_lru(cx).await;
        for &pfn in &pages {
            let flags = self.memory.words(pfn).flags();
            if flags.test_and_set_bit(cx, PG_LRU).await {
                cx.engine().violation("I22", format!("{pfn:?} is put back and is on a list already"));
                continue;
            }
            let list = LruList::of_flags(flags.read_once(cx).await);
            self.with_lru(&held, pfn, |lru| {
                lru.add(&self.memory, pfn, list);
                lru.recent_rotated[usize::from(list.is_file())] += u64::from(list.is_active());
            });
        }
        self.unlock_lru(cx, held).await;
        self.release_pages(cx, pages).await;
    }

    /// `activate_page`: a page on an inactive list moves to the active one. True if it did.
    pub async fn activate_page(&self, cx: &Context, pfn: Pfn) -> bool {
        let held = self.lock_lru(cx).await;
        let flags = self.memory.words(pfn).flags();
        let seen = flags.read_once(cx).await;
        let moves = seen >> PG_LRU & 1 == 1 && seen >> PG_ACTIVE & 1 == 0;
        if moves {
            let from = LruList::of_flags(seen);
            self.with_lru(&held, pfn, |lru| lru.remove(&self.memory, pfn, from));
            flags.set_bit(cx, PG_ACTIVE).await;
            let to = LruList::of(from.is_file(), true);
            self.with_lru(&held, pfn, |lru| {
                lru.add(&self.memory, pfn, to);
                lru.recent_rotated[usize::from(to.is_file())] += 1;
                lru.recent_scanned[usize::from(to.is_file())] += 1;
            });
        }
        self.unlock_lru(cx, held).await;
        moves
    }

    /// `rotate_reclaimable_page`: the writeback of a page that reclaim waits for has ended. It is to be looked at next, as it can
    /// be freed now. Called in the step of an interrupt; the page is kept, with a reference, until the lists are next drained.
    pub fn rotate_reclaimable_page(&self, engine: &Engine, pfn: Pfn) {
        let words = self.memory.words(pfn);
        let flags = words.flags().load_in_step(engine);
        let busy = 1 << PG_LOCKED | 1 << PG_DIRTY | 1 << PG_ACTIVE;
        if flags & busy != 0 || flags >> PG_LRU & 1 == 0 || words.count().load_in_step(engine) == 0 {
            return;
        }
        words.count().modify_in_step(engine, OpKind::Rmw, |count| count + 1);
        engine.touch(ObjectId::new(&ROTATED, 0), OpKind::Store, Effect::NONE);
        self.rotated.borrow_mut().push(pfn);
    }

    /// `get_page` in the step of an interrupt, until [`Zone::put_page_in_step`].
    pub fn get_page_in_step(&self, engine: &Engine, pfn: Pfn) {
        self.memory.words(pfn).count().modify_in_step(engine, OpKind::Rmw, |count| count + 1);
        self.held_by_interrupts.borrow_mut().push(pfn);
    }

    /// `put_page` in the step of an interrupt. A reference that is the last one is kept until the lists are next drained: a page
    /// is freed by a context.
    pub fn put_page_in_step(&self, engine: &Engine, pfn: Pfn) {
        let mut held = self.held_by_interrupts.borrow_mut();
        let place = held.iter().position(|&page| page == pfn).expect("a page that an interrupt has got");
        held.swap_remove(place);
        let count = self.memory.words(pfn).count();
        if count.load_in_step(engine) > 1 {
            count.modify_in_step(engine, OpKind::Rmw, |count| count - 1);
        } else {
            engine.touch(ObjectId::new(&ROTATED, 0), OpKind::Store, Effect::NONE);
            self.rotated.borrow_mut().push(pfn);
        }
    }

    /// `pagevec_move_tail`: the pages that interrupts have put aside go to the back of their lists.
    async fn drain_rotated(&self, cx: &Context) {
        let pages = self.rotated.take();
        cx.engine().note_found(&pages);
        cx.engine().touch(ObjectId::new(&ROTATED, 0), taking(&pages), Effect::NONE);
        if pages.is_empty() {
            return;
        }
        let held = self.lock_lru(cx).await;
        for &pfn in &pages {
            let flags = self.memory.words(pfn).flags().read_once(cx).await;
            let list = LruList::of_flags(flags);
            if flags >> PG_LRU & 1 == 1 && !list.is_active() {
                self.with_lru(&held, pfn, |lru| {
                    lru.remove(&self.memory, pfn, list);
                    lru.add_oldest(&self.memory, pfn, list);
                });
            }
        }
        self.unlock_lru(cx, held).await;
        self.release_pages(cx, pages).await;
    }

    /// Pages on their way to the lists, or put aside or held by interrupts, each of which has a reference for it; for observers.
    pub fn observe_pagevecs(&self) -> Vec<Pfn> {
        let vecs = self.cpus.iter().map(|cpu| cpu.pagevecs.borrow());
        let mut found: Vec<Pfn> = vecs.flat_map(|vecs| vecs.adding.concat()).collect();
        found.extend(self.rotated.borrow().iter().copied());
        found.extend(self.held_by_interrupts.borrow().iter().copied());
        found
    }

    /// The lists of every memory group, for observers.
    pub fn observe_lru(&self) -> Vec<LruVec> {
        self.lru.observe().clone()
    }

    /// How many memory groups have lists, for heuristics.
    pub fn nr_groups(&self) -> usize {
        self.lru.observe().len()
    }

    /// A look at a group's lists without their lock, for heuristics.
    pub fn peek_lru<R>(&self, group: u16, look: impl FnOnce(&LruVec) -> R) -> R {
        match self.lru.observe().get(usize::from(group)) {
            Some(lru) => look(lru),
            None => look(&LruVec::default()),
        }
    }

    /// Pages on `list` over all memory groups, for observers and heuristics.
    pub fn lru_pages(&self, list: LruList) -> u64 {
        self.lru.observe().iter().map(|lru| lru.len(list)).sum()
    }
}
