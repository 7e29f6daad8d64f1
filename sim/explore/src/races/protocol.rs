//! R01 to R19: the lookup's steps 1, 2, 3 against the removal's A, B, C; the tree; counts and lists.

use super::{NO_MUTANT, NO_PIN, NO_SWAP, RaceInfo, WEAK_MEMORY, told};

pub(super) const RACES: [RaceInfo; 20] = [
    told(
        "R01",
        "skip-recheck",
        "A remover takes the page out and frees it between a lookup's steps 1 and 2, and another file gets it. The lookup's reference \
         is to that file's page, and without step 3 the lookup returns it.",
        &["I9", "I14", "I15"],
        "e286781d5f2e (2.6.27): the reason for step 3",
    )
    .in_scenario("lookup-and-reuse"),
    told(
        "R02",
        "plain-inc",
        "A remover frees the page between a lookup's steps 1 and 2. The lookup raises the count of a free page from 0 to 1 and finds \
         in step 3 that the slot is empty. Giving the reference back, it frees the page a second time.",
        &["I2", "I4"],
        "the designs of 2005, before the count was raised by compare-and-swap",
    )
    .in_scenario("lookup-and-reuse"),
    told(
        "R03",
        "check-then-remove",
        "A lookup takes a valid reference after the remover has compared the count and before it has emptied the slot. The remover \
         frees the page as if it were alone, and the lookup's caller uses a free page.",
        &["I3", "I2", "I4"],
        "e286781d5f2e (2.6.27): the reason for step A",
    )
    .in_scenario("lookup-and-reuse"),
    told(
        "R04",
        "dirty-before-count",
        "Reclaim reads PG_dirty and finds it clear. The holder of a reference then writes to the page, sets PG_dirty and gives the \
         reference back. Now the freeze succeeds, and the page is dropped with what was written.",
        &["I15", "I14", "I16"],
        "the comment in __remove_mapping; 28e4d965e613",
    )
    .missing(NO_PIN),
    told(
        "R05",
        "freeze-leak-dirty",
        "Reclaim freezes the count, finds the page dirty, and leaves without restoring the count. The next lookup waits for a count \
         that stays 0; reclaim's own put takes the count below 0.",
        &["I6", "I27", "I1"],
        "a draft of 25 September 2006; again in -mm until 11 June 2008",
    )
    .in_scenario("dirty-page"),
    told(
        "R06",
        "freeze-operands-swapped",
        "The operands of the freeze's compare-and-swap are exchanged. A count of 2 stays 2 and is reported frozen, so that a lookup's \
         reference is ignored as in R03; a count of 0 becomes 2.",
        &["I6", "I2", "I3"],
        "the first draft, 25 September 2006",
    )
    .missing(NO_MUTANT),
    told(
        "R07",
        "cached-slot-retry",
        "A remover freezes and frees the page between a lookup's steps 1 and 2. The lookup finds a count of 0 and tries again with the \
         value that it read from the slot before, because the compiler has kept it. It spins until the page is allocated.",
        &["I27"],
        "e8c82c2e23e3 (2.6.29)",
    )
    .latent()
    .in_scenario("gang-lookup"),
    told(
        "R08",
        "stale-slot-after-shrink",
        "A gang lookup keeps the address of slot 0 of a node. One removal shrinks the tree and retires the node, the next takes the \
         last page out of the root and frees it. The retired slot still shows the page, with a count of 0: the lookup spins, in the \
         very read section that keeps the node.",
        &["I27"],
        "27d20fddc8af (2.6.37)",
    )
    .latent()
    .in_scenario("gang-lookup"),
    told(
        "R08b",
        "stale-slot-wrong-page",
        "A single lookup keeps the address of slot 0 as in R08, and the freed page is allocated for another file. Step 2 succeeds on \
         the stranger's page, and step 3 compares the retired slot, which still shows it. Only index 0 is affected.",
        &["I9", "I15"],
        "derived; 27d20fddc8af (2.6.37) closes it",
    )
    .latent()
    .in_scenario("shrinking-tree"),
    told(
        "R09",
        "node-zeroed-before-grace",
        "A lookup has loaded a node when a removal shrinks the tree and empties the retired node at once. The lookup reads an empty \
         slot and finds nothing, though the page was in the tree all the time.",
        &["I9", "I34"],
        "643b52b9c0b4 (2.6.26)",
    )
    .in_scenario("shrinking-tree"),
    told(
        "R10",
        "node-freed-no-grace",
        "A lookup stands in a node when a removal frees it, and another tree takes the node and fills its slots. The lookup finds \
         that tree's page, and step 3 compares the same foreign slot.",
        &["I33", "I9"],
        "7cf9c2c76c1a (2.6.20): nodes are freed by RCU",
    )
    .in_scenario("node-and-reuse"),
    told(
        "R11",
        "publish-before-init",
        "An insertion stores the slot first, and the page's mapping, index, lock and count after it. A lookup between the two finds a \
         page that belongs to nobody, or one that is unlocked and not up to date; its put may free a page that is in the tree.",
        &["I7", "I23", "I25", "I27", "I2"],
        "mails of September 2006; e286781d5f2e (2.6.27) sets the order",
    )
    .in_scenario("insertion"),
    told(
        "R12",
        "unlock-on-failed-insert",
        "An insertion fails, and the helper clears PG_locked although its caller had set it. A second CPU takes the lock, and the \
         caller's unlock_page releases that CPU's lock.",
        &["I23"],
        "a mail of 14 July 2008; add_to_page_cache_locked (2.6.27)",
    )
    .missing("there is no mutant of it, and scenarios have no shared memory that comes back from swap"),
    told(
        "R13",
        "set-count-clobber",
        "A lookup with a stale slot raises the count of a page after its allocation. The new owner then stores the count instead of \
         adding to it, and the lookup's reference is gone from the sum: its put frees the page under the owner.",
        &["I5", "I1", "I3"],
        "7835e98b2e3c (2.6.17), 4231aba000f5, 7118fc2906e2",
    )
    .in_scenario("lookup-and-reuse"),
    told(
        "R14",
        "unfreeze-before-slot-visible",
        "Migration replaces the slot and then unfreezes the old page; another CPU sees the two stores in the other order. Its lookup \
         gets the old page and finds it in the slot still. What it writes there is lost, because the contents have been copied.",
        &["I9", "I15"],
        "page_ref_unfreeze is a store-release since 4.17",
    )
    .latent()
    .missing(WEAK_MEMORY),
    told(
        "R15",
        "nonewrefs-no-mb",
        "In the design with the flag PG_nonewrefs, the remover's store of the flag is still in its store buffer when it reads the \
         count. A lookup raises the count, sees no flag and passes; the remover takes the page out under a valid reference.",
        &["I15"],
        "derived, from the patches of 2006",
    )
    .missing("PG_nonewrefs, which was not merged, is not modelled; it needs a model of store buffers, too"),
    told(
        "R16",
        "nonewrefs-two-owners",
        "An insertion and a removal use the PG_nonewrefs of one page without its lock. The insertion clears the flag that the removal \
         has just set: a lookup passes, and the removal takes the page out under a valid reference.",
        &["I15"],
        "a question of 1 August 2006",
    )
    .missing("PG_nonewrefs, which was not merged, is not modelled"),
    told(
        "R17",
        "freeze-then-swaplock",
        "Reclaim freezes a page of the swap cache and takes swap_lock before it empties the slot. free_swap_and_cache holds swap_lock \
         and looks the same page up: it waits for the count, and reclaim for the lock.",
        &["I27", "I28"],
        "derived",
    )
    .missing(NO_SWAP),
    told(
        "R18",
        "lru-isolate-plain-inc",
        "The last put takes the count to 0, and the page is still on its LRU list. Isolation raises the count to 1 and takes the page \
         off the list. The freeing CPU finds PG_lru clear and frees a page that the isolation goes on to use.",
        &["I2", "I3"],
        "7c8ee9a86340 (2.6.17)",
    ),
    told(
        "R19",
        "nrpages-late",
        "Reclaim, under tree_lock, has emptied the last slot of a tree and not yet lowered nrpages. The eviction of the inode looks \
         without the lock, finds no page and frees the inode: reclaim lowers nrpages in freed memory.",
        &["I10", "I3"],
        "08142579b6ca",
    )
    .latent()
    .missing("inodes of files are not evicted here"),
];
