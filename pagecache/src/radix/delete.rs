//! `radix_tree_delete` and `radix_tree_shrink`. The caller holds `tree_lock`.

use std::rc::Rc;

use pagewalk_engine::{Context, Held};
use pagewalk_mmu::Pfn;
use pagewalk_pages::{Fix, Mutant, Zone};

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
        zone: &Zone,
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
        self.unlink(cx, held, nodes, index, &path[..depth], zone).await;
        Some(item)
    }

    /// B: empties the slot, then every node above that has become empty, each retired after the slot that named it is clear.
    async fn unlink(
        &self,
        cx: &Context,
        held: &impl Held,
        nodes: &Rc<Nodes>,
        index: u64,
        path: &[Option<(&Node, usize)>],
        zone: &Zone,
    ) {
        let mut to_free = None;
        for (node, offset) in path.iter().rev().flatten().copied() {
            node.slot(offset).write_once(cx, 0).await;
            if to_free.is_none() {
                self.note_emptied(cx, index);
            }
            node.count().set(node.count().get() - 1);
            if let Some(empty) = to_free.take() {
                nodes.retire(cx, empty, zone).await;
            }
            if node.count().get() > 0 {
                if self.rnode().get(held) == Entry::Node(node.id()).encode() {
                    self.shrink(cx, held, nodes, zone).await;
                }
                return;
            }
            to_free = Some(node);
        }
        self.height.set(0);
        self.rnode().write_once(cx, 0).await;
        if to_free.is_none() {
            self.note_emptied(cx, index);
        }
        if let Some(empty) = to_free {
            nodes.retire(cx, empty, zone).await;
        }
    }

    /// `radix_tree_shrink`.
    async fn shrink(&self, cx: &Context, held: &impl Held, nodes: &Rc<Nodes>, zone: &Zone) {
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
            if self.height.get() == 0 && !leaves_slot(zone) {
                node.slot(0).write_once(cx, first | 1).await;
            }
            nodes.retire(cx, node, zone).await;
        }
    }
}

/// Whether the slot of a retired node goes on showing its item, as before 27d20fddc8af: MUTANT R08, R08b.
fn leaves_slot(zone: &Zone) -> bool {
    // Each is asked, so that each is known to have got here.
    let mutants =
        [Mutant::StaleSlotAfterShrink, Mutant::StaleSlotWrongPage].map(|mutant| zone.mutant(mutant));
    !zone.switches().has(Fix::RetiredSlotRetry) || mutants.contains(&true)
}
