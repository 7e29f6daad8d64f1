//! The radix tree from page index to page: lib/radix-tree.c of v2.6.27.
//!
//! A slot is a shared word: 0 is empty, `pfn << 1` an item, `(node << 1) | 1` a node. The tree of one item at index 0 is the
//! root word alone, of height 0. Writers hold `tree_lock`; readers hold nothing but an RCU read section.

mod delete;
mod gang;
mod insert;
mod lookup;
mod node;
mod set_up;
mod tag;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hash;

use pagewalk_engine::{Class, Context, Digest, Engine, ObjectId, Word};
use pagewalk_mmu::Pfn;

pub(crate) use insert::Occupied;
pub(crate) use lookup::SlotRef;
pub(crate) use node::{NodeRef, Nodes};
pub use tag::Tag;

/// Index bits that one node resolves (`RADIX_TREE_MAP_SHIFT`).
pub(crate) const MAP_SHIFT: u32 = 6;
/// Slots of a node (`RADIX_TREE_MAP_SIZE`).
pub const MAP_SIZE: usize = 1 << MAP_SHIFT;
/// The most nodes between the root and an item of a 64-bit index (`RADIX_TREE_MAX_PATH`).
pub(crate) const MAX_PATH: usize = 11;

/// The root word of a tree; its index is the address space's number.
pub static ROOT_SLOT: Class = Class::new(64, "page_tree");
/// The slots of nodes, eight to a cache line; the index is the node's number times 64, and the slot.
pub static NODE_SLOT: Class = Class::packed(65, "radix slot", 3);
/// The tags of a node: its number times 2, and the tag.
pub(crate) static NODE_TAGS: Class = Class::new(66, "radix tags");
/// Whether a node is free, in use or retired.
pub(crate) static NODE_LIFE: Class = Class::new(70, "radix node");
/// The free nodes.
pub(crate) static NODES: Class = Class::new(71, "radix nodes");
/// Which tags a tree has anywhere.
pub(crate) static ROOT_TAGS: Class = Class::new(67, "page_tree tags");

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Empty,
    Item(Pfn),
    /// An internal pointer. In a slot that a lookup kept: look again.
    Node(u32),
}

impl Entry {
    #[inline(always)]
    pub(crate) fn decode(word: u32) -> Self {
        match word {
            0 => Self::Empty,
            node if node & 1 == 1 => Self::Node(node >> 1),
            item => Self::Item(Pfn(item >> 1)),
        }
    }

    #[inline(always)]
    pub(crate) fn encode(self) -> u32 {
        match self {
            Self::Empty => 0,
            Self::Item(pfn) => pfn.0 << 1,
            Self::Node(id) => (id << 1) | 1,
        }
    }
}

/// The highest index a tree of this height has (`radix_tree_maxindex`).
#[inline(always)]
pub(crate) fn max_index(height: u8) -> u64 {
    match u32::from(height) * MAP_SHIFT {
        0 => 0,
        bits if bits >= u64::BITS => u64::MAX,
        bits => (1 << bits) - 1,
    }
}

/// The slot that `index` uses in a node of this height.
#[inline(always)]
pub(crate) fn offset_at(index: u64, height: u8) -> usize {
    (index >> ((u32::from(height) - 1) * MAP_SHIFT)) as usize & (MAP_SIZE - 1)
}

/// The root of a tree (`struct radix_tree_root`).
pub(crate) struct RadixTree {
    id: u32,
    rnode: Cell<u32>,
    /// Belongs to `tree_lock`: readers take the height from the node they find.
    height: Cell<u8>,
    tags: Cell<u32>,
    /// How often each index was emptied, for the observer of I9; kept when the engine checks.
    emptied: RefCell<BTreeMap<u64, u64>>,
}

pagewalk_engine::keep!(RadixTree: rnode, height, tags, emptied; fixed id);

impl RadixTree {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            rnode: Cell::new(0),
            height: Cell::new(0),
            tags: Cell::new(0),
            emptied: RefCell::default(),
        }
    }

    /// The item at `index` has gone in the step being executed. Whether a lookup may say that nothing was there counts from this
    /// step on, not from any before it.
    pub(crate) fn note_emptied(&self, cx: &Context, index: u64) {
        if cx.engine().config().checks {
            *self.emptied.borrow_mut().entry(index).or_default() += 1;
        }
    }

    /// The height, and how many slots of each node are occupied: what only who holds the tree's lock reads, and without a step.
    pub(crate) fn note_private(&self, engine: &Engine, nodes: &Nodes) {
        engine.note_found(self.height.get());
        let mut below = vec![Entry::decode(self.rnode.get())];
        while let Some(entry) = below.pop() {
            if let Entry::Node(id) = entry {
                let node = nodes.get(id);
                engine.note_found(node.count().get());
                if node.height() > 1 {
                    below.extend(node.entries());
                }
            }
        }
    }

    /// The root, and what observers know of it.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        digest.absorb(u64::from(self.id) << 32 | u64::from(self.rnode.get()));
        digest.absorb(u64::from(self.height.get()) << 32 | u64::from(self.tags.get()));
        self.emptied.borrow().hash(digest);
    }

    /// How often `index` was emptied so far, for observers.
    pub(crate) fn times_emptied(&self, index: u64) -> u64 {
        self.emptied.borrow().get(&index).copied().unwrap_or(0)
    }

    /// `root->rnode`.
    #[inline(always)]
    pub(crate) fn rnode(&self) -> Word<'_, u32> {
        Word::new(&self.rnode, ObjectId::new(&ROOT_SLOT, u64::from(self.id)))
    }

    /// The tags kept in the root.
    #[inline(always)]
    pub(crate) fn tags(&self) -> Word<'_, u32> {
        Word::new(&self.tags, ObjectId::new(&ROOT_TAGS, u64::from(self.id)))
    }

    /// The height, for observers.
    pub(crate) fn observe_height(&self) -> u8 {
        self.height.get()
    }

    /// What index holds, for observers.
    pub(crate) fn observe(&self, nodes: &Nodes, index: u64) -> Option<Pfn> {
        let mut word = self.rnode().observe();
        if let Entry::Node(id) = Entry::decode(word)
            && index > max_index(nodes.get(id).height())
        {
            return None;
        }
        let mut below = index;
        while let Entry::Node(id) = Entry::decode(word) {
            let node = nodes.get(id);
            word = node.slot(offset_at(index, node.height())).observe();
            below = 0;
        }
        match Entry::decode(word) {
            Entry::Item(pfn) if below == 0 => Some(pfn),
            _ => None,
        }
    }

    /// The words on the way to what `index` holds, for observers.
    pub(crate) fn observe_path(&self, nodes: &Nodes, index: u64) -> Vec<ObjectId> {
        let mut path = vec![self.rnode().id()];
        let mut word = self.rnode().observe();
        while let Entry::Node(id) = Entry::decode(word) {
            let node = nodes.get(id);
            if node.height() == 0 || path.len() > MAX_PATH {
                break;
            }
            let slot = node.slot(offset_at(index, node.height()));
            path.push(slot.id());
            word = slot.observe();
        }
        path
    }

    /// Every item in the order of its index, for observers: index, page, and which tags its slot has.
    pub(crate) fn observe_all(&self, nodes: &Nodes) -> Vec<(u64, Pfn, u32)> {
        let mut found = Vec::new();
        match Entry::decode(self.rnode().observe()) {
            Entry::Empty => {}
            Entry::Item(pfn) => found.push((0, pfn, self.tags.get())),
            Entry::Node(id) => observe_node(nodes, id, 0, &mut found),
        }
        found
    }
}

/// The items below a node, for observers.
fn observe_node(nodes: &Nodes, id: u32, base: u64, found: &mut Vec<(u64, Pfn, u32)>) {
    let node = nodes.get(id);
    let shift = u32::from(node.height() - 1) * MAP_SHIFT;
    for offset in 0..MAP_SIZE {
        let index = base | (offset as u64) << shift;
        match Entry::decode(node.slot(offset).observe()) {
            Entry::Empty => {}
            Entry::Item(pfn) => {
                let has = |tag: Tag| node.tags(tag).observe() >> offset & 1 != 0;
                let tags = Tag::ALL.into_iter().filter(|&tag| has(tag));
                found.push((index, pfn, tags.fold(0, |set, tag| set | 1 << tag as u32)));
            }
            Entry::Node(child) => observe_node(nodes, child, index, found),
        }
    }
}
