//! `struct address_space`: the pages of one file that are in memory, and the lock of its tree.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use pagewalk_engine::{
    Class, Context, CpuId, Digest, Held, IpiHandler, ObjectId, RwSpinGuard, RwSpinLock, Shared, SpinGuard,
    SpinLock, Word,
};
use pagewalk_mmu::Pfn;
use pagewalk_pages::{Fix, PG_SWAPCACHE, PageMapping, Zone};

use crate::buffers::ReleasePolicy;
use crate::gauges::Gauges;
use crate::owner::entry_word;
use crate::radix::{Nodes, RadixTree, Tag};

/// The place of a page in its file, in pages.
pub type PageIndex = u64;

/// `mapping->tree_lock`.
pub static TREE_LOCK: Class = Class::new(68, "mapping->tree_lock");
/// `mapping->nrpages`.
static NRPAGES: Class = Class::new(69, "mapping->nrpages");

/// The page cache of one machine: the zone of its pages and the nodes of all its trees.
pub struct PageCache {
    /// The frames and what `struct page` says of them.
    pub zone: Rc<Zone>,
    /// The nodes of all its trees, which a grace period recycles.
    pub(crate) nodes: Rc<Nodes>,
    /// How many pages it has, for `/proc/vmstat` and for the limits of dirty memory.
    pub(crate) gauges: Gauges,
}

pagewalk_engine::keep!(PageCache: nodes, gauges; fixed zone);

impl PageCache {
    /// A cache without pages, with memory for `most_nodes` nodes of trees at a time (each has 64 slots).
    pub fn new(zone: &Rc<Zone>, most_nodes: u32) -> Rc<Self> {
        Rc::new(Self {
            zone: Rc::clone(zone),
            nodes: Rc::new(Nodes::new(zone.nr_cpus(), most_nodes)),
            gauges: Gauges::default(),
        })
    }

    /// A new address space without pages, known by a number from 1 to 2^31 - 1 that no other has.
    pub fn address_space(self: &Rc<Self>, id: u32) -> Rc<AddressSpace> {
        Rc::new(AddressSpace::new(Rc::clone(self), id))
    }

    /// Pages of files in the cache now (`NR_FILE_PAGES`).
    pub fn nr_file_pages(&self) -> u64 {
        self.gauges.nr_file_pages()
    }

    /// Those of them that are dirty and have a disk behind them (`NR_FILE_DIRTY`).
    pub fn nr_file_dirty(&self) -> u64 {
        self.gauges.nr_file_dirty()
    }

    /// The swap cache, which is an address space too: the place of a page is its swap entry.
    pub fn swapper_space(self: &Rc<Self>) -> Rc<AddressSpace> {
        let space = self.address_space(AddressSpace::SWAPPER);
        space.account_dirty.set(false);
        space
    }

    /// Pages of files under writeback now (`NR_WRITEBACK`).
    pub fn nr_writeback(&self) -> u64 {
        self.gauges.nr_writeback()
    }

    /// Pages in the swap cache now (`nr_swapcached`).
    pub fn nr_swapcached(&self) -> u64 {
        self.gauges.nr_swapcached()
    }

    /// How many nodes have left their trees and wait for lookups to leave them, for observers.
    pub fn observe_retired(&self) -> usize {
        self.nodes.observe_retired()
    }

    /// How many nodes are in trees, for observers.
    pub fn observe_nodes(&self) -> usize {
        self.nodes.observe_in_use()
    }
}

/// `struct address_space`: the cached pages of one file, or of all of swap.
///
/// `tree_lock` orders changes of the tree; lookups take RCU instead. `page->mapping` of each page names it,
/// so a page that was found without the lock tells whether it still belongs here.
pub struct AddressSpace {
    id: u32,
    /// The page cache that it is part of.
    pub(crate) cache: Rc<PageCache>,
    /// `page_tree`: pages by index, with tags. Stored to under `tree_lock`, loaded by anybody in a read
    /// section.
    pub(crate) tree: RadixTree,
    tree_lock: SpinLock,
    /// What `tree_lock` was before lookups went without it.
    tree_rwlock: RwSpinLock,
    nrpages: Cell<u64>,
    /// Whether its dirty pages have a way to the disk (`mapping_cap_account_dirty`).
    pub account_dirty: Cell<bool>,
    /// What the file system answers when it is asked to drop a page's buffers.
    pub release: Cell<ReleasePolicy>,
    /// Ends of writeback that wait for who holds the tree.
    pub(crate) ended: RefCell<Vec<(CpuId, IpiHandler)>>,
}

pagewalk_engine::keep!(AddressSpace: tree, tree_lock, tree_rwlock, nrpages, account_dirty, release, ended; fixed id, cache);

impl AddressSpace {
    /// The number of the swap cache.
    pub const SWAPPER: u32 = (1 << 31) - 1;

    /// Whether it is the swap cache.
    #[inline]
    pub fn is_swapper(&self) -> bool {
        self.id == Self::SWAPPER
    }

    fn new(cache: Rc<PageCache>, id: u32) -> Self {
        Self {
            id,
            cache,
            tree: RadixTree::new(id),
            tree_lock: SpinLock::new(&TREE_LOCK, u64::from(id)),
            tree_rwlock: RwSpinLock::new(&TREE_LOCK, u64::from(id)),
            nrpages: Cell::new(0),
            account_dirty: Cell::new(true),
            release: Cell::default(),
            ended: RefCell::default(),
        }
    }

    /// Outside a run: `pfn` is at `index`, with the cache's reference added to its count.
    ///
    /// # Panics
    /// If the place is taken, or there is no memory for a node.
    pub fn set_up_page(&self, index: PageIndex, pfn: Pfn) {
        assert!(self.tree.set_up(self.nodes(), index, pfn), "index {index} can be filled");
        let words = self.zone().memory.words(pfn);
        words.count().set_up(words.count().observe() + 1);
        if self.is_swapper() {
            words.flags().set_up(words.flags().observe() | 1 << PG_SWAPCACHE);
            words.private().set_up(entry_word(index));
        } else {
            words.mapping().set_up(self.page_mapping());
            words.index().set_up(index);
        }
        self.nrpages.set(self.nrpages.get() + 1);
        self.note_added();
    }

    /// The number of its inode, from 1; [`Self::SWAPPER`] for the swap cache. A number is never used again,
    /// so a page of a file that has gone names no other.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What `page->mapping` of its pages holds.
    #[inline]
    pub fn page_mapping(&self) -> u32 {
        PageMapping::File(self.id).encode()
    }

    /// The zone its pages are in.
    #[inline]
    pub fn zone(&self) -> &Rc<Zone> {
        &self.cache.zone
    }

    #[inline(always)]
    /// Where its tree gets nodes from.
    pub(crate) fn nodes(&self) -> &Rc<Nodes> {
        &self.cache.nodes
    }

    /// `mapping->nrpages`: written under `tree_lock`, read by anybody.
    #[inline]
    pub fn nrpages(&self) -> Word<'_, u64> {
        Word::new(&self.nrpages, ObjectId::new(&NRPAGES, u64::from(self.id)))
    }

    /// `spin_lock_irq(&mapping->tree_lock)`; `write_lock_irq` before 2.6.27.
    pub(crate) async fn lock_tree<'a>(&'a self, cx: &'a Context) -> TreeGuard<'a> {
        cx.local_irq_disable();
        let lock = if self.zone().switches().has(Fix::LocklessLookup) {
            Lock::Spin(self.tree_lock.lock(cx).await)
        } else {
            Lock::Rw(self.tree_rwlock.write_lock(cx).await)
        };
        self.note_private(cx);
        TreeGuard { lock, cx, mapping: self }
    }

    /// Who has the lock reads what belongs to it without a step.
    fn note_private(&self, cx: &Context) {
        if cx.engine().exploring() {
            self.tree.note_private(cx.engine(), self.nodes());
        }
    }

    /// `read_lock_irq(&mapping->tree_lock)`: how lookups kept removers out before 2.6.27.
    pub(crate) async fn read_lock_tree<'a>(&'a self, cx: &'a Context) -> TreeGuard<'a> {
        cx.local_irq_disable();
        let lock = Lock::Rw(self.tree_rwlock.read_lock(cx).await);
        self.note_private(cx);
        TreeGuard { lock, cx, mapping: self }
    }

    /// Whether somebody holds the tree's lock, for observers.
    pub fn tree_is_locked(&self) -> bool {
        self.tree_lock.is_locked() || self.tree_rwlock.is_locked()
    }

    /// The page at `index`, for observers.
    pub fn observe(&self, index: PageIndex) -> Option<Pfn> {
        self.tree.observe(self.nodes(), index)
    }

    /// Every page with its index, in order, for observers.
    pub fn observe_pages(&self) -> Vec<(PageIndex, Pfn)> {
        self.tree.observe_all(self.nodes()).into_iter().map(|(index, pfn, _)| (index, pfn)).collect()
    }

    /// The indexes whose slots have `tag`, in order, for observers.
    pub fn observe_tag(&self, tag: Tag) -> Vec<PageIndex> {
        let all = self.tree.observe_all(self.nodes());
        all.into_iter().filter(|&(_, _, tags)| tags >> tag as u32 & 1 != 0).map(|(index, ..)| index).collect()
    }

    /// How many levels of nodes the tree has, for observers; 0 is an item in the root, or nothing.
    pub fn observe_height(&self) -> u8 {
        self.tree.observe_height()
    }
}

impl Shared for AddressSpace {
    /// The tree, and what belongs to it.
    fn absorb_into(&self, digest: &mut Digest) {
        self.tree.absorb_into(digest);
        digest.absorb(self.nrpages.get());
        self.ended.borrow().iter().for_each(|(cpu, _)| digest.absorb(u64::from(cpu.0)));
    }
}

impl Shared for PageCache {
    /// What no address space has to itself: the nodes of all trees, and the gauges.
    fn absorb_into(&self, digest: &mut Digest) {
        self.nodes.absorb_into(digest);
        self.gauges.absorb_into(digest);
    }
}

impl fmt::Debug for AddressSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address_space {} of {} pages", self.id, self.nrpages.get())
    }
}

enum Lock<'a> {
    Spin(SpinGuard<'a>),
    Rw(RwSpinGuard<'a>),
}

/// `tree_lock`, held with interrupts off.
pub(crate) struct TreeGuard<'a> {
    lock: Lock<'a>,
    cx: &'a Context,
    mapping: &'a AddressSpace,
}

impl TreeGuard<'_> {
    /// `spin_unlock_irq`. Interrupts that wanted the lock meanwhile go on.
    pub(crate) async fn unlock(self) {
        match self.lock {
            Lock::Spin(guard) => guard.unlock().await,
            Lock::Rw(guard) => guard.unlock().await,
        }
        self.mapping.let_ended_go_on(self.cx.engine());
        self.cx.local_irq_enable();
    }
}

impl Held for TreeGuard<'_> {
    fn lock(&self) -> ObjectId {
        match &self.lock {
            Lock::Spin(guard) => guard.lock(),
            Lock::Rw(guard) => guard.lock(),
        }
    }
    fn exclusive(&self) -> bool {
        match &self.lock {
            Lock::Spin(guard) => guard.exclusive(),
            Lock::Rw(guard) => guard.exclusive(),
        }
    }
}
