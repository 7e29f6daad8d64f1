//! `radix_tree_lookup_slot`: from an index to the address of its slot.

use std::future::Future;

use pagewalk_engine::{Context, ObjectId, Word};
use pagewalk_mmu::Pfn;

use super::{Entry, NodeRef, Nodes, RadixTree, max_index, offset_at};

/// The address of a slot, kept as Linux keeps it: what it shows later is what is there later, also if the node has left the
/// tree meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct SlotRef<'m> {
    word: Word<'m, u32>,
    node: Option<NodeRef<'m>>,
}

impl<'m> SlotRef<'m> {
    #[inline(always)]
    pub(crate) fn new(word: Word<'m, u32>, node: Option<NodeRef<'m>>) -> Self {
        Self { word, node }
    }

    /// The slot's identity.
    #[inline(always)]
    pub(crate) fn id(self) -> ObjectId {
        self.word.id()
    }

    /// `radix_tree_replace_slot`: another item takes the place. Under `tree_lock`; lookups find the one or the other.
    pub(crate) async fn replace(self, cx: &Context, item: Pfn) {
        self.word.store_release(cx, Entry::Item(item).encode()).await;
    }

    /// `radix_tree_deref_slot`: what the slot holds now. The step stands where the caller does.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn load(self, cx: &Context) -> impl Future<Output = Entry> {
        let word = self.word.rcu_dereference(cx);
        async move {
            let word = word.await;
            if let Some(node) = self.node {
                node.check(cx);
            }
            Entry::decode(word)
        }
    }
}

impl RadixTree {
    /// The slot of `index`, or `None` if it is empty or its place in the tree is.
    #[inline(always)]
    pub(crate) async fn lookup_slot<'m>(
        &'m self,
        cx: &Context,
        nodes: &'m Nodes,
        index: u64,
    ) -> Option<SlotRef<'m>> {
        match Entry::decode(self.rnode().rcu_dereference(cx).await) {
            Entry::Empty => None,
            Entry::Item(_) => (index == 0).then(|| SlotRef::new(self.rnode(), None)),
            Entry::Node(id) => walk(cx, nodes, id, index).await,
        }
    }
}

/// The way down from the node that the root points to.
async fn walk<'m>(cx: &Context, nodes: &'m Nodes, top: u32, index: u64) -> Option<SlotRef<'m>> {
    let mut found = nodes.found(top);
    let mut height = found.node().height();
    cx.engine().note_found(height);
    found.check(cx);
    if index > max_index(height) {
        return None;
    }
    loop {
        let slot = SlotRef::new(found.node().slot(offset_at(index, height)), Some(found));
        match slot.load(cx).await {
            Entry::Empty => return None,
            _ if height == 1 => return Some(slot),
            Entry::Node(id) => found = nodes.found(id),
            // Only a node that was freed and used again shows this: I33 has been reported.
            Entry::Item(_) => return None,
        }
        height -= 1;
    }
}
