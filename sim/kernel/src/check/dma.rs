//! Devices that write to the memory of programs, as the oracle sees them.

use pagewalk_mmu::{PG_SWAPCACHE, PageMapping, Pfn, Vaddr};

use crate::kernel::Kernel;
use crate::mm::Mm;

impl Kernel {
    /// A device has written to frame `pfn`, which was pinned for `address`. If that is still the page the program has
    /// there, the program ought to find what the device wrote; if not, nobody ever will.
    pub(crate) fn shadow_dma(&self, mm: &Mm, address: Vaddr, pfn: Pfn) {
        let Some(oracle) = self.oracle() else { return };
        if self.is_still_mapped(mm, address, pfn) {
            oracle.dma(mm.id(), address.vpn().0, self.hw.memory.stamp(pfn));
        }
    }

    /// Whether a touch of the address finds the frame: reclaim may have unmapped it, but cannot free it while it is pinned.
    fn is_still_mapped(&self, mm: &Mm, address: Vaddr, pfn: Pfn) -> bool {
        let words = self.hw.memory.words(pfn);
        let Some(pte) = self.observe_pte(mm.pgd, address) else { return false };
        if pte.is_present() {
            return pte.pfn() == pfn;
        }
        if let Some((moving, _)) = pte.migration_entry() {
            return moving == pfn;
        }
        if let Some(entry) = pte.swap_entry() {
            let cached = words.flags().observe() >> PG_SWAPCACHE & 1 == 1;
            return cached && words.private().observe() == entry;
        }
        let areas = mm.observe_areas();
        let area = areas.find_vma(address).filter(|vma| vma.range.contains(address) && vma.shared);
        area.is_some_and(|vma| {
            let file = vma.file().map(|file| PageMapping::File(file.inode().mapping.id()));
            file == Some(PageMapping::decode(words.mapping().observe()))
                && words.index().observe() == vma.index_of(address)
        })
    }
}
