//! Which kernel: the fixes that came after the 2.6.27 design, and the mutants, each a named switch.
//!
//! A fix is a change that Linux made later; presets are sets of fixes. A mutant is the kernel wrong by one step: it is
//! applied on top of a preset and consulted at exactly that step, where it is one visible line.

use std::fmt;

use crate::Hardware;

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
}

/// A kernel wrong by one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mutant {
    /// The lookup does not compare the slot again after it has taken its reference (step 3).
    SkipRecheck,
    /// The lookup increments the count whatever it is, also where it is 0 (step 2).
    PlainInc,
    /// The remover compares the count and goes on, instead of freezing it by compare-and-swap (step A).
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
}

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

/// What is told of a [`Mutant`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MutantInfo {
    /// Its name on the command line: `skip-recheck`.
    pub name: &'static str,
    /// The race it is, by the catalogue's number.
    pub race: &'static str,
    /// The invariants that it breaks, the most telling first; one of them must catch it.
    pub invariants: &'static [&'static str],
    /// The fix whose absence it is, if it is one.
    pub without: Option<Fix>,
    /// What it does.
    pub what: &'static str,
}

/// By [`Fix`]; the commits and releases are those of Linux's history.
const FIXES: [FixInfo; Fix::ALL.len()] = [
    FixInfo {
        name: "flush_nested",
        commit: "99baac21e458",
        version: "4.13",
        race: "R39",
        what: "A zapper that finds nothing to flush flushes all the same while another's flush is pending. \
               Without it two threads that discard one range at a time can leave a stale translation behind \
               when the second call returns.",
    },
    FixInfo {
        name: "reuse_by_count",
        commit: "09854ba94c6a",
        version: "5.9",
        race: "R46",
        what: "A write fault reuses a read-only page only if the entry's is the one reference, not merely the \
               one mapping. Without it a page that another process has unmapped, and whose flush is pending, is \
               written where that process's other threads still read it through their TLBs.",
    },
    FixInfo {
        name: "leave_mask_last",
        commit: "831d52bc1539",
        version: "2.6.38",
        race: "",
        what: "A CPU that switches leaves the old address space's mask only when the new tables are loaded. \
               Without it there is a moment at which flushes pass over a CPU that still has the old tables.",
    },
    FixInfo {
        name: "lockless_lookup",
        commit: "a60637c85893",
        version: "2.6.27",
        race: "",
        what: "find_get_page takes a speculative reference and no lock. Without it (Linux 2.6.22) lookups take \
               tree_lock for reading and removers compare the count under it.",
    },
    FixInfo {
        name: "reread_slot",
        commit: "e8c82c2e23e3",
        version: "2.6.29",
        race: "R07",
        what: "A gang lookup that meets a frozen page reads the slot again. Without it the compiler may keep \
               the value, and the lookup spins on a page that has left the cache until somebody allocates it.",
    },
    FixInfo {
        name: "retired_slot_retry",
        commit: "27d20fddc8af",
        version: "2.6.37",
        race: "R08, R08b",
        what: "When the tree shrinks to its first item, the retired node's slot says `look again`. Without it a \
               lookup that kept the slot's address goes on seeing the old page there: it spins for ever, or \
               returns a page that is a stranger's by then.",
    },
    FixInfo {
        name: "flush_under_ptl",
        commit: "1cf35d47712d",
        version: "3.15",
        race: "R30",
        what: "Unmapping a dirty page of a shared file flushes the TLBs before the page table's lock is \
               released. Without it a store through a stale translation follows the cleaning of the page and is \
               lost.",
    },
    FixInfo {
        name: "writeback_reference",
        commit: "073861ed77b6",
        version: "5.10",
        race: "R31",
        what: "end_page_writeback holds a reference until it has woken the waiters. Without it the page may be \
               freed and reused between the clearing of PG_writeback and the wake.",
    },
    FixInfo {
        name: "dirty_before_unlock",
        commit: "b827e496c893",
        version: "2.6.30",
        race: "",
        what: "A write fault on a shared file marks the page dirty before it unlocks it. Without it a \
               truncation comes between, and a page that has left its file is marked dirty.",
    },
    FixInfo {
        name: "foll_write_cow",
        commit: "19be0eaffa3a",
        version: "4.9",
        race: "R45",
        what: "get_user_pages remembers that it broke a copy-on-write instead of forgetting that it wanted to \
               write. Without it a discard between its two looks lets it write the file's own page.",
    },
    FixInfo {
        name: "invalidate_lock",
        commit: "730633f0b7f9",
        version: "5.15",
        race: "",
        what: "Who punches a hole keeps others from bringing pages into the cache until the blocks are freed. \
               Without it a fault or a read brings a page back whose block is about to go, and the hole has old \
               contents.",
    },
];

/// By [`Mutant`].
const MUTANTS: [MutantInfo; Mutant::ALL.len()] = [
    MutantInfo {
        name: "skip-recheck",
        race: "R01",
        invariants: &["I9"],
        without: None,
        what: "The lookup does not compare the slot again after it has taken its reference (step 3).",
    },
    MutantInfo {
        name: "plain-inc",
        race: "R02",
        invariants: &["I2", "I4", "I1"],
        without: None,
        what: "The lookup increments the count whatever it is, also where it is 0 (step 2).",
    },
    MutantInfo {
        name: "check-then-remove",
        race: "R03",
        invariants: &["I3", "I2", "I4", "I6"],
        without: None,
        what: "The remover compares the count and goes on, instead of freezing it by compare-and-swap (step A).",
    },
    MutantInfo {
        name: "freeze-leak-dirty",
        race: "R05",
        invariants: &["I6", "I27", "I1"],
        without: None,
        what: "A remover that finds the frozen page dirty leaves without restoring its count.",
    },
    MutantInfo {
        name: "stale-slot-after-shrink",
        race: "R08",
        invariants: &["I27"],
        without: Some(Fix::RetiredSlotRetry),
        what: "A gang lookup keeps the address of a slot in a node that a shrinking tree has dropped, and spins \
               on the old page.",
    },
    MutantInfo {
        name: "stale-slot-wrong-page",
        race: "R08b",
        invariants: &["I9", "I15"],
        without: Some(Fix::RetiredSlotRetry),
        what: "A lookup compares the slot it kept in a dropped node, which still shows a page that is a \
               stranger's by now.",
    },
    MutantInfo {
        name: "node-zeroed-before-grace",
        race: "R09",
        invariants: &["I34", "I9"],
        without: None,
        what: "A node that leaves the tree is emptied at once, while lookups may still be in it.",
    },
    MutantInfo {
        name: "node-freed-no-grace",
        race: "R10",
        invariants: &["I33", "I9"],
        without: None,
        what: "A node that leaves the tree is freed at once, without a grace period.",
    },
    MutantInfo {
        name: "publish-before-init",
        race: "R11",
        invariants: &["I7", "I23", "I25", "I27", "I2"],
        without: None,
        what: "A page is put into the tree before its mapping, index, lock and the cache's reference are set.",
    },
    MutantInfo {
        name: "set-count-clobber",
        race: "R13",
        invariants: &["I5", "I1", "I3"],
        without: None,
        what: "A new owner of a page stores its count a second time, over a reference that a lookup has added \
               meanwhile.",
    },
    MutantInfo {
        name: "fault-no-isize-recheck",
        race: "R21",
        invariants: &["I26"],
        without: None,
        what: "A fault does not compare with the end of the file again once it holds the page's lock.",
    },
    MutantInfo {
        name: "zap-free-before-flush",
        race: "R36",
        invariants: &["I19", "I2", "I14"],
        without: None,
        what: "A page is put when its entry is cleared, before the TLBs are flushed.",
    },
];

impl Fix {
    /// Every fix.
    pub const ALL: [Self; 11] = [
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
    pub const ALL: [Self; 12] = [
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

    /// The same carrying `mutant`; a mutant that is a fix left out leaves that fix out.
    #[must_use]
    pub const fn with_mutant(self, mutant: Mutant) -> Self {
        let mutated = Self { mutants: self.mutants | (1 << mutant as u8), ..self };
        match mutant.info().without {
            Some(fix) => mutated.without(fix),
            None => mutated,
        }
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

impl Hardware {
    /// The kernel that runs on this hardware: what its paths ask at the steps that differ.
    #[inline(always)]
    pub fn switches(&self) -> Switches {
        self.switches.get()
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
