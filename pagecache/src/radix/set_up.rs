//! A tree as a run finds it: built at once, outside a run, and taken apart the same way.

use pagewalk_engine::CpuId;
use pagewalk_mmu::Pfn;

use super::{Entry, Nodes, RadixTree, max_index, offset_at};

impl RadixTree {
    /// Puts an item into a tree without tags. False if the place is taken or there is no memory for a node.
    pub(crate) fn set_up(&self, nodes: &Nodes, index: u64, item: Pfn) -> bool {
        while index > max_index(self.height.get()) {
            if self.rnode.get() != 0 {
                let Ok(Some(node)) = nodes.alloc(CpuId(0)) else { return false };
                node.set_up(self.height.get() + 1);
                node.slot(0).set_up(self.rnode.get());
                node.count().set(1);
                self.rnode.set(Entry::Node(node.id()).encode());
            }
            self.height.set(self.height.get() + 1);
        }
        let mut word = self.rnode();
        for height in (1..=self.height.get()).rev() {
            let node = match Entry::decode(word.observe()) {
                Entry::Node(id) => nodes.get(id),
                Entry::Empty | Entry::Item(_) => {
                    let Ok(Some(node)) = nodes.alloc(CpuId(0)) else { return false };
                    node.set_up(height);
                    word.set_up(Entry::Node(node.id()).encode());
                    node
                }
            };
            word = node.slot(offset_at(index, height));
            if word.observe() == 0 {
                node.count().set(node.count().get() + 1);
            }
        }
        let free = word.observe() == 0;
        if free {
            word.set_up(Entry::Item(item).encode());
        }
        free
    }
}
