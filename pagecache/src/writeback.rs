//! Writeback: `test_set_page_writeback` and `end_page_writeback`, the bit and its tag together under `tree_lock`.
//!
//! Follows mm/filemap.c and mm/page-writeback.c of v2.6.27.

use std::rc::{Rc, Weak};

use pagewalk_engine::{Context, CpuId, Effect, Engine, Held, IpiHandler, ObjectId, OpKind};
use pagewalk_mmu::Pfn;
use pagewalk_pages::{Fix, PG_DIRTY, PG_RECLAIM, PG_WRITEBACK};

use crate::address_space::{AddressSpace, TREE_LOCK};
use crate::radix::Tag;

/// `set_page_writeback`: writeback of a locked page begins.
///
///  1. lock the tree;
///  2. set the bit and the tag;
///  3. clear the dirty tag, unless the page was dirtied again since `PG_dirty` was cleared;
///  4. unlock the tree.
///
/// The dirty tag has stayed until here on purpose: between the clearing of `PG_dirty` and 2 whoever looks for
/// dirty pages finds this one, and waits for its lock. Without a tag an `fsync` would pass it by, and not
/// wait for its write.
pub async fn set_page_writeback(cx: &Context, mapping: &AddressSpace, pfn: Pfn) {
    let words = mapping.zone().memory.words(pfn);
    mapping.check_page_locked(cx, pfn);
    let tree = mapping.lock_tree(cx).await;
    if words.flags().test_and_set_bit(cx, PG_WRITEBACK).await {
        cx.engine().violation(
            "I24",
            format!("writeback of {pfn:?} begins and is under way already: expected one at a time"),
        );
    }
    mapping.note_writeback(1);
    let index = mapping.page_index(cx, pfn).await;
    mapping.tree.tag_set(cx, &tree, mapping.nodes(), index, Tag::Writeback).await;
    // Dirtied again meanwhile: then it is to be written again.
    if !words.flags().test_bit(cx, PG_DIRTY).await {
        mapping.tree.tag_clear(cx, &tree, mapping.nodes(), index, Tag::Dirty).await;
    } else {
        cx.mark("set_page_writeback:dirty-again");
    }
    tree.unlock().await;
}

/// `end_page_writeback`: writeback has ended. Called in the step of the device's interrupt on `cpu`; what follows 1
/// are further steps of that interrupt.
///
///  1. if reclaim wrote the page, clear `PG_reclaim` and move the page to where reclaim looks next;
///  2. lock the tree, clear the bit, clear the tag, unlock the tree (`test_clear_page_writeback`);
///  3. wake those who wait for the page: they look again.
///
/// v2.6.27 has no reference of its own. Who meets the page after 2 finds that it is under no writeback, and may take it out of
/// the cache and free it: 3 is done to a page that may be a stranger's. Since Linux 5.10 a reference is held from before 1 until
/// after 3 (073861ed77b6).
///
/// Linux spins for `tree_lock` in 2; here whoever holds it lets the interrupt go on when it lets go. And the interrupted program
/// may take steps between 1, 2 and 3, which it can in Linux only where the end is left to ksoftirqd.
pub fn end_page_writeback(engine: &Engine, cpu: CpuId, mapping: &Rc<AddressSpace>, pfn: Pfn) {
    let zone = mapping.zone();
    let words = zone.memory.words(pfn);
    if zone.switches().has(Fix::WritebackReference) {
        zone.get_page_in_step(engine, pfn);
    }
    if words.flags().load_in_step(engine) >> PG_RECLAIM & 1 == 1 {
        words
            .flags()
            .modify_in_step(engine, OpKind::ChangeBit(PG_RECLAIM), |flags| flags & !(1 << PG_RECLAIM));
        zone.rotate_reclaimable_page(engine, pfn); // 1
    }
    let ending =
        Ending { mapping: Rc::downgrade(mapping), cpu, pfn, owner: words.mapping().load_in_step(engine) };
    engine.go_on_in_interrupt(cpu, Rc::new(move |engine: &Engine, _: &_| ending.clear_bit(engine)));
}

/// The end of a page's writeback on its way.
#[derive(Clone)]
struct Ending {
    mapping: Weak<AddressSpace>,
    cpu: CpuId,
    pfn: Pfn,
    /// `page->mapping` when it began.
    owner: u32,
}

impl Ending {
    /// Step 2, if the tree is not locked.
    fn clear_bit(&self, engine: &Engine) {
        let Some(mapping) = self.mapping.upgrade() else { return };
        engine.touch(InInterrupt(&mapping).lock(), OpKind::Load, Effect::NONE);
        let ending = self.clone();
        if mapping.tree_is_locked() {
            let again: IpiHandler = Rc::new(move |engine: &Engine, _: &_| ending.clear_bit(engine));
            mapping.ended.borrow_mut().push((self.cpu, again));
            return;
        }
        mapping.test_clear_page_writeback(engine, self.pfn);
        engine.go_on_in_interrupt(self.cpu, Rc::new(move |engine: &Engine, _: &_| ending.wake(engine)));
    }

    /// Step 3.
    fn wake(&self, engine: &Engine) {
        let Some(mapping) = self.mapping.upgrade() else { return };
        let zone = mapping.zone();
        self.check_same_page(engine, &mapping);
        zone.memory.words(self.pfn).flags().wake_bit_waiters(engine);
        if zone.switches().has(Fix::WritebackReference) {
            zone.put_page_in_step(engine, self.pfn);
        }
    }

    /// I3, for observers: the page that is touched was not freed since its writeback ended.
    fn check_same_page(&self, engine: &Engine, mapping: &AddressSpace) {
        let words = mapping.zone().memory.words(self.pfn);
        let (count, owner) = (words.count().observe(), words.mapping().observe());
        let strange = owner != 0 && self.owner != 0 && owner != self.owner;
        if engine.config().checks && (count == 0 || strange) {
            let message = format!(
                "the end of writeback wakes who waits for {:?}, which was freed meanwhile: count {count}",
                self.pfn
            );
            engine.violation("I3", message);
        }
    }
}

/// `tree_lock`, taken and released within the step of an interrupt.
struct InInterrupt<'a>(&'a AddressSpace);

impl Held for InInterrupt<'_> {
    fn lock(&self) -> ObjectId {
        ObjectId::new(&TREE_LOCK, u64::from(self.0.id()))
    }
    fn exclusive(&self) -> bool {
        true
    }
}

impl AddressSpace {
    /// Interrupts that have waited for the lock go on.
    #[inline]
    pub(crate) fn let_ended_go_on(&self, engine: &Engine) {
        if self.ended.borrow().is_empty() {
            return;
        }
        for (cpu, handler) in self.ended.take() {
            engine.go_on_in_interrupt(cpu, handler);
        }
    }

    /// `test_clear_page_writeback`: bit and tag in one hold, so that who finds neither knows that the write
    /// has ended.
    fn test_clear_page_writeback(&self, engine: &Engine, pfn: Pfn) {
        let flags = self.zone().memory.words(pfn).flags();
        let before = flags
            .modify_in_step(engine, OpKind::ChangeBit(PG_WRITEBACK), |flags| flags & !(1 << PG_WRITEBACK));
        if before >> PG_WRITEBACK & 1 == 0 || self.observe_index(pfn).is_none() {
            let message = format!(
                "writeback of {pfn:?} ends and was not under way (flags {before:#x}): expected PG_writeback"
            );
            return engine.violation("I24", message);
        }
        let index = self.page_index_in_step(engine, pfn);
        self.tree.tag_clear_at_once(engine, &InInterrupt(self), self.nodes(), index, Tag::Writeback);
        self.note_writeback(-1);
    }
}
