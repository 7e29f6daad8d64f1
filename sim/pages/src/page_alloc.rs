//! The page allocator: per-CPU lists in front of the buddy system.
//!
//! Follows `mm/page_alloc.c` of v2.6.27: `buffered_rmqueue`, `rmqueue_bulk`, `prep_new_page`,
//! `free_hot_cold_page`, `free_pages_bulk`, `drain_all_pages`.

use std::cell::RefCell;
use std::rc::Rc;

use pagewalk_engine::{Class, Completion, Context, Cpu, CpuId, Effect, Engine, ObjectId, OpKind};
use pagewalk_mmu::Pfn;

use crate::page::{
    PG_ACTIVE, PG_DIRTY, PG_ERROR, PG_MAPPEDTODISK, PG_READAHEAD, PG_RECLAIM, PG_REFERENCED, PG_SWAPBACKED,
    PG_UPTODATE, PageMapping,
};
use crate::{Mutant, PageRef, Zone};

/// The flags that a page may have when its last reference goes (`free_pages_check` and `prep_new_page` of v2.6.27
/// clear them); any other is a bug of who had it.
const CLEARED_AT_FREE: u32 = 1 << PG_UPTODATE
    | 1 << PG_DIRTY
    | 1 << PG_REFERENCED
    | 1 << PG_ERROR
    | 1 << PG_READAHEAD
    | 1 << PG_MAPPEDTODISK
    | 1 << PG_RECLAIM
    | 1 << PG_ACTIVE
    | 1 << PG_SWAPBACKED;

static DRAIN: Class = Class::new(25, "drain_all_pages");

/// A CPU's own list of free pages: its contexts and its interrupts change it.
static PCP: Class = Class::new(31, "per-CPU free pages");

impl Zone {
    /// `alloc_page`: a page with one reference, its contents undefined. `None` if no frame is free on any list.
    pub async fn alloc_page<'a>(&self, cx: &'a Context) -> Option<PageRef<'a>> {
        let pfn = match self.buffered_rmqueue(cx).await {
            Some(pfn) => pfn,
            None => {
                self.drain_all_pages(cx).await;
                self.buffered_rmqueue(cx).await?
            }
        };
        Some(self.prep_new_page(cx, pfn).await)
    }

    /// `prep_new_page`: a frame that has just left the free lists becomes a page with one reference.
    pub(crate) async fn prep_new_page<'a>(&self, cx: &'a Context, pfn: Pfn) -> PageRef<'a> {
        self.allocated.set(self.allocated.get() + 1);
        // The count of a free page is 0, so a plain store is legal here and only here.
        self.note_free(cx, pfn, false);
        self.check_free(cx, pfn, "allocated");
        self.memory.words(pfn).count().write_once(cx, 1).await;
        if self.mutant(Mutant::SetCountClobber) {
            self.memory.words(pfn).count().write_once(cx, 1).await; // MUTANT set-count-clobber: over what a lookup added meanwhile
        }
        PageRef::counted(cx, pfn)
    }

    /// A frame from this CPU's list, refilled from the free lists when it is empty.
    async fn buffered_rmqueue(&self, cx: &Context) -> Option<Pfn> {
        let own = self.cpu(cx.cpu().id());
        cx.local_irq_disable();
        self.touch_list(cx.engine(), cx.cpu().id());
        if own.pcp.borrow().is_empty() {
            let zone = self.zone_lock.lock(cx).await;
            own.pcp.borrow_mut().refill(&mut self.buddy.get_mut(&zone), &self.memory);
            zone.unlock().await;
        }
        let pfn = own.pcp.borrow_mut().pop();
        cx.local_irq_enable();
        pfn
    }

    /// `put_page`: gives a reference back; whoever gives back the last one frees the page.
    ///
    ///  1. one reference less;
    ///  2. off the LRU lists, if it was the last;
    ///  3. to the free pages.
    pub async fn put_page(&self, cx: &Context, page: PageRef<'_>) {
        let pfn = page.into_pfn();
        let last = self.put_page_testzero(cx, pfn).await; // 1
        if last {
            self.page_cache_release(cx, pfn).await; // 2
            self.free_hot_page(cx, pfn).await; // 3
        }
    }

    /// `put_page_testzero`: one reference less; true if it was the last.
    pub async fn put_page_testzero(&self, cx: &Context, pfn: Pfn) -> bool {
        let last = self.memory.words(pfn).count().dec_and_test(cx).await;
        let before = i64::from(self.memory.page(pfn).count.get()) + 1;
        if before <= 0 {
            cx.engine().violation(
                "I1",
                format!("a reference to {pfn:?} is given back and its count was {before}, not 1 or more"),
            );
        }
        last
    }

    /// `free_hot_cold_page`: the page, whose count is 0, goes to this CPU's list.
    ///
    /// Nobody can reach it any more: its count and map count are 0 and it is in no tree. An anonymous page keeps its
    /// mapping until here; a page of a file has lost it when it left the cache.
    pub async fn free_hot_page(&self, cx: &Context, pfn: Pfn) {
        let page = self.memory.words(pfn);
        let anon = matches!(PageMapping::decode(page.mapping().read_once(cx).await), PageMapping::Anon(_));
        if anon {
            page.mapping().write_once(cx, 0).await;
        }
        let flags = page.flags().read_once(cx).await;
        if anon || flags & CLEARED_AT_FREE != 0 {
            page.flags().write_once(cx, flags & !CLEARED_AT_FREE).await;
        }
        if !self.check_free(cx, pfn, "freed") {
            return;
        }
        if !self.note_free(cx, pfn, true) {
            cx.engine()
                .violation("I4", format!("{pfn:?} is freed and is free already: expected to be freed once"));
            return;
        }
        self.freed.set(self.freed.get() + 1);
        self.uncharge(pfn);
        let own = self.cpu(cx.cpu().id());
        cx.local_irq_disable();
        self.touch_list(cx.engine(), cx.cpu().id());
        let full = own.pcp.borrow_mut().push(pfn);
        if full {
            let zone = self.zone_lock.lock(cx).await;
            let drained = own.pcp.borrow_mut().drain(&mut self.buddy.get_mut(&zone), &self.memory);
            if let Err(why) = drained {
                cx.bug::<()>(why).await;
            }
            zone.unlock().await;
        }
        cx.local_irq_enable();
    }

    /// `drain_all_pages`: every CPU gives its list back, before an allocation may fail.
    pub async fn drain_all_pages(&self, cx: &Context) {
        let others: Vec<CpuId> = cx.engine().other_cpus(cx.cpu().id()).collect();
        let drained: Rc<RefCell<Vec<Pfn>>> = Rc::default();
        let outstanding = u32::try_from(others.len()).expect("at most 256 CPUs");
        let done = Completion::new(&DRAIN, cx.cpu().id().0.into(), outstanding);
        for other in others {
            let (zone, drained, done) = (self.shared(), Rc::clone(&drained), Rc::clone(&done));
            let handler = Rc::new(move |engine: &Engine, cpu: &Cpu| {
                zone.touch_list(engine, cpu.id());
                drained.borrow_mut().extend(zone.take_list(cpu.id()));
                done.complete(engine);
            });
            cx.send_ipi(other, handler).await;
        }
        done.wait(cx).await;
        self.give_back(cx, drained.take()).await;
        self.drain_local_pages(cx).await;
    }

    /// `drain_local_pages`: this CPU gives its list back.
    pub async fn drain_local_pages(&self, cx: &Context) {
        self.touch_list(cx.engine(), cx.cpu().id());
        let own = self.take_list(cx.cpu().id());
        self.give_back(cx, own).await;
    }

    /// Frames of CPUs' lists go to the free lists.
    async fn give_back(&self, cx: &Context, frames: Vec<Pfn>) {
        if frames.is_empty() {
            return;
        }
        let zone = self.zone_lock.lock(cx).await;
        let freed = {
            let mut buddy = self.buddy.get_mut(&zone);
            frames.into_iter().try_for_each(|pfn| buddy.free(&self.memory, pfn, 0))
        };
        if let Err(why) = freed {
            cx.bug::<()>(why).await;
        }
        zone.unlock().await;
    }
}

impl Zone {
    /// The step being executed changes the list of `cpu`.
    fn touch_list(&self, engine: &Engine, cpu: CpuId) {
        engine.touch(ObjectId::new(&PCP, u64::from(cpu.0)), OpKind::Store, Effect::NONE);
        engine.note_found(&*self.cpu(cpu).pcp.borrow());
    }

    /// I4, kept when the engine checks: the page becomes free, or ceases to be. False if it was so before.
    fn note_free(&self, cx: &Context, pfn: Pfn, free: bool) -> bool {
        if !cx.engine().config().checks {
            return true;
        }
        // Whether a page is free is told by its count's object.
        cx.engine().touch(self.memory.words(pfn).count().id(), OpKind::Store, Effect::NONE);
        let mut freed = self.freed_pages.borrow_mut();
        let was_not = if free { freed.insert(pfn) } else { freed.remove(&pfn) };
        cx.engine().note_found(was_not);
        was_not
    }

    /// Every frame of a CPU's list.
    fn take_list(&self, cpu: CpuId) -> Vec<Pfn> {
        let mut list = self.cpu(cpu).pcp.borrow_mut();
        std::iter::from_fn(|| list.pop()).collect()
    }

    /// I2, for observers: a page on its way to or from a free list is nobody's. False if it is somebody's: it must not be handed on.
    fn check_free(&self, cx: &Context, pfn: Pfn, verb: &str) -> bool {
        let engine = cx.engine();
        if !engine.config().checks {
            return true;
        }
        let page = self.memory.words(pfn);
        let (count, mapcount) = (page.count().observe(), page.mapcount().observe());
        let (flags, mapping) = (page.flags().observe(), page.mapping().observe());
        let unused = count == 0 && mapcount == 0 && flags == 0 && mapping == 0;
        if !unused {
            engine.violation(
                "I2",
                format!("{pfn:?} is {verb} with count {count}, map count {mapcount}, flags {flags:#x} and mapping word {mapping}, all expected to be 0"),
            );
        }
        self.hw.observe_translations(engine);
        self.check_unnamed(engine, pfn, verb);
        unused
    }

    /// I19: no CPU can use a translation that names the frame.
    fn check_unnamed(&self, engine: &Engine, pfn: Pfn, verb: &str) {
        let mut named = false;
        for cpu in self.hw.may_name(pfn) {
            let core = self.hw.core(cpu);
            let root = core.root().map(|root| root.asid);
            let names = |frame: Pfn, pages: u64| {
                (u64::from(frame.0)..u64::from(frame.0) + pages).contains(&u64::from(pfn.0))
            };
            for (tag, entry) in core.tlb().borrow().iter() {
                if !names(entry.frame, entry.size.base_pages()) {
                    continue;
                }
                named = true;
                if tag.asid == root || tag.asid.is_none() {
                    let tlb = format!("TLB of {cpu}");
                    engine.violation(
                        "I19",
                        format!(
                            "{pfn:?} is {verb} while the {tlb} names it at {:?}: expected a flush before",
                            tag.page
                        ),
                    );
                }
            }
            for (level, page, asid, table) in core.walk_caches().borrow().iter() {
                named |= table == pfn;
                if Some(asid) == root && table == pfn {
                    let cache = format!("walk cache of {cpu} for level {level}");
                    engine.violation("I19", format!("{pfn:?} is {verb} while the {cache} names it at {page:?}: expected a flush before"));
                }
            }
        }
        if !named {
            self.hw.note_unnamed(pfn);
        }
    }
}
