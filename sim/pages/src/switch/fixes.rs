//! The fixes that came after the design of 2.6.27: one entry each.

use std::fmt;

/// What is told of a [`Fix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixInfo {
    /// Its name in configurations: `retired_slot_retry`.
    pub name: &'static str,
    /// The first 12 digits of Linux's commit.
    pub commit: &'static str,
    /// The first release with it.
    pub version: &'static str,
    /// The race it closes, by the catalogue's number; empty where the catalogue has none.
    pub race: &'static str,
    /// What it changes, and what happens without it.
    pub what: &'static str,
}

/// The fixes in the order of their numbers: variant, name, commit and release of Linux, number of the race, and what it changes. The
/// sentence is the variant's documentation, too.
macro_rules! fixes {
    ($($fix:ident $name:literal, commit $commit:literal, since $version:literal, race $race:literal => $what:literal;)*) => {
        /// A change that Linux made and that this kernel can be without.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fix {
            $(#[doc = $what] $fix,)*
        }

        /// By [`Fix`].
        const FIXES: &[FixInfo] =
            &[$(FixInfo { name: $name, commit: $commit, version: $version, race: $race, what: $what },)*];

        impl Fix {
            /// Every fix.
            pub const ALL: [Self; FIXES.len()] = [$(Self::$fix,)*];
        }
    };
}

// Commits and releases are those of Linux's history.
fixes! {
    FlushNested "flush_nested", commit "99baac21e458", since "4.13", race "R39" =>
        "A zapper that finds nothing to flush flushes all the same while another's flush is pending. \
         Without it two threads that discard one range at a time can leave a stale translation behind when \
         the second call returns.";
    ReuseByCount "reuse_by_count", commit "09854ba94c6a", since "5.9", race "R46" =>
        "A write fault reuses a read-only page only if the entry's is the one reference, not merely the one \
         mapping. Without it a page that another process has unmapped, and whose flush is pending, is \
         written where that process's other threads still read it through their TLBs.";
    LeaveMaskLast "leave_mask_last", commit "831d52bc1539", since "2.6.38", race "" =>
        "A CPU that switches leaves the old address space's mask only when the new tables are loaded. \
         Without it there is a moment at which flushes pass over a CPU that still has the old tables.";
    LocklessLookup "lockless_lookup", commit "a60637c85893", since "2.6.27", race "" =>
        "find_get_page takes a speculative reference and no lock. Without it (Linux 2.6.22) lookups take \
         tree_lock for reading and removers compare the count under it.";
    RereadSlot "reread_slot", commit "e8c82c2e23e3", since "2.6.29", race "R07" =>
        "A gang lookup that meets a frozen page reads the slot again. Without it the compiler may keep the \
         value, and the lookup spins on a page that has left the cache until somebody allocates it.";
    RetiredSlotRetry "retired_slot_retry", commit "27d20fddc8af", since "2.6.37", race "R08, R08b" =>
        "When the tree shrinks to its first item, the retired node's slot says `look again`. Without it a \
         lookup that kept the slot's address goes on seeing the old page there: it spins for ever, or \
         returns a page that is a stranger's by then.";
    FlushUnderPtl "flush_under_ptl", commit "1cf35d47712d", since "3.15", race "R30" =>
        "Unmapping a dirty page of a shared file flushes the TLBs before the page table's lock is released. \
         Without it a store through a stale translation follows the cleaning of the page and is lost.";
    WritebackReference "writeback_reference", commit "073861ed77b6", since "5.10", race "R31" =>
        "end_page_writeback holds a reference until it has woken the waiters. Without it the page may be \
         freed and reused between the clearing of PG_writeback and the wake.";
    DirtyBeforeUnlock "dirty_before_unlock", commit "b827e496c893", since "2.6.30", race "" =>
        "A write fault on a shared file marks the page dirty before it unlocks it. Without it a truncation \
         comes between, and a page that has left its file is marked dirty.";
    FollWriteCow "foll_write_cow", commit "19be0eaffa3a", since "4.9", race "R45" =>
        "get_user_pages remembers that it broke a copy-on-write instead of forgetting that it wanted to \
         write. Without it a discard between its two looks lets it write the file's own page.";
    InvalidateLock "invalidate_lock", commit "730633f0b7f9", since "5.15", race "" =>
        "Who punches a hole keeps others from bringing pages into the cache until the blocks are freed. \
         Without it a fault or a read brings a page back whose block is about to go, and the hole has old \
         contents.";
    SwapinEntryRecheck "swapin_entry_recheck", commit "4969c1192d15", since "2.6.36", race "R52, R53" =>
        "A fault that has waited for the lock of a page in the swap cache looks whether it is still there \
         at the same entry. Without it the entry may have been freed and used again: the fault maps a page \
         that is not the entry's any more.";
    TryToFreeSwap "try_to_free_swap", commit "a2c43eed8334", since "2.6.29", race "" =>
        "A page leaves the swap cache when no entry of a page table names its swap entry, whoever has \
         references to the page. Without it the references are counted, and a stray one keeps the page and \
         its entry until reclaim comes by.";
    SwapoffRecheck "swapoff_recheck", commit "68bdc8d64742", since "2.6.29", race "R59" =>
        "swapoff deletes a page from the swap cache only if it is still at the entry that is being freed. \
         Without it a page that left and came back at an entry of another area is deleted from there.";
    GetSwapDevice "get_swap_device", commit "eb085574a752", since "5.1", race "R60" =>
        "Who looks at a swap area without the lock holds swapoff off until it is done. Without it a fault \
         or a zap uses the map of an area that swapoff has freed.";
    MigrationPteLocked "migration_pte_locked", commit "486cf46f3f9b", since "3.1", race "" =>
        "Migration looks for its entries under the page table's lock. Without it the unlocked look can miss \
         an entry that mremap is moving, which then names a page that is gone.";
    MovePtesRmapLock "move_ptes_rmap_lock", commit "108d6642ad81", since "3.8", race "R64" =>
        "mremap moves entries of anonymous memory under the lock of the reverse mapping. Without it a walk \
         of the reverse mapping can look at the new place before and at the old place after the move, and \
         miss the entry.";
    ForkCopiesPinned "fork_copies_pinned", commit "70e806e4e645", since "5.9", race "" =>
        "fork copies an anonymous page that a device is filling, instead of sharing it until somebody \
         stores to it. Without it the first store of the parent moves the parent to a copy: the child has \
         the page that the device fills, and the parent never sees what it has read.";
    AnonExclusive "anon_exclusive", commit "6c287605fd56", since "5.19", race "R48" =>
        "An anonymous page that a device is filling is nobody else's, and stays where it is mapped: reclaim \
         and migration leave it, and a store to it needs no copy. Without it, where references are counted \
         (reuse_by_count), a store to a page that has been to swap and back meanwhile, or was read-only for \
         a while, moves the program to a copy, and it never sees what it has read.";
}

impl Fix {
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

impl fmt::Display for Fix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.info().name)
    }
}
