//! Tags: a bit for each slot, set in every node above a slot that has it. Changed under `tree_lock`.

use pagewalk_engine::{Context, Engine, Held, OpKind};

use super::node::Node;
use super::{Entry, MAX_PATH, Nodes, RadixTree, max_index, offset_at};

/// A kind of tag (`PAGECACHE_TAG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// The page is dirty, or was until a moment ago.
    Dirty = 0,
    /// The page is under writeback.
    Writeback = 1,
}

impl Tag {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dirty, Self::Writeback];
}

/// The nodes from the root down to an item, each with the slot to follow.
struct Path<'m> {
    steps: [Option<(&'m Node, usize)>; MAX_PATH],
    depth: usize,
}

impl RadixTree {
    /// The way to the item at `index`, `None` if there is none. Only the holder of `tree_lock` changes the tree.
    fn path<'m>(&self, held: &impl Held, nodes: &'m Nodes, index: u64) -> Option<Path<'m>> {
        if index > max_index(self.height.get()) {
            return None;
        }
        let mut path = Path { steps: [None; MAX_PATH], depth: 0 };
        let mut entry = Entry::decode(self.rnode().get(held));
        for height in (1..=self.height.get()).rev() {
            let Entry::Node(id) = entry else { return None };
            let (node, offset) = (nodes.get(id), offset_at(index, height));
            path.steps[path.depth] = Some((node, offset));
            path.depth += 1;
            entry = Entry::decode(node.slot(offset).get(held));
        }
        matches!(entry, Entry::Item(_)).then_some(path)
    }

    /// `radix_tree_tag_set`: from the top down. False if there is no item.
    pub(crate) async fn tag_set(
        &self,
        cx: &Context,
        held: &impl Held,
        nodes: &Nodes,
        index: u64,
        tag: Tag,
    ) -> bool {
        let Some(path) = self.path(held, nodes, index) else { return false };
        for (node, offset) in path.steps[..path.depth].iter().flatten() {
            if node.tags(tag).get(held) >> offset & 1 == 0 {
                node.tags(tag).set_bit(cx, *offset as u8).await;
            }
        }
        if self.tags().get(held) >> tag as u32 & 1 == 0 {
            self.tags().set_bit(cx, tag as u8).await;
        }
        true
    }

    /// `radix_tree_tag_clear`: from the bottom up, as far as no other slot of the node has the tag.
    pub(crate) async fn tag_clear(
        &self,
        cx: &Context,
        held: &impl Held,
        nodes: &Nodes,
        index: u64,
        tag: Tag,
    ) {
        let Some(path) = self.path(held, nodes, index) else { return };
        for (node, offset) in path.steps[..path.depth].iter().rev().flatten() {
            if node.tags(tag).get(held) >> offset & 1 == 0 {
                return;
            }
            node.tags(tag).clear_bit(cx, *offset as u8).await;
            if node.tags(tag).get(held) != 0 {
                return;
            }
        }
        if self.tags().get(held) >> tag as u32 & 1 != 0 {
            self.tags().clear_bit(cx, tag as u8).await;
        }
    }

    /// The same all at once, from an interrupt handler: the delivery is the step.
    pub(crate) fn tag_clear_at_once(
        &self,
        engine: &Engine,
        held: &impl Held,
        nodes: &Nodes,
        index: u64,
        tag: Tag,
    ) {
        let Some(path) = self.path(held, nodes, index) else { return };
        for (node, offset) in path.steps[..path.depth].iter().rev().flatten() {
            node.tags(tag)
                .modify_in_step(engine, OpKind::ChangeBit(*offset as u8), |tags| tags & !(1 << offset));
            if node.tags(tag).get(held) != 0 {
                return;
            }
        }
        self.tags().modify_in_step(engine, OpKind::ChangeBit(tag as u8), |tags| tags & !(1 << tag as u32));
    }
}
