//! Devices that write to the memory of programs, as the oracle sees them.

use pagewalk_mmu::{Pfn, Vaddr};

use crate::kernel::Kernel;
use crate::mm::Mm;

impl Kernel {
    /// A device has written to frame `pfn`, which was pinned for `address`. If that is still the page the program has
    /// there, the program ought to find what the device wrote; if not, nobody ever will.
    pub(crate) fn shadow_dma(&self, mm: &Mm, address: Vaddr, pfn: Pfn) {
        let Some(oracle) = self.oracle() else { return };
        if self.observe_pte(mm.pgd, address).is_some_and(|pte| pte.pfn() == pfn) {
            oracle.dma(mm.id(), address.vpn().0, self.hw.memory.stamp(pfn));
        }
    }
}
