//! `radix_tree_delete` and `radix_tree_shrink`. The caller holds `tree_lock`.

use std::rc::Rc;

use pagewalk_engine::{Context, Held};
use pagewalk_mmu::{Fix, Pfn, Switches};

use super::node::Node;
use super::{Entry, MAX_PATH, Nodes, RadixTree, Tag, max_index, offset_at};

impl RadixTree {
    /// Takes the item at `index` out; yields it. Its tags are cleared first, empty nodes are retired, and the tree shrinks while
    /// slot 0 is all that its top node has.
    pub(crate) async fn delete(
        &self,
        cx: &Context,
        held: &impl Held,
        nodes: &Rc<Nodes>,
        index: u64,
        switches: Switches,
    ) -> Option<Pfn> {
        if index > max_index(self.height.get()) {
            return None;
        }
        let mut path: [Option<(&Node, usize)>; MAX_PATH] = [None; MAX_PATH];
        let mut depth = 0;
        let mut entry = Entry::decode(self.rnode().read_once(cx).await);
        for height in (1..=self.height.get()).rev() {
            let Entry::Node(id) = entry else { return None };
            let (node, offset) = (nodes.get(id), offset_at(index, height));
            path[depth] = Some((node, offset));
            depth += 1;
            entry = Entry::decode(node.slot(offset).read_once(cx).await);
        }
        let Entry::Item(item) = entry else { return None };
        for tag in Tag::ALL {
            self.tag_clear(cx, held, nodes, index, tag).await;
        }
        self.unlink(cx, held, nodes, &path[..depth], switches).await;
        Some(item)
    }

    /// Empties the slot, then every node above that has become empty, each retired after the slot that named it is clear.
    async fn unlink(
        &self,
        cx: &Context,
        held: &impl Held,
        nodes: &Rc<Nodes>,
        path: &[Option<(&Node, usize)>],
        switches: Switches,
    ) {
        let mut to_free = None;
        for (node, offset) in path.iter().rev().flatten().copied() {
            node.slot(offset).write_once(cx, 0).await;
            node.count().set(node.count().get() - 1);
            if let Some(empty) = to_free.take() {
                nodes.retire(cx, empty, switches).await;
            }
            if node.count().get() > 0 {
                if self.rnode().get(held) == Entry::Node(node.id()).encode() {
                    self.shrink(cx, held, nodes, switches).await;
                }
                return;
            }
            to_free = Some(node);
        }
        self.height.set(0);
        self.rnode().write_once(cx, 0).await;
        if let Some(empty) = to_free {
            nodes.retire(cx, empty, switches).await;
        }
    }

    /// `radix_tree_shrink`.
    async fn shrink(&self, cx: &Context, held: &impl Held, nodes: &Rc<Nodes>, switches: Switches) {
        while self.height.get() > 0 {
            let Entry::Node(id) = Entry::decode(self.rnode().get(held)) else { return };
            let node = nodes.get(id);
            let first = node.slot(0).get(held);
            if node.count().get() != 1 || first == 0 {
                return;
            }
            // The item or node moves up; the old way to it stays as it is for those on it.
            self.rnode().write_once(cx, first).await;
            self.height.set(self.height.get() - 1);
            // A lookup may have kept the address of the item's old slot: it must look again (27d20fddc8af).
            if self.height.get() == 0 && switches.has(Fix::RetiredSlotRetry) {
                node.slot(0).write_once(cx, first | 1).await;
            }
            nodes.retire(cx, node, switches).await;
        }
    }
}
