//! R20 to R35: faults against truncation and invalidation, dirty data, writeback.

use super::{NO_MUTANT, NO_PIN, RaceInfo, WEAK_MEMORY, told};

pub(super) const RACES: [RaceInfo; 16] = [
    told(
        "R20",
        "fault-unlocked-map",
        "A fault finds a page and does not lock it. A truncation or invalidation unmaps the page, which no page table has yet, and \
         takes it out of the cache. The fault then maps a page that belongs to no file.",
        &["I26", "I7", "I15"],
        "d00806b18315 (2.6.23)",
    )
    .missing(NO_MUTANT),
    told(
        "R21",
        "fault-no-isize-recheck",
        "A fault passes its first look at i_size. A truncation shrinks the file, unmaps and removes the pages, and ends. The fault \
         reads the page into the cache again and maps it beyond the end of the file.",
        &["I26"],
        "the comment in filemap_fault",
    )
    .in_scenario("fault-and-truncate"),
    told(
        "R22",
        "truncate-isize-late",
        "A truncation removes the pages before it lowers i_size. A fault between the two brings a page back, and its second look, \
         under the page's lock, still finds the old size.",
        &["I26"],
        "synthetic",
    )
    .missing(NO_MUTANT),
    told(
        "R23",
        "truncate-single-unmap",
        "A write fault on a private mapping has passed its look at i_size when a truncation unmaps the range. The fault then maps its \
         private copy. The truncation removes the file's page, spares private copies, and does not unmap a second time: the copy \
         stays beyond the end.",
        &["I26"],
        "the comment in vmtruncate",
    )
    .missing(NO_MUTANT),
    told(
        "R24",
        "invalidate-no-count",
        "A driver has pinned a page for writing; the page is clean and no longer mapped. An invalidation takes it out of the cache \
         without a test of its count. The driver writes and marks the page dirty, but it belongs to no file.",
        &["I15"],
        "016eb4a0ed06 (2.6.18), for mapped pages",
    )
    .missing(NO_PIN),
    told(
        "R25",
        "mkclean-order",
        "Writeback clears PG_dirty before it cleans the page table entries. It finds a dirty entry afterwards and cleans it without \
         marking the page dirty again: what was stored through that entry is not written.",
        &["I16", "I15"],
        "7658cc289288 (2.6.20)",
    )
    .missing("there is no mutant of it, and the buffers of a page have no dirty bits of their own here"),
    told(
        "R26",
        "wp-dirty-no-lockwait",
        "Writeback holds the page's lock and has passed a clean entry. A write fault makes this entry writable and sets PG_dirty, \
         which is set already. Then writeback clears PG_dirty: later stores through the entry are noticed by nobody.",
        &["I18", "I15"],
        "79352894b285 (2.6.23)",
    )
    .missing(NO_MUTANT),
    told(
        "R27",
        "mkclean-skip-ptl",
        "A CPU clears an entry under its lock, to store it again with other permissions. Writeback looks without the lock, sees no \
         entry and passes on. The entry comes back dirty and writable, and the page counts as clean.",
        &["I18", "I16"],
        "479db0bf408e (2.6.27)",
    )
    .missing(NO_MUTANT),
    told(
        "R28",
        "zap-drop-dirty",
        "A CPU that unmaps a page reads its entry and finds it clean. A program stores to the page, and the hardware sets the dirty \
         bit. The first CPU overwrites the entry with none, and the store is known to nobody.",
        &["I15", "I16"],
        "synthetic: the reason why the entry is exchanged",
    ),
    told(
        "R29",
        "unmap-dirty-before-flush",
        "Reclaim reads the dirty bit of an entry before it clears the entry and flushes the TLBs. A store through a TLB comes between: \
         PG_dirty stays clear, and reclaim drops the page.",
        &["I14", "I16"],
        "the comment in try_to_unmap_one",
    )
    .missing(NO_MUTANT),
    told(
        "R30",
        "zap-dirty-before-flush",
        "A CPU clears a dirty entry, marks the page dirty and releases the page table's lock; its flush is still to come. Writeback \
         cleans and writes the page meanwhile. A program then stores through a stale translation, and the store is lost.",
        &["I15", "I16", "I19"],
        "1cf35d47712d (3.15)",
    )
    .latent(),
    told(
        "R31",
        "writeback-wake-after-free",
        "The end of a writeback clears PG_writeback. Before it wakes the waiters, a truncation frees the page, and a new owner starts \
         a writeback of its own. The late wake tells the new waiters that theirs has ended.",
        &["I3", "I24"],
        "073861ed77b6 (5.10)",
    )
    .latent(),
    told(
        "R32",
        "writeback-double",
        "The end of a first writeback clears PG_writeback, and its wake is late. A second writeback begins. Its waiter takes the wake \
         of the first for its own and goes on while the page is being written.",
        &["I24"],
        "c2407cf7d22d (5.11)",
    ),
    told(
        "R33",
        "unlock-before-writeback-bit",
        "swap_writepage unlocks the page before it sets PG_writeback. A zap of the last swap entry finds no writeback, takes the page \
         out of the swap cache and frees the entry. The write goes to a place that another page has by then.",
        &["I24", "I14"],
        "synthetic",
    )
    .missing(NO_MUTANT),
    told(
        "R34",
        "uptodate-no-wmb",
        "A CPU fills a page and sets PG_uptodate; another CPU sees the flag before the contents. It reads what the frame had before.",
        &["I25"],
        "0ed361dec369 (2.6.25)",
    )
    .missing(WEAK_MEMORY),
    told(
        "R35",
        "swapcache-drop-no-dirty",
        "A clean page gives up its copy in swap and is not marked dirty. Reclaim gives it a new entry, unmaps it and frees it as \
         clean, though nothing was written to the new entry.",
        &["I17", "I14"],
        "synthetic; the comment in try_to_unuse states the rule",
    )
    .missing("there is no mutant of it, and add_to_swap, which marks the page dirty, would hide it"),
];
