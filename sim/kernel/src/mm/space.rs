//! `struct mm_struct`: one address space.

use std::cell::Cell;
use std::hash::Hash;
use std::rc::Rc;

use pagewalk_engine::{
    Class, Context, Digest, Effect, Engine, Guarded, Held, ObjectId, OpKind, RwSem, SpinLock, Word,
};
use pagewalk_mmu::{CpuMask, Pfn, Vaddr};

use super::vma::VmaTree;
use crate::kernel::Kernel;

/// `mm->mmap_sem`.
static MMAP_SEM: Class = Class::new(32, "mmap_sem");
/// `mm->page_table_lock`: the upper levels, and `vma->anon_vma`.
static PAGE_TABLE_LOCK: Class = Class::new(33, "mm->page_table_lock");
/// `mm->mm_users`.
static MM_USERS: Class = Class::new(35, "mm->mm_users");
/// `mm->cpu_vm_mask`.
static CPU_VM_MASK: Class = Class::new(36, "mm->cpu_vm_mask");
/// `mm->tlb_flush_pending` (Linux 4.13).
static TLB_FLUSH_PENDING: Class = Class::new(38, "mm->tlb_flush_pending");
/// `mm->context.tlb_gen` (Linux 4.14).
static TLB_GEN: Class = Class::new(37, "mm->tlb_gen");

/// `mm->has_pinned`.
static HAS_PINNED: Class = Class::new(63, "mm->has_pinned");
/// `list_empty(&mm->mmlist)`, negated.
static ON_MMLIST: Class = Class::new(45, "mm->mmlist");

/// The heap: where it begins and where `brk` has put its end.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Heap {
    pub(crate) start: Vaddr,
    pub(crate) end: Vaddr,
}

/// What a mapped page is (`PageAnon`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Anon,
    File,
}

/// An address space.
pub struct Mm {
    id: u32,
    /// The top-level page table.
    pub(crate) pgd: Pfn,
    pub(crate) mmap_sem: RwSem,
    pub(crate) areas: Guarded<VmaTree>,
    pub(crate) heap: Guarded<Option<Heap>>,
    pub(crate) page_table_lock: SpinLock,
    users: Cell<u32>,
    /// CPUs whose TLB may hold translations of this address space.
    pub(crate) cpu_vm_mask: CpuMask,
    tlb_gen: Cell<u64>,
    flush_pending: Cell<u32>,
    on_mmlist: Cell<bool>,
    /// Whether a page of it has ever been pinned for a device to write to (`mm->has_pinned`, Linux 5.9). It is set under `mmap_sem`,
    /// before there is a pin, and stays set; who asks, under `mmap_sem` for writing or the PTL, goes on to look at the page's count.
    has_pinned: Cell<bool>,
    /// The memory group that its pages are charged to; 0 none.
    pub(crate) group: Cell<u16>,
    /// Anonymous pages mapped, and pages of files. Counters of their own in Linux; they commute.
    pub(crate) anon_rss: Cell<u64>,
    pub(crate) file_rss: Cell<u64>,
    pub(crate) peak_rss: Cell<u64>,
}

pagewalk_engine::keep!(Mm: mmap_sem, areas, heap, page_table_lock, users, cpu_vm_mask, tlb_gen, flush_pending, on_mmlist, has_pinned,
    group, anon_rss, file_rss, peak_rss; fixed id, pgd);

impl Mm {
    /// `mm_alloc`: an empty address space with one user.
    pub async fn alloc(kernel: &Rc<Kernel>, cx: &Context) -> Rc<Self> {
        // Inside the kernel as far as the observers are concerned: the table is nobody's until it is registered.
        kernel.enters();
        let pgd = kernel.alloc_pgd(cx).await;
        let id = kernel.next_mm_id();
        let mmap_sem = RwSem::new(&MMAP_SEM, u64::from(id));
        let mm = Rc::new(Self {
            id,
            pgd,
            areas: Guarded::hashed(mmap_sem.id(), VmaTree::default(), |areas, digest| {
                areas.iter().for_each(|vma| vma.absorb_into(digest));
            }),
            heap: Guarded::new(mmap_sem.id(), None),
            mmap_sem,
            page_table_lock: SpinLock::new(&PAGE_TABLE_LOCK, u64::from(id)),
            users: Cell::new(1),
            cpu_vm_mask: CpuMask::new(&CPU_VM_MASK, u64::from(id)),
            tlb_gen: Cell::new(1),
            flush_pending: Cell::new(0),
            on_mmlist: Cell::new(false),
            has_pinned: Cell::new(false),
            group: Cell::new(0),
            anon_rss: Cell::new(0),
            file_rss: Cell::new(0),
            peak_rss: Cell::new(0),
        });
        kernel.register_mm(&mm);
        kernel.inside.set(kernel.inside.get() - 1);
        mm
    }

    /// Its number, never reused.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The most pages it had mapped at one time.
    pub fn peak_rss(&self) -> u64 {
        self.peak_rss.get()
    }

    /// One thread more lives in it (`atomic_inc(&mm->mm_users)`).
    pub async fn add_user(&self, cx: &Context) {
        self.users().fetch_add(cx, 1).await;
    }

    /// Its areas, for observers.
    pub fn observe_areas(&self) -> std::cell::Ref<'_, VmaTree> {
        self.areas.observe()
    }

    /// `mm->mm_users`: threads that live in it.
    pub(crate) fn users(&self) -> Word<'_, u32> {
        Word::new(&self.users, ObjectId::new(&MM_USERS, u64::from(self.id)))
    }

    /// `mm->context.tlb_gen`: raised by every flush, so that a CPU that keeps tagged translations over a switch
    /// knows whether they are still good.
    pub(crate) fn tlb_gen(&self) -> Word<'_, u64> {
        Word::new(&self.tlb_gen, ObjectId::new(&TLB_GEN, u64::from(self.id)))
    }

    /// `mm->tlb_flush_pending`: batches that are open and have not flushed to the end.
    pub(crate) fn tlb_flush_pending(&self) -> Word<'_, u32> {
        Word::new(&self.flush_pending, ObjectId::new(&TLB_FLUSH_PENDING, u64::from(self.id)))
    }

    /// Whether it is on `mmlist`.
    pub(crate) fn on_mmlist(&self) -> Word<'_, bool> {
        Word::new(&self.on_mmlist, ObjectId::new(&ON_MMLIST, u64::from(self.id)))
    }

    /// Whether a page of it has ever been pinned for a device to write to.
    pub(crate) fn has_pinned(&self, engine: &Engine) -> bool {
        let pinned = self.has_pinned.get();
        self.touch_pinned(engine, OpKind::Load, Effect { old: pinned.into(), new: pinned.into() });
        pinned
    }

    /// A page of it is about to be pinned for a device to write to.
    pub(crate) fn set_has_pinned(&self, engine: &Engine) {
        let before = self.has_pinned.replace(true);
        self.touch_pinned(engine, OpKind::Store, Effect { old: before.into(), new: 1 });
    }

    fn touch_pinned(&self, engine: &Engine, kind: OpKind, effect: Effect) {
        engine.touch(ObjectId::new(&HAS_PINNED, u64::from(self.id)), kind, effect);
    }

    /// From now on its pages are charged to memory group `group` (0: none). Before its first page.
    pub fn join_group(&self, group: u16) {
        self.group.set(group);
    }

    /// Its areas and its words, for observers. What its tables hold is the hardware's.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        digest.absorb(u64::from(self.id) << 32 | u64::from(self.pgd.0));
        for vma in self.areas.observe().iter() {
            vma.absorb_into(digest);
        }
        let heap = self.heap.observe().map_or((0, 0), |heap| (heap.start.0, heap.end.0));
        heap.hash(digest);
        digest.absorb(u64::from(self.users.get()) << 32 | u64::from(self.flush_pending.get()));
        self.cpu_vm_mask.absorb_into(digest);
        digest.absorb(self.tlb_gen.get());
        digest.absorb(u64::from(self.on_mmlist.get()) << 1 | u64::from(self.has_pinned.get()));
        digest.absorb(self.anon_rss.get());
        digest.absorb(self.file_rss.get());
    }

    fn rss(&self, kind: PageKind) -> &Cell<u64> {
        match kind {
            PageKind::Anon => &self.anon_rss,
            PageKind::File => &self.file_rss,
        }
    }

    /// One page more is mapped.
    pub(crate) fn add_rss(&self, kind: PageKind) {
        let rss = self.rss(kind);
        rss.set(rss.get() + 1);
        self.peak_rss.set(self.peak_rss.get().max(self.anon_rss.get() + self.file_rss.get()));
    }

    /// One page less is mapped.
    pub(crate) fn sub_rss(&self, kind: PageKind) {
        let rss = self.rss(kind);
        rss.set(rss.get() - 1);
    }
}

/// Proof that nobody else can reach an address space: its last user is gone (`mm_users` is 0), or it was just made.
/// Linux's `exit_mmap` takes no lock either.
pub(crate) struct LastUser<'a>(pub(crate) &'a Mm);

impl Held for LastUser<'_> {
    fn lock(&self) -> ObjectId {
        self.0.mmap_sem.id()
    }
    fn exclusive(&self) -> bool {
        true
    }
}
