//! Observers of the invariants of file pages: in the cache, in address spaces, and on the disk.
//!
//! I7, I8, I10, I16, I18, I23, I24, I26 and I29 of pages of files, at quiescent moments.

use std::rc::Rc;

use pagewalk_mmu::{Pfn, Pte, Vaddr};
use pagewalk_pages::{PG_DIRTY, PG_LOCKED, PG_UPTODATE, PG_WRITEBACK, PageMapping};

use super::invariants::{AllUses, Uses};
use crate::fs::{Inode, InodeKind, pages_of};
use crate::kernel::Kernel;
use crate::mm::Vma;

impl Kernel {
    /// Notes where every cached page is.
    pub(super) fn collect_cached(&self, uses: &mut AllUses) {
        for inode in self.inodes.all() {
            for (index, pfn) in inode.mapping.observe_pages() {
                uses.entry(pfn).or_default().cached.push((inode.id(), index));
            }
        }
    }

    /// Every invariant of pages of files.
    pub(super) fn check_files(&self, uses: &AllUses) {
        let inodes = self.inodes.all();
        // I7, I10 and the tag of I24.
        inodes.iter().for_each(|inode| inode.mapping.check(&self.engine));
        debug_assert_eq!(self.cache.nr_file_dirty(), self.observe_dirty(uses), "the gauge is exact");
        for (&pfn, uses) in uses {
            if uses.cached.len() > 1 {
                self.engine.violation("I8", format!("{pfn:?} is in the cache at {:?}", uses.cached));
            }
            if let &[(inode, index), ..] = uses.cached.as_slice() {
                self.check_cached_page(pfn, &inodes[inode as usize - 1], index, uses);
            }
            for &(mm, address, pte) in &uses.ptes {
                self.check_mapped_page(pfn, mm, address, pte);
            }
        }
    }

    /// Dirty pages in the cache that have a disk behind them, counted.
    fn observe_dirty(&self, uses: &AllUses) -> u64 {
        let inodes = self.inodes.all();
        let counted = |(pfn, uses): &(&Pfn, &Uses)| {
            let of_disk = |&(inode, _): &(u32, u64)| inodes[inode as usize - 1].kind() == InodeKind::Disk;
            uses.cached.first().is_some_and(of_disk)
                && self.zone.memory.words(**pfn).flags().observe() >> PG_DIRTY & 1 == 1
        };
        uses.iter().filter(counted).count() as u64
    }

    fn check_cached_page(&self, pfn: Pfn, inode: &Rc<Inode>, index: u64, uses: &Uses) {
        let flags = self.zone.memory.words(pfn).flags().observe();
        let has = |bit: u8| flags >> bit & 1 == 1;
        let place = || format!("{pfn:?}, page {index} of {inode:?}");
        if has(PG_LOCKED) && has(PG_UPTODATE) {
            self.engine.violation("I23", format!("{}, is locked and nobody is in the kernel", place()));
        }
        let beyond = index >= pages_of(inode.i_size().observe());
        if beyond && has(PG_DIRTY) {
            self.engine.violation("I26", format!("{}, is beyond the end of the file and dirty", place()));
        }
        let dirty_pte = uses.ptes.iter().any(|(_, _, pte)| pte.is_dirty());
        let known = has(PG_DIRTY) || has(PG_WRITEBACK) || dirty_pte;
        if self.oracle().is_some() && has(PG_UPTODATE) && !beyond && !known {
            // Behind memory without a disk are zeros.
            let (stamp, disk) = (self.zone.memory.stamp(pfn), self.disk.content(&self.engine, inode, index));
            if stamp != disk {
                let message = format!("{}, is clean and holds {stamp:#x}; behind it is {disk:#x}", place());
                self.engine.violation("I16", message);
            }
        }
    }

    /// What one PTE may say of a page that an area with a file behind it maps.
    fn check_mapped_page(&self, pfn: Pfn, mm: u32, address: Vaddr, pte: Pte) {
        let Some(mm) = self.observe_mm(mm) else { return };
        let areas = mm.observe_areas();
        let area = areas.find_vma(address).filter(|vma| vma.range.contains(address));
        let Some(vma) = area else {
            self.engine.violation("I13", format!("{pfn:?} is mapped at {address:?}, where no area is"));
            return;
        };
        if let Some(file) = vma.file() {
            self.check_mapping(pfn, vma, file.inode(), address, pte);
        } else if !self.is_anon(pfn) {
            self.engine.violation("I7", format!("{pfn:?} in {} at {address:?} is a file's", vma.label()));
        }
    }

    fn check_mapping(&self, pfn: Pfn, vma: &Vma, inode: &Rc<Inode>, address: Vaddr, pte: Pte) {
        let page = self.zone.memory.words(pfn);
        let index = vma.index_of(address);
        let place = || format!("{pfn:?} at {address:?}, page {index} of {inode:?}");
        if index >= pages_of(inode.i_size().observe()) {
            self.engine.violation("I26", format!("{}, is mapped beyond the end of the file", place()));
        }
        if self.is_anon(pfn) {
            if vma.shared {
                self.engine.violation("I7", format!("{}, is anonymous in a shared area", place()));
            }
            return;
        }
        let ours = PageMapping::decode(page.mapping().observe()) == PageMapping::File(inode.mapping.id());
        if !ours || page.index().observe() != index {
            let (mapping, index) = (page.mapping().observe(), page.index().observe());
            let message = format!("{}, is mapped and has mapping {mapping} and index {index}", place());
            self.engine.violation("I7", message);
        }
        if pte.is_writable() && !vma.shared {
            self.engine.violation("I29", format!("{}, is writable in a private area", place()));
        }
        let dirty = page.flags().observe() >> PG_DIRTY & 1 == 1;
        if pte.is_writable() && inode.kind() == InodeKind::Disk && vma.shared && !dirty {
            self.engine.violation("I18", format!("{}, is writable and the page is clean", place()));
        }
    }
}
