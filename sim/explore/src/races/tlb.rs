//! R36 to R43: translations that outlive what they were made from.

use super::{NO_MUTANT, RaceInfo, told};

pub(super) const RACES: [RaceInfo; 8] = [
    told(
        "R36",
        "zap-free-before-flush",
        "A CPU clears an entry and puts the page; its flush is still to come. A second CPU allocates the page, and a third one, whose \
         TLB has the old translation, stores to it.",
        &["I19", "I2", "I14"],
        "the reason for mmu_gather",
    )
    .in_scenario("discard-and-reuse"),
    told(
        "R37",
        "mremap-late-flush",
        "mremap moves an entry and releases the locks of both page tables before it flushes the old address. A truncation zaps the \
         entry at its new address, flushes that one and frees the page. A third CPU goes on through the old address.",
        &["I19", "I2"],
        "eb66ae030829 (4.19), CVE-2018-18281; 2.6.27 flushes under the locks",
    )
    .missing(NO_MUTANT),
    told(
        "R38",
        "batched-unmap-flush",
        "Reclaim clears an entry and puts its flush off. An munmap or mprotect of the range finds no entry, flushes nothing and \
         returns. The program still writes through its stale translation.",
        &["I20", "I19"],
        "3ea277194daa (4.13)",
    )
    .missing(NO_MUTANT),
    told(
        "R39",
        "parallel-zap-miss-flush",
        "A thread discards a range: it has cleared the entries and not yet flushed. A second thread discards the same range, finds no \
         entries, flushes nothing and returns. It then reads the old data through its TLB.",
        &["I20"],
        "99baac21e458 (4.13)",
    )
    .latent(),
    told(
        "R40",
        "switch-mm-bit-late",
        "A CPU loads the tables of an address space and joins the mask of CPUs to be flushed only afterwards. Between the two it has \
         translations, and a flush passes it over: the page is freed, and the CPU goes on using it.",
        &["I19"],
        "71b3c126e611 (4.5)",
    ),
    told(
        "R41",
        "lazy-tlb-no-leave",
        "An idle CPU keeps an address space loaded, ignores a flush of it, and stays in the mask. A page is freed. The CPU resumes a \
         thread of the same address space without a flush and uses its stale translation.",
        &["I19"],
        "leave_mm in tlb_64.c",
    )
    .missing(NO_MUTANT),
    told(
        "R42",
        "asid-stale",
        "The numbers of address-space tags are used up and dealt anew, while a CPU keeps an address space loaded under its old tag. \
         Flushes of the new tag do not reach what the CPU has under the old one, and the old tag goes to another address space.",
        &["I19", "I20"],
        "8678c1f04277 (ARM)",
    )
    .missing("address-space tags belong to one CPU here and are not dealt anew in generations"),
    told(
        "R43",
        "cow-set-before-flush",
        "A copy-on-write fault stores the new entry over the old one, without clearing it and flushing first. One thread writes to \
         the new page while another, through its TLB, reads the old page at the same address.",
        &["I14", "I19"],
        "4ce072f1faf2 (2.6.19)",
    )
    .missing(NO_MUTANT),
];
