//! Observers of the invariants: they look at the whole machine when no context is inside the kernel.
//!
//! I2, I5, I13, I19, I20, I21, I29 and I32 by full scan, and those of pages of files and of swap; I1, I3, I28 and lost references are
//! noticed where they happen.

use std::collections::BTreeMap;
use std::rc::Rc;

use pagewalk_engine::CpuId;
use pagewalk_mmu::{Pfn, Pte, Root, TlbEntry, Vaddr, VaddrRange};
use pagewalk_pages::{PG_PRIVATE, PageMapping};
use pagewalk_swap::SwapEntry;

use crate::kernel::Kernel;
use crate::mm::{Mm, Vma};
use crate::task::Task;

/// Quiescent moments between two scans of the whole machine.
const SCAN_EVERY: u32 = 512;

/// What the tables of all address spaces, and the trees of all files, say of one frame.
#[derive(Default)]
pub(super) struct Uses {
    /// PTEs that map it, each with its address space and address.
    pub(super) ptes: Vec<(u32, Vaddr, Pte)>,
    /// Whether it is a table.
    table: bool,
    /// Where it is in the page cache: inode and page.
    pub(super) cached: Vec<(u32, u64)>,
    /// Where it is in the swap cache.
    pub(super) swapped: Vec<SwapEntry>,
    /// Pagevecs that hold it.
    pub(super) pagevecs: usize,
}

/// What every frame in use is used for.
pub(super) type AllUses = BTreeMap<Pfn, Uses>;

/// How many PTEs name each swap entry.
pub(super) type SwapUses = BTreeMap<SwapEntry, u32>;

impl Kernel {
    /// A context enters the kernel.
    pub(crate) fn enters(&self) {
        self.inside.set(self.inside.get() + 1);
    }

    /// Whether no context is inside the kernel, so that nothing is half done.
    pub fn is_quiescent(&self) -> bool {
        self.inside.get() == 0
    }

    /// A context leaves the kernel; `changed` is the range whose PTEs its call reduced.
    ///
    /// If no other context is inside, nothing is half done: then the observers may judge. Where schedules are explored they judge
    /// at the end: whether somebody is inside now may differ between schedules that are otherwise the same.
    pub(crate) fn leaves(&self, current: &Task, changed: Option<VaddrRange>) {
        self.inside.set(self.inside.get() - 1);
        if !self.engine.config().checks || self.inside.get() > 0 || self.engine.exploring() {
            return;
        }
        if let Some(range) = changed {
            self.check_tlbs(&current.mm(), range);
        }
        self.until_check.set(self.until_check.get() + 1);
        if self.until_check.get() >= SCAN_EVERY {
            self.until_check.set(0);
            self.check_machine();
        }
    }

    /// The last address space is about to go: one look at the whole machine while there is something to see.
    pub(crate) fn check_before_exit(&self) {
        let judges = self.engine.config().checks && !self.engine.exploring();
        if judges && self.inside.get() == 0 && self.mms.borrow().len() == 1 {
            self.check_machine();
        }
    }

    /// I19, I20: no CPU can use a translation of `range` that its PTE does not grant.
    fn check_tlbs(&self, mm: &Mm, range: VaddrRange) {
        for (number, core) in self.hw.cores().iter().enumerate() {
            let Some(root) = core.root().filter(|root| root.table == mm.pgd) else { continue };
            for (tag, entry) in core.tlb().borrow().iter() {
                let usable = tag.asid.is_none_or(|asid| asid == root.asid);
                if usable && range.contains(tag.page) {
                    self.check_entry(CpuId(number as u16), root, tag.page, &entry);
                }
            }
        }
    }

    fn check_entry(&self, cpu: CpuId, root: Root, page: Vaddr, entry: &TlbEntry) {
        let pte = self.observe_pte(root.table, page);
        let granted = pte.is_some_and(|pte| {
            pte.is_present()
                && pte.pfn() == entry.frame
                && (pte.is_writable() || !entry.writable)
                && (pte.is_executable() || !entry.executable)
                && (pte.is_user() || !entry.user)
        });
        if !granted {
            self.engine.violation(
                "I20",
                format!("the TLB of {cpu} grants {entry:?} at {page:?}; the tables say {pte:?}"),
            );
        }
    }

    /// The PTE for `address` under `root`, without a step.
    pub(super) fn observe_pte(&self, root: Pfn, address: Vaddr) -> Option<Pte> {
        let format = self.hw.format();
        let mut table = root;
        for level in (1..=format.levels).rev() {
            let entry = self.hw.tables.entry(table, format.index(address, level)).observe();
            if level == 1 {
                return Some(entry);
            }
            if !entry.is_present() {
                return None;
            }
            table = entry.pfn();
        }
        None
    }

    /// Every invariant that is a matter of counting, over the whole machine. [Quiescent](Kernel::is_quiescent) moments only.
    pub fn check_machine(&self) {
        let mms: Vec<Rc<Mm>> = self.mms.borrow().values().filter_map(std::rc::Weak::upgrade).collect();
        let (mut uses, mut swap_uses) = (AllUses::new(), SwapUses::new());
        for mm in &mms {
            let present = self.collect(mm, &mut uses, &mut swap_uses);
            let counted = (mm.anon_rss.get(), mm.file_rss.get());
            if present != counted {
                let message = format!(
                    "mm {} has {present:?} anonymous pages and pages of files mapped, and counts {counted:?}",
                    mm.id()
                );
                self.engine.violation("I21", message);
            }
            let limit = VaddrRange::new(Vaddr(0), self.hw.format().user_end()).expect("a range");
            self.check_tlbs(mm, limit);
        }
        self.collect_cached(&mut uses);
        self.collect_swapped(&mut uses);
        for (&pfn, uses) in &uses {
            self.check_page(pfn, uses);
        }
        self.check_files(&uses);
        self.check_swap(&uses, swap_uses);
        self.check_lru();
        let used = u64::from(self.zone.memory.frames()) - 1 - u64::from(self.zone.free_frames());
        if used != uses.len() as u64 {
            self.engine.violation("I27", format!("{used} frames are in use, {} are reachable", uses.len()));
        }
    }

    /// Notes what the tables of one address space use. Yields how many anonymous pages and pages of files they map.
    fn collect(&self, mm: &Mm, uses: &mut AllUses, swap_uses: &mut SwapUses) -> (u64, u64) {
        let format = *self.hw.format();
        let mut present = (0, 0);
        uses.entry(mm.pgd).or_default().table = true;
        let mut open = vec![(mm.pgd, format.levels, Vaddr(0))];
        while let Some((table, level, base)) = open.pop() {
            for (index, entry) in self.hw.tables.observe_used(table) {
                let address = Vaddr(base.0 + u64::from(index) * format.span(level));
                if !entry.is_present() {
                    self.collect_not_present(mm, address, entry, swap_uses);
                    continue;
                }
                let uses = uses.entry(entry.pfn()).or_default();
                if level == 1 {
                    uses.ptes.push((mm.id(), address, entry));
                    match self.is_anon(entry.pfn()) {
                        true => present.0 += 1,
                        false => present.1 += 1,
                    }
                } else {
                    uses.table = true;
                    open.push((entry.pfn(), level - 1, address));
                }
            }
        }
        present
    }

    /// `PageAnon`.
    pub(super) fn is_anon(&self, pfn: Pfn) -> bool {
        let mapping = self.zone.memory.words(pfn).mapping().observe();
        matches!(PageMapping::decode(mapping), PageMapping::Anon(_))
    }

    fn check_page(&self, pfn: Pfn, uses: &Uses) {
        let page = self.zone.memory.words(pfn);
        let (count, mapcount) = (page.count().observe(), page.mapcount().observe());
        let mapped = uses.ptes.len();
        let buffers = page.flags().observe() >> PG_PRIVATE & 1 == 1;
        let caches = uses.cached.len() + uses.swapped.len();
        let owners = mapped + usize::from(uses.table) + caches + uses.pagevecs + usize::from(buffers);
        if count != owners as i32 {
            let message = format!(
                "{pfn:?} has count {count}, {mapped} PTEs, table: {}, in the cache at {:?}, in swap at {:?}, in {} pagevecs, \
                 buffers: {buffers}",
                uses.table, uses.cached, uses.swapped, uses.pagevecs
            );
            self.engine.violation("I5", message);
        }
        if mapcount != mapped as i32 {
            self.engine.violation("I13", format!("{pfn:?} has map count {mapcount}, {mapped} PTEs name it"));
        }
        if self.is_anon(pfn) && mapped > 1 && uses.ptes.iter().any(|(_, _, pte)| pte.is_writable()) {
            self.engine.violation("I29", format!("{pfn:?} is shared and writable: {:?}", uses.ptes));
        }
        if mapped > 0 {
            self.check_rmap(pfn, uses);
        }
    }

    /// I29, at the moment when an anonymous page gets one PTE more, or one that is writable: if more than one maps it, none is
    /// writable. The PTLs are held, so nobody else's can be half done.
    pub(crate) fn check_exclusive(&self, pfn: Pfn) {
        if !self.engine.config().checks {
            return;
        }
        let index = self.zone.memory.words(pfn).index().observe();
        let places = self.observe_rmap(pfn).unwrap_or_default();
        // While areas merge, two of them can cover one address.
        let at = |(mm, vma): &(Rc<Mm>, Rc<Vma>)| vma.address_of(index).map(|at| ((mm.id(), at), mm.pgd));
        let roots: BTreeMap<(u32, Vaddr), Pfn> = places.iter().filter_map(at).collect();
        let pte = |(&(_, at), &pgd): (&(u32, Vaddr), &Pfn)| self.observe_pte(pgd, at);
        let ptes: Vec<Pte> =
            roots.iter().filter_map(pte).filter(|pte| pte.is_present() && pte.pfn() == pfn).collect();
        if ptes.len() > 1 && ptes.iter().any(|pte| pte.is_writable()) {
            self.engine.violation("I29", format!("{pfn:?} is mapped by {ptes:?}: shared, and writable"));
        }
    }

    /// The areas that may map a page, and whose they are; `None` if the page is nobody's.
    fn observe_rmap(&self, pfn: Pfn) -> Option<Vec<(Rc<Mm>, Rc<Vma>)>> {
        let page = self.zone.memory.words(pfn);
        match PageMapping::decode(page.mapping().observe()) {
            PageMapping::Anon(id) => self.anon_vmas.get(id).map(|anon_vma| {
                let areas = anon_vma.observe().into_iter();
                areas.filter_map(|(mm, vma)| Some((self.observe_mm(mm)?, vma))).collect()
            }),
            PageMapping::File(id) => {
                self.inode_of(id).map(|inode| inode.i_mmap.observe(page.index().observe()))
            }
            PageMapping::None => None,
        }
    }

    /// I32: the reverse mapping finds exactly the PTEs that map the page.
    fn check_rmap(&self, pfn: Pfn, uses: &Uses) {
        let index = self.zone.memory.words(pfn).index().observe();
        let Some(areas) = self.observe_rmap(pfn) else {
            self.engine.violation("I7", format!("{pfn:?} is mapped and belongs to nobody"));
            return;
        };
        let mut found = 0;
        for (mm, vma) in areas {
            let Some(address) = vma.address_of(index) else { continue };
            let pte = self.observe_pte(mm.pgd, address);
            found += usize::from(pte.is_some_and(|pte| pte.is_present() && pte.pfn() == pfn));
        }
        if found != uses.ptes.len() {
            let message =
                format!("the reverse mapping finds {found} of the {} PTEs of {pfn:?}", uses.ptes.len());
            self.engine.violation("I32", message);
        }
    }
}
