//! R44 to R50: copy-on-write and pinned pages.

use pagewalk_pages::Fix;

use super::{RaceInfo, told};

pub(super) const RACES: [RaceInfo; 7] = [
    told(
        "R44",
        "wp-rmap-before-flush",
        "Two processes share a page. The copy-on-write fault of one takes its mapping away before it changes the entry. The other's \
         write fault counts a single mapping and writes to the page, which threads of the first process still read.",
        &["I29", "I14"],
        "945754a1754f (2.6.26)",
    ),
    told(
        "R45",
        "dirty-cow",
        "get_user_pages, forced to write, has made a private copy and now looks for it as for reading. Another thread discards the \
         copy between the two looks. The file's own page is mapped instead and written to.",
        &["I15", "I29"],
        "19be0eaffa3a (4.9), CVE-2016-5195",
    )
    .latent(),
    told(
        "R46",
        "gup-cow-wrong-side",
        "A child pins a page that it shares with its parent, and unmaps it. The parent's write fault counts a single mapping and \
         writes to the page. The child reads the parent's data through its pin.",
        &["I29"],
        "09854ba94c6a (5.9), CVE-2020-29374",
    )
    .latent(),
    told(
        "R47",
        "wp-trylock-copy",
        "A device has pinned a page, and reclaim holds the page's lock. A write fault cannot take the lock and copies the page: from \
         now on the program and the device use different pages.",
        &["I29"],
        "ab967d86015a (2.6.29)",
    )
    .latent()
    .missing("the fix of 2.6.29 is no switch here, and scenarios have no operation that pins a page"),
    told(
        "R48",
        "swapout-gup-copy",
        "A page that a device has pinned goes to swap and comes back. The next write fault counts references, takes the pin for \
         another owner and copies: the program and the device use different pages.",
        &["I29"],
        "c475a8ab625d (2.6.13); 6c287605fd56 (5.19), when references were counted again",
    )
    .brought_by(Fix::ReuseByCount),
    told(
        "R49",
        "gupfast-no-pte-recheck",
        "On a machine that flushes TLBs without interrupts, a lockless get_user_pages reads an entry. Another CPU clears it, flushes \
         and frees the page, and the page is allocated again. The reference then goes to a stranger's page.",
        &["I3"],
        "the comment of the generic get_user_pages_fast",
    )
    .missing("TLBs are flushed by interrupts, and get_user_pages has no lockless path here"),
    told(
        "R50",
        "thp-split-gup",
        "A lockless walk computes the head of a huge page. Another CPU splits the huge page; the head is freed and allocated again. \
         The walk takes its reference to the head and returns the tail, which it does not hold.",
        &["I5", "I3"],
        "c24d37322548 (5.14)",
    )
    .missing("huge pages are not modelled"),
];
