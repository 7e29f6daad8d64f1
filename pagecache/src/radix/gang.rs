//! `radix_tree_gang_lookup_slot`, also by tag: the addresses of the next occupied slots.

use pagewalk_engine::Context;

use super::{Entry, MAP_SHIFT, MAP_SIZE, NodeRef, Nodes, RadixTree, SlotRef, Tag, max_index};

/// One search: where it stands and what it has found.
struct Search<'m, 'c> {
    cx: &'c Context,
    nodes: &'m Nodes,
    tag: Option<Tag>,
    most: usize,
    found: Vec<SlotRef<'m>>,
}

impl RadixTree {
    /// The slots of the first `most` items at `first` or beyond; with a tag, of those that have it. Not a snapshot: each slot
    /// is from a moment of its own.
    pub(crate) async fn gang_lookup_slot<'m>(
        &'m self,
        cx: &Context,
        nodes: &'m Nodes,
        first: u64,
        most: usize,
        tag: Option<Tag>,
    ) -> Vec<SlotRef<'m>> {
        if let Some(tag) = tag
            && !self.tags().test_bit(cx, tag as u8).await
        {
            return Vec::new();
        }
        let top = match Entry::decode(self.rnode().rcu_dereference(cx).await) {
            Entry::Empty => return Vec::new(),
            Entry::Item(_) if first > 0 => return Vec::new(),
            Entry::Item(_) => return vec![SlotRef::new(self.rnode(), None)],
            Entry::Node(id) => nodes.found(id),
        };
        let last = max_index(top.node().height());
        cx.engine().note_found(top.node().height());
        let mut search = Search { cx, nodes, tag, most, found: Vec::new() };
        let mut next = Some(first);
        while let Some(index) = next.filter(|&index| index <= last) {
            if search.found.len() == most {
                break;
            }
            next = search.leaf(top, index).await;
        }
        search.found
    }
}

impl<'m> Search<'m, '_> {
    /// Whether a slot of an inner node, or of a leaf with a tag to look for, is worth following.
    async fn occupied(&self, at: NodeRef<'m>, offset: usize) -> bool {
        let taken = match self.tag {
            Some(tag) => at.node().tags(tag).test_bit(self.cx, offset as u8).await,
            None => at.node().slot(offset).read_once(self.cx).await != 0,
        };
        at.check(self.cx);
        taken
    }

    /// Goes down to the first leaf with something at `index` or beyond and collects from it. Yields where to go on, `None` behind
    /// the last index there is.
    async fn leaf(&mut self, top: NodeRef<'m>, mut index: u64) -> Option<u64> {
        let mut at = top;
        for height in (2..=top.node().height()).rev() {
            let shift = u32::from(height - 1) * MAP_SHIFT;
            let mut offset = super::offset_at(index, height);
            while !self.occupied(at, offset).await {
                index = (index >> shift << shift).checked_add(1 << shift)?;
                offset += 1;
                if offset == MAP_SIZE {
                    return Some(index);
                }
            }
            match SlotRef::new(at.node().slot(offset), Some(at)).load(self.cx).await {
                Entry::Node(id) => at = self.nodes.found(id),
                // Deleted between the two looks: look again from the top.
                Entry::Empty => return Some(index),
                Entry::Item(_) => return None,
            }
        }
        self.collect(at, index).await
    }

    async fn collect(&mut self, leaf: NodeRef<'m>, index: u64) -> Option<u64> {
        let first = super::offset_at(index, 1);
        // All 64 tags in one look; v2.6.27 tests bit by bit.
        let tags = match self.tag {
            Some(tag) => leaf.node().tags(tag).read_once(self.cx).await,
            None => u64::MAX,
        };
        leaf.check(self.cx);
        for offset in first..MAP_SIZE {
            if tags >> offset & 1 == 0 {
                continue;
            }
            let slot = SlotRef::new(leaf.node().slot(offset), Some(leaf));
            // A tag may be that of an item deleted meanwhile.
            if slot.load(self.cx).await != Entry::Empty {
                self.found.push(slot);
                if self.found.len() == self.most {
                    break;
                }
            }
        }
        (index - first as u64).checked_add(MAP_SIZE as u64)
    }
}
