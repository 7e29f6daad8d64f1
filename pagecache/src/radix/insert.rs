//! `radix_tree_insert` and `radix_tree_extend`. The caller holds `tree_lock`.

use pagewalk_engine::{Context, Held};
use pagewalk_mmu::Pfn;

use super::node::Node;
use super::{Entry, Nodes, RadixTree, Tag, max_index, offset_at};

/// Why nothing was inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupied {
    /// The slot holds another item (`-EEXIST`).
    Exists,
    /// No node could be had (`-ENOMEM`).
    NoMemory,
}

impl RadixTree {
    /// Stores `item` at `index`. The store of the slot publishes it.
    pub(crate) async fn insert(
        &self,
        cx: &Context,
        held: &impl Held,
        nodes: &Nodes,
        index: u64,
        item: Pfn,
    ) -> Result<(), Occupied> {
        if index > max_index(self.height.get()) {
            self.extend(cx, held, nodes, index).await?;
        }
        let mut height = self.height.get();
        let mut parent: Option<(&Node, usize)> = None;
        let mut entry = Entry::decode(self.rnode().read_once(cx).await);
        while height > 0 {
            let node = match entry {
                Entry::Node(id) => nodes.get(id),
                Entry::Empty | Entry::Item(_) => {
                    let node = node_alloc(cx, nodes).await?;
                    cx.engine().note_found(node.id());
                    node.set_up(height);
                    self.publish(cx, parent, Entry::Node(node.id())).await;
                    node
                }
            };
            let offset = offset_at(index, height);
            entry = Entry::decode(node.slot(offset).read_once(cx).await);
            parent = Some((node, offset));
            height -= 1;
        }
        if entry != Entry::Empty {
            return Err(Occupied::Exists);
        }
        self.publish(cx, parent, Entry::Item(item)).await;
        Ok(())
    }

    /// `rcu_assign_pointer` of a slot that is empty, or of the root.
    async fn publish(&self, cx: &Context, parent: Option<(&Node, usize)>, entry: Entry) {
        match parent {
            Some((node, offset)) => {
                node.count().set(node.count().get() + 1);
                node.slot(offset).store_release(cx, entry.encode()).await;
            }
            None => self.rnode().store_release(cx, entry.encode()).await,
        }
    }

    /// `radix_tree_extend`: makes the tree high enough for `index`. What it had becomes slot 0 of each new node.
    async fn extend(
        &self,
        cx: &Context,
        held: &impl Held,
        nodes: &Nodes,
        index: u64,
    ) -> Result<(), Occupied> {
        let mut height = self.height.get() + 1;
        while index > max_index(height) {
            height += 1;
        }
        if self.rnode().read_once(cx).await == 0 {
            self.height.set(height);
            return Ok(());
        }
        while self.height.get() < height {
            let node = node_alloc(cx, nodes).await?;
            cx.engine().note_found(node.id());
            // Nobody can reach the node yet: these are no steps.
            node.set_up(self.height.get() + 1);
            node.slot(0).set_up(self.rnode().get(held));
            node.count().set(1);
            for tag in Tag::ALL {
                if self.tags().get(held) >> tag as u32 & 1 != 0 {
                    node.tags(tag).set_up(1);
                }
            }
            self.rnode().store_release(cx, Entry::Node(node.id()).encode()).await;
            self.height.set(self.height.get() + 1);
        }
        Ok(())
    }
}

/// A free node of this CPU. One that is handed out already is a BUG.
async fn node_alloc<'m>(cx: &Context, nodes: &'m Nodes) -> Result<&'m Node, Occupied> {
    match nodes.alloc(cx.cpu().id()) {
        Ok(node) => node.ok_or(Occupied::NoMemory),
        Err(why) => cx.bug(why).await,
    }
}
