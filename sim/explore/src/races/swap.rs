//! R51 to R68: swap, migration, and the lifetime of what a walk goes through.

use super::{NO_MUTANT, NO_SWAP, RaceInfo, WEAK_MEMORY, told};

/// Of the lifetime of an `anon_vma`.
const NUMBERED: &str =
    "an anon_vma has a number here that never comes back, not memory that is freed and used again";

pub(super) const RACES: [RaceInfo; 18] = [
    told(
        "R51",
        "swapin-no-pte-same",
        "Two threads fault on one swap entry. The first maps the page and frees the entry; the program stores, and reclaim swaps the \
         page out to another entry. The second thread maps what it found before, over the new entry.",
        &["I11", "I13", "I14"],
        "synthetic",
    )
    .missing(NO_SWAP),
    told(
        "R52",
        "swapin-no-entry-recheck",
        "A fault finds a page in the swap cache and waits for its lock. Meanwhile the page leaves the swap cache, its entry is freed, \
         and the same address gets the entry again for a newer page. The page table entry looks unchanged, and the fault maps the old \
         page.",
        &["I14", "I12"],
        "4969c1192d15, 31c4a3d3a0f8 (2.6.36)",
    )
    .latent(),
    told(
        "R53",
        "zijlstra-window",
        "free_swap_and_cache finds a count of 2 and goes on to delete the page from the swap cache. A fault takes a valid reference \
         between the two, and holds a page whose entry can be used again: it may map an old page, as in R52.",
        &["I14", "I12"],
        "derived, from the question of 25 September 2006; 4969c1192d15 (2.6.36) closes it",
    )
    .latent(),
    told(
        "R54",
        "swap-free-before-rmap",
        "Two processes share a page that is in swap. The swap-in of one frees its entry and unlocks the page before it counts its \
         mapping. The write fault of the other finds no mapping and one entry, its own, and makes the page writable. Then the first \
         maps it, too.",
        &["I29", "I14"],
        "c475a8ab625d (2.6.13)",
    ),
    told(
        "R55",
        "swap-pte-before-dup",
        "Reclaim stores a swap entry in a page table and releases its lock before it counts the entry. A zap takes the one count \
         there is, which is the swap cache's: the entry is free, and a page is still cached at it.",
        &["I11", "I12"],
        "synthetic",
    ),
    told(
        "R56",
        "fork-no-dup",
        "fork copies a swap entry into the child's page table and does not count it. The parent's swap-in frees the entry, and another \
         page gets it. The child reads that page.",
        &["I11", "I14"],
        "synthetic",
    )
    .missing(NO_SWAP),
    told(
        "R57",
        "swap-eexist-spin",
        "A task marks a swap entry as cached and sleeps before it inserts the page. Another task on the same CPU finds the mark and no \
         page, and tries again for ever.",
        &["I27"],
        "possible since 355cfa73ddff (2.6.31); 31a5639623a4, cbab0e4eec29",
    )
    .missing("the mark came with 2.6.31; here an entry has one count, as in 2.6.27"),
    told(
        "R58",
        "swapin-bypass-cache",
        "Two threads read one swap entry, each into a page of its own. The first maps its page and frees the entry; the program \
         stores, and the page goes to the same entry again. The second thread finds its page table entry unchanged and maps the old \
         contents.",
        &["I14"],
        "13ddaf26be32 (6.8), CVE-2024-26759",
    )
    .missing("every swap-in goes through the swap cache here, as in 2.6.27"),
    told(
        "R59",
        "swapoff-wrong-entry",
        "swapoff finds a page at an entry and waits for the page's lock. The page leaves the swap cache and comes back at an entry of \
         another area, not yet written. swapoff deletes it from there, and the next fault reads garbage.",
        &["I14"],
        "68bdc8d64742 (2.6.29)",
    )
    .latent(),
    told(
        "R60",
        "swapoff-map-uaf",
        "A fault or a zap has read a swap entry. swapoff brings the entry's page back and frees the area's map. The fault looks its \
         entry up in the freed map.",
        &["I3"],
        "eb085574a752 (5.1), 82b1c07a0af6 (6.9)",
    )
    .latent(),
    told(
        "R61",
        "swapoff-misses-mm",
        "An address space has a swap entry before it is on mmlist, or never gets there. swapoff goes through the list, finds nobody \
         who has the entry, and searches for ever or deletes the page.",
        &["I31", "I27", "I14"],
        "the comments in drain_mmlist and copy_one_pte",
    ),
    told(
        "R62",
        "migrate-check-no-freeze",
        "Migration compares the count, and a lookup takes a valid reference before the slot is replaced. The lookup's caller reads \
         and writes the old page, everybody else the new one.",
        &["I15", "I9"],
        "e286781d5f2e (2.6.27), in mm/migrate.c",
    ),
    told(
        "R63",
        "migration-wait-plain-get",
        "Migration has frozen the count of a page. A fault on its migration entry raises the count from 0 with a plain get_page. The \
         unfreeze stores over that reference.",
        &["I6", "I5"],
        "mails of 25 June 2008",
    )
    .missing(NO_MUTANT),
    told(
        "R64",
        "migration-entry-missed",
        "Migration walks the reverse mapping to replace its entries. mremap or fork moves an entry to where the walk has been already. \
         The entry stays and names a page that was freed.",
        &["I30"],
        "7e09e738afd2; 108d6642ad81 (3.8)",
    )
    .latent(),
    told(
        "R65",
        "migrate-anon-vma-freed",
        "Migration has unmapped the last entry of a page, and no read section keeps the anon_vma. The process exits, the anon_vma is \
         freed, and migration walks it to put its entries back.",
        &["I32", "I3"],
        "dc386d4d1e98 (2.6.23)",
    )
    .missing(NUMBERED),
    told(
        "R66",
        "anon-vma-not-typestable",
        "A walk reads which anon_vma a page belongs to. The last mapping goes, the anon_vma is freed, and its memory becomes something \
         else before the walk locks it.",
        &["I32", "I3"],
        "SLAB_DESTROY_BY_RCU in mm/rmap.c",
    )
    .missing(NUMBERED),
    told(
        "R67",
        "pte-page-publish-no-wmb",
        "A CPU links a new page table, and another CPU sees the link before the zeroes and the lock inside. It walks through garbage.",
        &["I13", "I14"],
        "362a61ad6119 (2.6.26)",
    )
    .missing(WEAK_MEMORY),
    told(
        "R68",
        "read-nolock-uptodate",
        "A fault starts to read a page, does not wait for the end of the read, and begins anew. A read that fails later is started \
         again and again, and the fault never ends.",
        &["I27"],
        "3ef0f720e47e (2.6.26)",
    )
    .missing(NO_MUTANT),
];
