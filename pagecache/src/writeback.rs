//! Writeback: `test_set_page_writeback` and `end_page_writeback`, the bit and its tag together under `tree_lock`.

use pagewalk_engine::{Context, Cpu, Effect, Engine, Held, ObjectId, OpKind};
use pagewalk_mmu::{Hardware, PG_DIRTY, PG_RECLAIM, PG_WRITEBACK, Pfn};

use crate::address_space::{AddressSpace, TREE_LOCK};
use crate::radix::Tag;

/// Writeback of a locked page begins.
pub async fn set_page_writeback(cx: &Context, mapping: &AddressSpace, pfn: Pfn) {
    let words = mapping.hw().memory.words(pfn);
    mapping.check_page_locked(cx, pfn);
    let tree = mapping.lock_tree(cx).await;
    if words.flags().test_and_set_bit(cx, PG_WRITEBACK).await {
        cx.engine().violation("I24", format!("{pfn:?} is under writeback already"));
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

/// Writeback has ended: called from the device's interrupt. The tag, the bit, and whoever waits for it.
///
/// Linux's handler spins for `tree_lock`; here the work is done the moment whoever holds it lets go.
pub fn end_page_writeback(engine: &Engine, _: &Cpu, _: &Hardware, mapping: &AddressSpace, pfn: Pfn) {
    engine.touch(ObjectId::new(&TREE_LOCK, u64::from(mapping.id())), OpKind::Load, Effect::NONE);
    mapping.ended.borrow_mut().push(pfn);
    if !mapping.tree_is_locked() {
        mapping.finish_ended(engine);
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
    /// What interrupts wanted to do under the lock.
    #[inline]
    pub(crate) fn finish_ended(&self, engine: &Engine) {
        if self.ended.borrow().is_empty() {
            return;
        }
        for pfn in self.ended.take() {
            self.finish_writeback(engine, pfn);
        }
    }

    fn finish_writeback(&self, engine: &Engine, pfn: Pfn) {
        let words = self.hw().memory.words(pfn);
        let flags = words.flags().load_in_step(engine);
        let index = self.observe_index(pfn).filter(|_| flags & 1 << PG_WRITEBACK != 0);
        let Some(index) = index else {
            engine.violation(
                "I24",
                format!("writeback of {pfn:?} ends, flags {flags:#x}, and it is not under any"),
            );
            return;
        };
        self.tree.tag_clear_at_once(engine, &InInterrupt(self), self.nodes(), index, Tag::Writeback);
        if flags & 1 << PG_RECLAIM != 0 {
            let clear = |flags| flags & !(1 << PG_RECLAIM);
            words.flags().modify_in_step(engine, OpKind::ChangeBit(PG_RECLAIM), clear);
            self.hw().rotate_reclaimable_page(engine, pfn);
        }
        self.note_writeback(-1);
        words.flags().end_bit(engine, PG_WRITEBACK);
    }
}
