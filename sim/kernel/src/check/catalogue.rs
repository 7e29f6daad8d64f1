//! The invariants by name: what each says, what breaks it, and whether anybody looks.

/// What is told of one invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvariantInfo {
    /// As violations name it: `I9`, `lost-lock`.
    pub name: &'static str,
    /// What must hold, and when.
    pub statement: &'static str,
    /// How it breaks, by an example.
    pub breaks: &'static str,
    /// A shipped scenario that shows it broken, and the mutant that it takes, if it takes one.
    pub shown: Option<(&'static str, Option<&'static str>)>,
    /// Whether an observer of this program reports it.
    pub observed: bool,
    /// What a replay promises if it is watched and holds, in plain words: of those that concern programs.
    pub promise: Option<&'static str>,
}

/// The invariant of this name, in whatever case.
#[must_use]
pub fn invariant(name: &str) -> Option<&'static InvariantInfo> {
    INVARIANTS.iter().find(|info| info.name.eq_ignore_ascii_case(name))
}

const fn told(name: &'static str, statement: &'static str, breaks: &'static str) -> InvariantInfo {
    InvariantInfo { name, statement, breaks, shown: None, observed: true, promise: None }
}

impl InvariantInfo {
    const fn shown(self, scenario: &'static str, mutant: &'static str) -> Self {
        Self { shown: Some((scenario, Some(mutant))), ..self }
    }

    const fn promises(self, promise: &'static str) -> Self {
        Self { promise: Some(promise), ..self }
    }

    const fn unobserved(self) -> Self {
        Self { observed: false, ..self }
    }
}

/// What a replay promises, in the order in which it tells it: what programs see, and then what only the kernel does.
pub fn promises() -> impl Iterator<Item = (&'static str, &'static str)> {
    let told = PROMISED.iter().filter_map(|name| invariant(name));
    told.filter_map(|info| Some((info.name, info.promise?)))
}

const PROMISED: [&str; 16] = [
    "I14", "I15", "I2", "I5", "I13", "I19", "I20", "I21", "I28", "I29", "I32", "I11", "I17", "I22", "I30",
    "I27",
];

/// Every invariant, in order; those with names of their own last.
pub const INVARIANTS: [InvariantInfo; 37] = [
    told(
        "I1",
        "Always: the count and the map count of a page are 0 or more, and nothing is taken from 0.",
        "A reference is lost, for example overwritten by a plain store, and its owner gives it back all the same.",
    )
    .shown("lookup-and-reuse", "set-count-clobber"),
    told(
        "I2",
        "Always: a free page has no count, no mapping and no flags, and is in no tree and on no list but the free ones.",
        "A lookup adds to a count that is 0: the page is free, and now somebody has it.",
    )
    .promises("a free page is nobody's")
    .shown("lookup-and-reuse", "plain-inc"),
    told(
        "I3",
        "Always: whoever uses a page by a reference finds it as it was when the reference was taken, not freed since. A lookup that has \
         not compared its slot again may only compare and give back.",
        "A page is freed under a reader that counted on its reference.",
    ),
    told(
        "I4",
        "Always: a page is freed once for each time it is allocated.",
        "Two owners both see the count come to 0, and both free the page.",
    ),
    told(
        "I5",
        "When nobody is on the way: the count of every page is the sum of its owners, and no page is lost.",
        "A path leaves early and forgets to give its reference back.",
    )
    .promises("every reference has an owner"),
    told(
        "I6",
        "Always: only who accounts for every reference freezes a count, nobody else changes it while it is frozen, and it is unfrozen or \
         the page freed.",
        "A remover finds the frozen page dirty, and leaves without restoring the count.",
    )
    .shown("dirty-page", "freeze-leak-dirty"),
    told(
        "I7",
        "Where a page is in a slot: the page says the same mapping and index as the slot; in the swap cache, the same entry.",
        "A page is put into the tree before its mapping and index are set: a lookup finds a page that says it is nobody's.",
    )
    .shown("insertion", "publish-before-init"),
    told(
        "I8",
        "Where nobody is on the way: a page is in one slot of one tree at most, and one that says it is in the swap cache is there.",
        "A page is inserted at a second index before it has left the first.",
    ),
    told(
        "I9",
        "Of each lookup: the page it returns was in the slot at some moment while its reference was counted. It returns nothing only if \
         the slot was empty at some moment of the call.",
        "A lookup does not compare the slot again after it took its reference, and returns a page that is another file's by now.",
    )
    .shown("lookup-and-reuse", "skip-recheck"),
    told(
        "I10",
        "Under tree_lock: nrpages of a mapping is the number of its occupied slots.",
        "A removal empties the slot and leaves the number as it was.",
    ),
    told(
        "I11",
        "Always: the count of a swap entry is the number of page table entries that name it, and one for a page in the swap cache; it is \
         never less than the page table entries need.",
        "Reclaim stores a swap entry in a page table and counts it only later: another frees the entry between.",
    )
    .promises("the swap map counts what names its entries"),
    told(
        "I12",
        "Always: one page at most is in the swap cache at an entry, so that whoever faults the entry gets the same contents.",
        "Two faults each read the entry into a page of their own.",
    )
    .unobserved(),
    told(
        "I13",
        "Where no page table's lock is held: the map count of a page is the number of present page table entries that name it.",
        "An entry is cleared and the page's mapping is not taken away.",
    )
    .promises("map counts count the PTEs"),
    told(
        "I14",
        "Always: a load from anonymous memory returns what was stored there last, across swapping, fork, migration and mremap.",
        "A copy-on-write fault writes to a page that a child still reads.",
    )
    .promises("every load finds what was stored last"),
    told(
        "I15",
        "Always: a load or read of a file returns what was written to that place last; a page that leaves the cache, other than by \
         truncation or invalidation, leaves its contents on the disk.",
        "A lookup returns a page that is another file's by now, and the reader reads that file's contents.",
    )
    .promises("every file holds what was written to it last"),
    told(
        "I16",
        "Always: a page whose contents differ from its disk is dirty, or has a dirty page table entry, or is being written, or somebody \
         who has it is about to say so.",
        "A page table entry is overwritten while the hardware sets its dirty bit: a store is known to nobody.",
    ),
    told(
        "I17",
        "Where nobody is on the way: an anonymous page has a valid copy in its swap entry, or is dirty, or was never written.",
        "A swapped-in page is written, and keeps the swap copy as if it were still the same.",
    )
    .promises("a clean page in the swap cache is what its area holds"),
    told(
        "I18",
        "Where nobody is on the way: a page of a shared file that may be written through a page table is dirty.",
        "Writeback cleans the page and leaves the page table entry writable: the next store goes unnoticed.",
    ),
    told(
        "I19",
        "Always: a translation that a CPU can use agrees with the page table, or a flush of it is pending and the page is still owned; it \
         never names a page that is free.",
        "A page is freed when its page table entry is cleared, before the TLBs are flushed.",
    )
    .promises("no TLB outlives the page it names")
    .shown("discard-and-reuse", "zap-free-before-flush"),
    told(
        "I20",
        "When munmap, mprotect, madvise, fork or mremap return: no CPU has a translation that allows more than the page table.",
        "Two threads discard one range, and the second returns before the first has flushed.",
    )
    .promises("no CPU keeps a permission the tables took away"),
    told(
        "I21",
        "Where nobody is on the way: the resident pages that an address space counts are its present entries.",
        "An entry is cleared and its page goes on being counted.",
    )
    .promises("resident sizes are what is mapped"),
    told(
        "I22",
        "Where nobody is on the way: a page that says it is on an LRU list is on exactly that one; the lists' lengths are right.",
        "A page is freed and stays on its list.",
    )
    .promises("a page is on the LRU list that its flags say"),
    told(
        "I23",
        "Always: one owner at most has a page's lock, and only the owner unlocks it.",
        "A page can be found before it is locked: who finds it locks and unlocks what its maker believes to have.",
    ),
    told(
        "I24",
        "Always: a page under writeback is in a tree and tagged, one write is in flight, and it is not freed before that has ended.",
        "A page is removed from the cache while it is being written.",
    ),
    told(
        "I25",
        "Always: who sees a page uptodate sees its contents initialised.",
        "PG_uptodate is set before the page is filled.",
    )
    .unobserved(),
    told(
        "I26",
        "After a truncation has returned: nothing is mapped beyond the end of the file, and what is cached there is clean.",
        "A fault that has waited for the page's lock does not compare with the end of the file again.",
    )
    .shown("fault-and-truncate", "fault-no-isize-recheck"),
    told(
        "I27",
        "In the end: somebody can always go on. No cycle of locks, and no loop that reads words which nobody is left to change.",
        "A lookup keeps the address of a slot in a node that has left the tree, and spins on its old page.",
    )
    .promises("nothing is left over at the end")
    .shown("gang-lookup", "stale-slot-after-shrink"),
    told(
        "I28",
        "Always: locks are taken in the order of ARCHITECTURE.md, trylocks excepted; nobody sleeps with a spin lock, with interrupts off or \
         in an RCU section.",
        "A path takes mmap_sem while it has a page's lock, and another takes them the other way round.",
    )
    .promises("locks are taken in one order, and nobody sleeps holding a spin lock"),
    told(
        "I29",
        "Where nobody is on the way: a page that a private mapping may write is mapped by no other address space.",
        "A copy-on-write fault takes the old page's mapping away before the flush: the other owner looks alone and writes.",
    )
    .promises("a writable private page is one process's alone"),
    told(
        "I30",
        "Always: a migration entry is in a page table only while its page is locked by who migrates it.",
        "A walk of the reverse mapping misses an entry that mremap is moving: it stays for ever.",
    )
    .promises("no migration entry is left when nobody migrates"),
    told(
        "I31",
        "Where nobody is on the way: an address space with a swap entry is on mmlist; after swapoff no entry names the area.",
        "Reclaim swaps a page out and does not put the address space on the list: swapoff passes it over.",
    ),
    told(
        "I32",
        "Under the lock of the reverse mapping: a walk finds exactly the page table entries that the map count counts.",
        "mremap moves an entry from behind the walk to before it.",
    )
    .promises("the reverse mapping finds every PTE"),
    told(
        "I33",
        "Always: no node of a tree is used after the grace period that follows its retirement.",
        "A node is freed at once, and a lookup is still in it.",
    )
    .shown("node-and-reuse", "node-freed-no-grace"),
    told(
        "I34",
        "Until its grace period ends: the slots of a retired node keep their values.",
        "A node is emptied when it leaves the tree, while lookups may still be in it.",
    ),
    told(
        "lost-lock",
        "Always: a lock is released by a step of its own.",
        "A path leaves early, and the guard of its lock is dropped instead of released. That is a mistake in the text of a path, not of \
         a schedule.",
    ),
    InvariantInfo {
        shown: Some(("count-of-a-new-page", None)),
        ..told(
            "count-is-exact",
            "Only where a scenario asks for it: the count of a page just allocated is 1. Linux does not promise that: a lookup may have added \
             its speculative reference, which it is about to give back.",
            "A lookup takes a reference to a page that was freed and allocated again under it.",
        )
    },
    told(
        "panic",
        "Always: no BUG_ON of the kernel's text fires.",
        "A page comes back from the free lists with an owner, and a path that takes it for its own finds that it is not.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promise_is_told() {
        assert_eq!(promises().count(), PROMISED.len());
        assert_eq!(INVARIANTS.iter().filter(|info| info.promise.is_some()).count(), PROMISED.len());
    }
}
