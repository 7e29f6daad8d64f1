//! Nodes of radix trees (`struct radix_tree_node`), where they come from and when they may be used again.
//!
//! A node that leaves its tree is *retired*: it keeps its contents until every lookup that may be in it has left (a grace
//! period), and only then is emptied and used again.

use std::cell::{Cell, OnceCell, RefCell};
use std::hash::Hash;
use std::rc::Rc;

use pagewalk_engine::{Context, CpuId, Digest, Effect, Keep, ObjectId, OpKind, Word, keep};
use pagewalk_pages::{Mutant, Zone};

use super::{Entry, MAP_SIZE, MAX_PATH, NODE_LIFE, NODE_SLOT, NODE_TAGS, NODES, Tag};

/// Nodes of the first chunk; each further chunk has twice as many as the one before.
const FIRST_CHUNK: u32 = 64;
const CHUNKS: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Free,
    InUse,
    Retired,
}

/// A node.
pub(crate) struct Node {
    id: Cell<u32>,
    slots: [Cell<u32>; MAP_SIZE],
    tags: [Cell<u64>; Tag::ALL.len()],
    /// Set before the node is published, and never after.
    height: Cell<u8>,
    /// Occupied slots; belongs to `tree_lock`.
    count: Cell<u8>,
    state: Cell<State>,
    /// How often the node has been freed.
    generation: Cell<u32>,
}

keep!(Node: id, slots, tags, height, count, state, generation);

impl Node {
    fn new(id: u32) -> Self {
        Self {
            id: Cell::new(id),
            slots: [const { Cell::new(0) }; MAP_SIZE],
            tags: Default::default(),
            height: Cell::new(0),
            count: Cell::new(0),
            state: Cell::new(State::Free),
            generation: Cell::new(0),
        }
    }

    /// Its number, by which slots and the root name it.
    pub(crate) fn id(&self) -> u32 {
        self.id.get()
    }

    /// The levels from this node down to the items.
    #[inline(always)]
    pub(crate) fn height(&self) -> u8 {
        self.height.get()
    }

    /// Prepares the node, which nobody can reach yet.
    pub(crate) fn set_up(&self, height: u8) {
        self.height.set(height);
    }

    /// Occupied slots. Only under `tree_lock`.
    pub(crate) fn count(&self) -> &Cell<u8> {
        &self.count
    }

    /// A slot.
    #[inline(always)]
    pub(crate) fn slot(&self, offset: usize) -> Word<'_, u32> {
        let index = u64::from(self.id.get()) * MAP_SIZE as u64 + offset as u64;
        Word::new(&self.slots[offset], ObjectId::new(&NODE_SLOT, index))
    }

    /// The slots' tags of one kind, a bit for each.
    #[inline(always)]
    pub(crate) fn tags(&self, tag: Tag) -> Word<'_, u64> {
        let index = u64::from(self.id.get()) * Tag::ALL.len() as u64 + tag as u64;
        Word::new(&self.tags[tag as usize], ObjectId::new(&NODE_TAGS, index))
    }

    /// What its slots hold.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.slots.iter().map(|slot| Entry::decode(slot.get()))
    }

    /// Whether it is free, in use or retired, as an object.
    fn life(&self) -> ObjectId {
        ObjectId::new(&NODE_LIFE, u64::from(self.id.get()))
    }

    /// A free node: nothing in it.
    fn empty(&self) {
        self.slots.iter().for_each(|slot| slot.set(0));
        self.tags.iter().for_each(|tags| tags.set(0));
        self.count.set(0);
        self.state.set(State::Free);
    }

    /// What it holds, and which of its lives it is in.
    fn absorb_into(&self, digest: &mut Digest) {
        digest.absorb(u64::from(self.id.get()) << 32 | u64::from(self.generation.get()));
        digest.absorb(u64::from(self.height.get()) << 8 | u64::from(self.count.get()));
        self.state.get().hash(digest);
        for (offset, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.get() != 0) {
            digest.absorb((offset as u64) << 32 | u64::from(slot.get()));
        }
        self.tags.iter().for_each(|tags| digest.absorb(tags.get()));
    }
}

/// A node as somebody found it: which node, in which of its lives.
#[derive(Clone, Copy)]
pub(crate) struct NodeRef<'m> {
    node: &'m Node,
    generation: u32,
}

impl<'m> NodeRef<'m> {
    pub(crate) fn node(self) -> &'m Node {
        self.node
    }

    /// I33, after an access: the node was not freed since it was found.
    #[inline(always)]
    pub(crate) fn check(self, cx: &Context) {
        cx.engine().touch(self.node.life(), OpKind::Load, Effect::NONE);
        if self.node.generation.get() != self.generation || self.node.state.get() == State::Free {
            self.freed(cx);
        }
    }

    #[cold]
    fn freed(self, cx: &Context) {
        let message = format!("{} is in radix node {}, which was freed", cx.id(), self.node.id());
        cx.engine().violation("I33", message);
    }
}

/// A retired node and what its slots held then (kept when the engine checks).
#[derive(Clone, Hash)]
struct Retired {
    id: u32,
    slots: Option<Box<[u32; MAP_SIZE]>>,
}

/// Every node of the machine.
pub(crate) struct Nodes {
    chunks: [OnceCell<Box<[Node]>>; CHUNKS],
    /// The lowest number never used.
    fresh: Cell<u32>,
    free: RefCell<Vec<u32>>,
    most: u32,
    preloads: Box<[RefCell<Vec<u32>>]>,
    retired: RefCell<Vec<Retired>>,
}

impl Keep for Nodes {
    fn keep(&self) -> Self {
        let kept = Self {
            fresh: self.fresh.keep(),
            free: self.free.keep(),
            preloads: self.preloads.keep(),
            retired: self.retired.keep(),
            ..Self::new(0, self.most)
        };
        (0..self.used()).for_each(|id| kept.get(id).set_back(self.get(id)));
        kept
    }

    fn set_back(&self, kept: &Self) {
        let (before, now) = (kept.used(), self.used());
        (0..before).for_each(|id| self.get(id).set_back(kept.get(id)));
        (before..now).for_each(|id| self.get(id).set_back(&Node::new(id)));
        self.fresh.set_back(&kept.fresh);
        self.free.set_back(&kept.free);
        self.preloads.set_back(&kept.preloads);
        self.retired.set_back(&kept.retired);
    }
}

impl Nodes {
    /// No nodes; at most `most` at a time, for a machine of `cpus` CPUs.
    pub(crate) fn new(cpus: usize, most: u32) -> Self {
        Self {
            chunks: [const { OnceCell::new() }; CHUNKS],
            fresh: Cell::new(0),
            free: RefCell::default(),
            most: most.min(FIRST_CHUNK * ((1 << CHUNKS) - 1)),
            preloads: (0..cpus).map(|_| RefCell::default()).collect(),
            retired: RefCell::default(),
        }
    }

    /// The node with this number.
    #[inline(always)]
    pub(crate) fn get(&self, id: u32) -> &Node {
        let chunk = (id / FIRST_CHUNK + 1).ilog2();
        let first = FIRST_CHUNK * ((1 << chunk) - 1);
        let nodes = self.chunks[chunk as usize]
            .get_or_init(|| (first..first + (FIRST_CHUNK << chunk)).map(Node::new).collect());
        &nodes[(id - first) as usize]
    }

    /// The node with this number, found just now through a slot.
    #[inline(always)]
    pub(crate) fn found(&self, id: u32) -> NodeRef<'_> {
        let node = self.get(id);
        NodeRef { node, generation: node.generation.get() }
    }

    /// Every node that was ever used, and which are free.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        let used = self.fresh.get().min(self.most);
        digest.absorb(u64::from(used));
        (0..used).for_each(|id| self.get(id).absorb_into(digest));
        self.free.borrow().hash(digest);
        self.preloads.iter().for_each(|kept| kept.borrow().hash(digest));
        self.retired.borrow().hash(digest);
    }

    fn new_node(&self) -> Option<u32> {
        let recycled = self.free.borrow_mut().pop();
        let id = recycled.or_else(|| {
            let fresh = self.fresh.get();
            self.fresh.set(fresh + 1);
            (fresh < self.most).then_some(fresh)
        })?;
        Some(id)
    }

    /// `radix_tree_preload`: enough nodes for one insertion by this CPU. False if there is no memory for them.
    pub(crate) fn preload(&self, cx: &Context) -> bool {
        let mut kept = self.preloads[usize::from(cx.cpu().id().0)].borrow_mut();
        if kept.len() < MAX_PATH {
            cx.engine().touch(ObjectId::new(&NODES, 0), OpKind::Store, Effect::NONE);
        }
        while kept.len() < MAX_PATH {
            let Some(id) = self.new_node() else { return false };
            kept.push(id);
        }
        cx.engine().note_found(&*kept);
        true
    }

    /// `radix_tree_node_alloc`: one of the nodes this CPU keeps; `None` if there is no memory.
    ///
    /// # Errors
    /// If the node is not free: a BUG.
    pub(crate) fn alloc(&self, cpu: CpuId) -> Result<Option<&Node>, &'static str> {
        let kept = self.preloads[usize::from(cpu.0)].borrow_mut().pop();
        let Some(id) = kept.or_else(|| self.new_node()) else { return Ok(None) };
        let node = self.get(id);
        if node.state.get() != State::Free {
            return Err("a node is handed out once");
        }
        node.state.set(State::InUse);
        Ok(Some(node))
    }

    /// `radix_tree_node_free`: the node, which nothing points to any more, is freed after a grace period.
    pub(crate) async fn retire(self: &Rc<Self>, cx: &Context, node: &Node, zone: &Zone) {
        node.state.set(State::Retired);
        let checks = cx.engine().config().checks;
        let slots = checks.then(|| Box::new(std::array::from_fn(|n| node.slots[n].get())));
        self.retired.borrow_mut().push(Retired { id: node.id(), slots });
        if zone.mutant(Mutant::NodeZeroedBeforeGrace) {
            node.slot(0).write_once(cx, 0).await; // MUTANT node-zeroed-before-grace: a lookup may be on its way to it
        }
        if zone.mutant(Mutant::NodeFreedNoGrace) {
            return self.rcu_free(cx.engine(), node.id()); // MUTANT node-freed-no-grace: no grace period
        }
        let (nodes, id) = (Rc::clone(self), node.id());
        cx.call_rcu(move |engine| nodes.rcu_free(engine, id)).await;
    }

    /// `radix_tree_node_rcu_free`: only empty nodes go back.
    fn rcu_free(&self, engine: &pagewalk_engine::Engine, id: u32) {
        let node = self.get(id);
        let mut retired = self.retired.borrow_mut();
        let place = retired.iter().position(|retired| retired.id == id).expect("a retired node");
        let kept = retired.swap_remove(place);
        if let Some(slots) = kept.slots
            && slots.iter().zip(&node.slots).any(|(then, now)| *then != now.get())
        {
            engine.violation("I34", format!("the slots of radix node {id} changed after its retirement: expected as they were until its grace period ends"));
        }
        engine.touch(node.life(), OpKind::Store, Effect::NONE);
        engine.touch(ObjectId::new(&NODES, 0), OpKind::Store, Effect::NONE);
        node.empty();
        node.generation.set(node.generation.get().wrapping_add(1));
        self.free.borrow_mut().push(id);
    }

    /// How many nodes wait for the end of their grace period, for observers.
    pub(crate) fn observe_retired(&self) -> usize {
        self.retired.borrow().len()
    }

    /// The numbers below this have been used.
    fn used(&self) -> u32 {
        self.fresh.get().min(self.most)
    }

    /// How many nodes are in trees, for observers.
    pub(crate) fn observe_in_use(&self) -> usize {
        (0..self.used()).filter(|&id| self.get(id).state.get() == State::InUse).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_are_set_back_are_handed_out_in_the_same_order() {
        let nodes = Nodes::new(2, 100);
        let take = |nodes: &Nodes| nodes.alloc(CpuId(0)).expect("it is free").expect("there are some").id();
        let inside = take(&nodes);
        nodes.get(inside).slots[5].set(77);
        let [freed, preloaded] = [(); 2].map(|()| nodes.new_node().expect("a new one"));
        nodes.free.borrow_mut().push(freed);
        nodes.preloads[0].borrow_mut().push(preloaded);
        let kept = nodes.keep();
        let order: Vec<_> = (0..4).map(|_| take(&nodes)).collect();
        nodes.get(order[3]).slots[0].set(1);
        nodes.get(order[3]).generation.set(9);
        nodes.get(inside).empty();
        nodes.free.borrow_mut().push(inside);
        nodes.retired.borrow_mut().push(Retired { id: order[2], slots: None });
        nodes.set_back(&kept);
        let node = nodes.get(inside);
        assert_eq!((node.slots[5].get(), node.state.get()), (77, State::InUse));
        assert_eq!((nodes.observe_in_use(), nodes.observe_retired()), (1, 0));
        let again: Vec<_> = (0..4).map(|_| take(&nodes)).collect();
        assert_eq!(again, order);
        let fresh = nodes.get(order[3]);
        assert_eq!((fresh.slots[0].get(), fresh.generation.get()), (0, 0), "as if it had never been used");
    }
}
