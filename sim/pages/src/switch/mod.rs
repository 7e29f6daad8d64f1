//! Which kernel: the fixes that came after the 2.6.27 design, and the mutants, each a named switch.
//!
//! A fix is a change that Linux made later; presets are sets of fixes. A mutant is the kernel wrong by one step: it is
//! applied on top of a preset and consulted at exactly that step, where it is one visible line.

mod catalogue;

use std::fmt;

use crate::Zone;

use catalogue::{FIXES, MUTANTS};
pub use catalogue::{FixInfo, MutantInfo};

/// A change that Linux made and that this kernel can be without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fix {
    /// A zapper that finds nothing to flush flushes all the same while another's flush is pending. Without it two
    /// threads that discard one range at a time can leave a stale translation behind when the second call returns.
    FlushNested,
    /// A write fault reuses a read-only page only if the entry's is the one reference, not merely the one mapping.
    /// Without it a page that another process has unmapped, and whose flush is pending, is written where that
    /// process's other threads still read it through their TLBs.
    ReuseByCount,
    /// A CPU that switches leaves the old address space's mask only when the new tables are loaded. Without it
    /// there is a moment at which flushes pass over a CPU that still has the old tables.
    LeaveMaskLast,
    /// find_get_page takes a speculative reference and no lock. Without it (Linux 2.6.22) lookups take tree_lock
    /// for reading and removers compare the count under it.
    LocklessLookup,
    /// A gang lookup that meets a frozen page reads the slot again. Without it the compiler may keep the value, and
    /// the lookup spins on a page that has left the cache until somebody allocates it.
    RereadSlot,
    /// When the tree shrinks to its first item, the retired node's slot says `look again`. Without it a lookup that
    /// kept the slot's address goes on seeing the old page there: it spins for ever, or returns a page that is a
    /// stranger's by then.
    RetiredSlotRetry,
    /// Unmapping a dirty page of a shared file flushes the TLBs before the page table's lock is released. Without
    /// it a store through a stale translation follows the cleaning of the page and is lost.
    FlushUnderPtl,
    /// end_page_writeback holds a reference until it has woken the waiters. Without it the page may be freed and
    /// reused between the clearing of PG_writeback and the wake.
    WritebackReference,
    /// A write fault on a shared file marks the page dirty before it unlocks it. Without it a truncation comes
    /// between, and a page that has left its file is marked dirty.
    DirtyBeforeUnlock,
    /// get_user_pages remembers that it broke a copy-on-write instead of forgetting that it wanted to write.
    /// Without it a discard between its two looks lets it write the file's own page.
    FollWriteCow,
    /// Who punches a hole keeps others from bringing pages into the cache until the blocks are freed
    /// (`invalidate_lock`). Without it a fault or a read brings a page back whose block is about to go, and the hole has
    /// old contents.
    InvalidateLock,
    /// A fault that has waited for the lock of a page in the swap cache looks whether it is still there at the same
    /// entry. Without it the entry may have been freed and used again: the fault maps a page that is not the entry's
    /// any more.
    SwapinEntryRecheck,
    /// A page leaves the swap cache when no entry of a page table names its swap entry, whoever has references to the
    /// page. Without it the references are counted, and a stray one keeps the page and its entry until reclaim comes
    /// by.
    TryToFreeSwap,
    /// swapoff deletes a page from the swap cache only if it is still at the entry that is being freed. Without it a
    /// page that left and came back at an entry of another area is deleted from there.
    SwapoffRecheck,
    /// Who looks at a swap area without the lock holds swapoff off until it is done. Without it a fault or a zap uses
    /// the map of an area that swapoff has freed.
    GetSwapDevice,
    /// Migration looks for its entries under the page table's lock. Without it the unlocked look can miss an entry
    /// that mremap is moving, which then names a page that is gone.
    MigrationPteLocked,
    /// mremap moves entries of anonymous memory under the lock of the reverse mapping. Without it a walk of the
    /// reverse mapping can look at the new place before and at the old place after the move, and miss the entry.
    MovePtesRmapLock,
    /// fork copies an anonymous page that a device is filling, instead of sharing it until somebody stores to it. Without it
    /// the first store of the parent moves the parent to a copy: the child has the page that the device fills, and the
    /// parent never sees what it has read.
    ForkCopiesPinned,
    /// An anonymous page that a device is filling is nobody else's, and stays where it is mapped: reclaim and migration leave it, and
    /// a store to it needs no copy. Without it a store to a page that has been to swap and back meanwhile, or was read-only for a
    /// while, moves the program to a copy, and it never sees what it has read.
    AnonExclusive,
}

/// A kernel wrong by one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mutant {
    /// The lookup does not compare the slot again after it has taken its reference (step 3).
    SkipRecheck,
    /// The lookup increments the count whatever it is, also where it is 0 (step 2).
    PlainInc,
    /// The remover compares the count and then stores 0, two steps, instead of freezing it by compare-and-swap (step A).
    CheckThenRemove,
    /// A remover that finds the frozen page dirty leaves without restoring its count.
    FreezeLeakDirty,
    /// A gang lookup keeps the address of a slot in a node that a shrinking tree has dropped, and spins on the old
    /// page.
    StaleSlotAfterShrink,
    /// A lookup compares the slot it kept in a dropped node, which still shows a page that is a stranger's by now.
    StaleSlotWrongPage,
    /// A node that leaves the tree is emptied at once, while lookups may still be in it.
    NodeZeroedBeforeGrace,
    /// A node that leaves the tree is freed at once, without a grace period.
    NodeFreedNoGrace,
    /// A page is put into the tree before its mapping, index, lock and the cache's reference are set.
    PublishBeforeInit,
    /// A new owner of a page stores its count a second time, over a reference that a lookup has added meanwhile.
    SetCountClobber,
    /// A fault does not compare with the end of the file again once it holds the page's lock.
    FaultNoIsizeRecheck,
    /// A page is put when its entry is cleared, before the TLBs are flushed.
    ZapFreeBeforeFlush,
    /// Unmapping reads an entry and then stores none, instead of exchanging it: a dirty bit that the hardware sets
    /// between is lost.
    ZapDropDirty,
    /// A copy-on-write fault takes the old page's mapping away before the entry is switched and the TLBs are flushed.
    WpRmapBeforeFlush,
    /// A swap-in frees its swap entry and unlocks the page before it stores the entry and counts the mapping.
    SwapFreeBeforeRmap,
    /// Reclaim stores a swap entry in a page table and counts it only after the page table's lock is released.
    SwapPteBeforeDup,
    /// A page is taken off the LRU lists with a plain increment of its count, also where it is 0.
    LruIsolatePlainInc,
    /// A waiter for the end of a writeback does not look again when it is woken.
    WritebackWakeOnce,
    /// A CPU joins the mask of an address space only after it has loaded the tables.
    SwitchMmBitLate,
    /// fork does not put the child on the list of address spaces that swapoff looks through.
    SwapoffMissesMm,
}

impl Fix {
    /// Every fix.
    pub const ALL: [Self; 19] = [
        Self::FlushNested,
        Self::ReuseByCount,
        Self::LeaveMaskLast,
        Self::LocklessLookup,
        Self::RereadSlot,
        Self::RetiredSlotRetry,
        Self::FlushUnderPtl,
        Self::WritebackReference,
        Self::DirtyBeforeUnlock,
        Self::FollWriteCow,
        Self::InvalidateLock,
        Self::SwapinEntryRecheck,
        Self::TryToFreeSwap,
        Self::SwapoffRecheck,
        Self::GetSwapDevice,
        Self::MigrationPteLocked,
        Self::MovePtesRmapLock,
        Self::ForkCopiesPinned,
        Self::AnonExclusive,
    ];

    /// What is told of it.
    #[must_use]
    pub const fn info(self) -> &'static FixInfo {
        &FIXES[self as usize]
    }

    /// The fix of this name; `-` is read as `_`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('-', "_");
        Self::ALL.into_iter().find(|fix| fix.info().name == name)
    }
}

impl Mutant {
    /// Every mutant.
    pub const ALL: [Self; 20] = [
        Self::SkipRecheck,
        Self::PlainInc,
        Self::CheckThenRemove,
        Self::FreezeLeakDirty,
        Self::StaleSlotAfterShrink,
        Self::StaleSlotWrongPage,
        Self::NodeZeroedBeforeGrace,
        Self::NodeFreedNoGrace,
        Self::PublishBeforeInit,
        Self::SetCountClobber,
        Self::FaultNoIsizeRecheck,
        Self::ZapFreeBeforeFlush,
        Self::ZapDropDirty,
        Self::WpRmapBeforeFlush,
        Self::SwapFreeBeforeRmap,
        Self::SwapPteBeforeDup,
        Self::LruIsolatePlainInc,
        Self::WritebackWakeOnce,
        Self::SwitchMmBitLate,
        Self::SwapoffMissesMm,
    ];

    /// What is told of it.
    #[must_use]
    pub const fn info(self) -> &'static MutantInfo {
        &MUTANTS[self as usize]
    }

    /// The mutant of this name; `_` is read as `-`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        Self::ALL.into_iter().find(|mutant| mutant.info().name == name)
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.info().name)
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.info().name)
    }
}

/// The fixes a kernel has and the mutants it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switches {
    fixes: u32,
    mutants: u32,
}

impl Switches {
    /// The kernel with every fix: what replay uses unless told otherwise.
    pub const FIXED: Self = Self { fixes: (1 << Fix::ALL.len()) - 1, mutants: 0 };
    /// Linux 2.6.27 as released, with its latent bugs: the lockless lookup and nothing that came later.
    pub const LINUX_2_6_27: Self = Self { fixes: 1 << Fix::LocklessLookup as u8, mutants: 0 };
    /// Before the lockless lookup: 2.6.27 with the locking of the page cache of Linux 2.6.22.
    pub const LINUX_2_6_22: Self = Self { fixes: 0, mutants: 0 };
    /// The presets by name, the default first.
    pub const PRESETS: [(&'static str, Self); 3] =
        [("fixed", Self::FIXED), ("linux-2.6.27", Self::LINUX_2_6_27), ("linux-2.6.22", Self::LINUX_2_6_22)];

    /// Whether the kernel has `fix`.
    #[inline(always)]
    #[must_use]
    pub const fn has(self, fix: Fix) -> bool {
        self.fixes & (1 << fix as u8) != 0
    }

    /// Whether the kernel carries `mutant`.
    #[inline(always)]
    #[must_use]
    pub const fn mutant(self, mutant: Mutant) -> bool {
        self.mutants & (1 << mutant as u8) != 0
    }

    /// The same with `fix`.
    #[must_use]
    pub const fn with(self, fix: Fix) -> Self {
        Self { fixes: self.fixes | (1 << fix as u8), ..self }
    }

    /// The same without `fix`.
    #[must_use]
    pub const fn without(self, fix: Fix) -> Self {
        Self { fixes: self.fixes & !(1 << fix as u8), ..self }
    }

    /// The same carrying `mutant`, and without the fix that the mutant leaves out.
    #[must_use]
    pub const fn with_mutant(self, mutant: Mutant) -> Self {
        let mutated = Self { mutants: self.mutants | (1 << mutant as u8), ..self };
        match mutant.info().without {
            Some(fix) => mutated.without(fix),
            None => mutated,
        }
    }

    /// Of the mutants it carries, those that `reached` has not: a bit each, as [`Zone::reached_mutants`] yields them.
    pub fn mutants_beyond(self, reached: u32) -> impl Iterator<Item = Mutant> {
        self.mutants().filter(move |&mutant| reached & (1 << mutant as u8) == 0)
    }

    /// The mutants it carries.
    pub fn mutants(self) -> impl Iterator<Item = Mutant> {
        Mutant::ALL.into_iter().filter(move |&mutant| self.mutant(mutant))
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self::FIXED
    }
}

impl Zone {
    /// The kernel that manages the zone: what its paths ask at the steps that differ.
    #[inline(always)]
    pub fn switches(&self) -> Switches {
        self.switches.get()
    }

    /// Whether the kernel that runs carries `mutant`; asked exactly where the mutant goes another way, and noted if it does.
    #[inline(always)]
    pub fn mutant(&self, mutant: Mutant) -> bool {
        let carried = self.switches().mutant(mutant);
        if carried {
            self.reached.set(self.reached.get() | 1 << mutant as u8);
        }
        carried
    }

    /// The mutants whose line was reached since the machine was made or [`Self::forget_reached`]: a bit each, by number.
    pub fn reached_mutants(&self) -> u32 {
        self.reached.get()
    }

    /// What was reached so far was only the way to where something begins.
    pub fn forget_reached(&self) {
        self.reached.set(0);
    }

    /// Chooses the kernel. Before the first step: a kernel does not change while it runs.
    pub fn set_switches(&self, switches: Switches) {
        self.switches.set(switches);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_is_found_by_its_own_name_only() {
        for fix in Fix::ALL {
            assert_eq!(Fix::from_name(fix.info().name), Some(fix));
        }
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::from_name(mutant.info().name), Some(mutant));
        }
        assert_eq!(Fix::from_name("skip-recheck"), None);
    }

    #[test]
    fn presets_differ_by_the_fixes_they_are_named_after() {
        assert!(Fix::ALL.into_iter().all(|fix| Switches::FIXED.has(fix)));
        let has = |fix: &Fix| Switches::LINUX_2_6_27.has(*fix);
        assert_eq!(Fix::ALL.iter().copied().filter(has).collect::<Vec<_>>(), [Fix::LocklessLookup]);
        assert_eq!(Switches::LINUX_2_6_22.with(Fix::LocklessLookup), Switches::LINUX_2_6_27);
        assert!(!Switches::FIXED.without(Fix::RereadSlot).has(Fix::RereadSlot));
    }

    #[test]
    fn a_mutant_that_is_a_missing_fix_takes_the_fix_away() {
        let mutated = Switches::FIXED.with_mutant(Mutant::StaleSlotWrongPage);
        assert!(mutated.mutant(Mutant::StaleSlotWrongPage) && !mutated.has(Fix::RetiredSlotRetry));
        assert_eq!(mutated.mutants().collect::<Vec<_>>(), [Mutant::StaleSlotWrongPage]);
    }
}
