//! What is told of each fix and each mutant.

use super::{Fix, Mutant};

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
    /// The race it is, by the catalogue's number; more than one where it changes more than one path.
    pub race: &'static str,
    /// The invariants that it breaks, the most telling first; one of them must catch it.
    pub invariants: &'static [&'static str],
    /// The fix that is left out with it: whose absence it is, or which hides it.
    pub without: Option<Fix>,
    /// What it does.
    pub what: &'static str,
}

/// By [`Fix`]; the commits and releases are those of Linux's history.
pub(super) const FIXES: [FixInfo; Fix::ALL.len()] = [
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
    FixInfo {
        name: "swapin_entry_recheck",
        commit: "4969c1192d15",
        version: "2.6.36",
        race: "R52, R53",
        what: "A fault that has waited for the lock of a page in the swap cache looks whether it is still \
               there at the same entry. Without it the entry may have been freed and used again: the fault \
               maps a page that is not the entry's any more.",
    },
    FixInfo {
        name: "try_to_free_swap",
        commit: "a2c43eed8334",
        version: "2.6.29",
        race: "",
        what: "A page leaves the swap cache when no entry of a page table names its swap entry, whoever has \
               references to the page. Without it the references are counted, and a stray one keeps the page \
               and its entry until reclaim comes by.",
    },
    FixInfo {
        name: "swapoff_recheck",
        commit: "68bdc8d64742",
        version: "2.6.29",
        race: "R59",
        what: "swapoff deletes a page from the swap cache only if it is still at the entry that is being \
               freed. Without it a page that left and came back at an entry of another area is deleted from \
               there.",
    },
    FixInfo {
        name: "get_swap_device",
        commit: "eb085574a752",
        version: "5.1",
        race: "R60",
        what: "Who looks at a swap area without the lock holds swapoff off until it is done. Without it a \
               fault or a zap uses the map of an area that swapoff has freed.",
    },
    FixInfo {
        name: "migration_pte_locked",
        commit: "486cf46f3f9b",
        version: "3.1",
        race: "",
        what: "Migration looks for its entries under the page table's lock. Without it the unlocked look can \
               miss an entry that mremap is moving, which then names a page that is gone.",
    },
    FixInfo {
        name: "move_ptes_rmap_lock",
        commit: "108d6642ad81",
        version: "3.8",
        race: "R64",
        what: "mremap moves entries of anonymous memory under the lock of the reverse mapping. Without it a \
               walk of the reverse mapping can look at the new place before and at the old place after the \
               move, and miss the entry.",
    },
    FixInfo {
        name: "fork_copies_pinned",
        commit: "70e806e4e645",
        version: "5.9",
        race: "",
        what: "fork copies an anonymous page that a device is filling, instead of sharing it until somebody \
               stores to it. Without it the first store of the parent moves the parent to a copy: the child has \
               the page that the device fills, and the parent never sees what it has read.",
    },
    FixInfo {
        name: "anon_exclusive",
        commit: "6c287605fd56",
        version: "5.19",
        race: "R48",
        what: "An anonymous page that a device is filling is nobody else's, and stays where it is mapped: reclaim \
               and migration leave it, and a store to it needs no copy. Without it, where references are counted \
               (reuse_by_count), a store to a page that has been to swap and back meanwhile, or was read-only for \
               a while, moves the program to a copy, and it never sees what it has read.",
    },
];

/// By [`Mutant`].
pub(super) const MUTANTS: [MutantInfo; Mutant::ALL.len()] = [
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
        race: "R03, R62",
        invariants: &["I3", "I2", "I1", "I4", "I6"],
        without: None,
        what: "The remover compares the count and then stores 0, in two steps, instead of freezing it by \
               compare-and-swap (step A): a reference that a lookup takes between them is lost.",
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
    MutantInfo {
        name: "zap-drop-dirty",
        race: "R28",
        invariants: &["I15", "I16"],
        without: None,
        what: "Unmapping reads an entry and then stores none, instead of exchanging it: a dirty bit that the \
               hardware sets between is lost.",
    },
    MutantInfo {
        name: "wp-rmap-before-flush",
        race: "R44",
        invariants: &["I29", "I14"],
        without: Some(Fix::ReuseByCount),
        what: "A copy-on-write fault takes the old page's mapping away before the entry is switched and the \
               TLBs are flushed. Whoever else has the page looks alone. (Since 5.9 references are counted, not \
               mappings, and nobody asks.)",
    },
    MutantInfo {
        name: "swap-free-before-rmap",
        race: "R54",
        invariants: &["I29", "I14"],
        without: None,
        what: "A swap-in frees its swap entry and unlocks the page before it stores the entry and counts the \
               mapping.",
    },
    MutantInfo {
        name: "swap-pte-before-dup",
        race: "R55",
        invariants: &["I11", "I12"],
        without: None,
        what: "Reclaim stores a swap entry in a page table and counts it only after the page table's lock is \
               released.",
    },
    MutantInfo {
        name: "lru-isolate-plain-inc",
        race: "R18",
        invariants: &["I2", "I3", "I1", "I22"],
        without: None,
        what: "A page is taken off the LRU lists with a plain increment of its count, even from 0: the CPU that has put \
               the last reference frees it all the same.",
    },
    MutantInfo {
        name: "writeback-wake-once",
        race: "R32",
        invariants: &["I24"],
        without: None,
        what: "A waiter for the end of a writeback does not look again when it is woken. The wake may belong to an \
               earlier writeback and come late.",
    },
    MutantInfo {
        name: "switch-mm-bit-late",
        race: "R40",
        invariants: &["I19", "I20", "I14", "I2"],
        without: None,
        what: "A CPU joins the mask of an address space only after it has loaded the tables. A flush between the two \
               passes over it, and it goes on with what its TLB has kept under the address space's tag (PCID).",
    },
    MutantInfo {
        name: "swapoff-misses-mm",
        race: "R61",
        invariants: &["I31", "I27"],
        without: None,
        what: "fork does not put the child on the list of address spaces that swapoff looks through: swapoff finds an \
               entry in use that nobody on the list has.",
    },
];
