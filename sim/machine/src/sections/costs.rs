//! What operations cost, and how CPU time is divided.

use serde::{Deserialize, Serialize};

use super::{Parts, section};
use crate::value::{Cycles, Int, SomeCycles};

section! {
    /// What operations cost, in cycles.
    Costs, "costs.", of Parts:
    access: SomeCycles as hardware.costs.access, "cycles",
        "One memory access of the program, translation apart. At least 1, so that time advances.",
        "first-level data cache latency of Intel cores, 4 to 5 cycles: Optimization Reference Manual";
    walk_step: Cycles as hardware.costs.walk_step, "cycles",
        "One page-table entry read by the walker.",
        "a walk of four entries that are in the first two caches takes 20 to 40 cycles; general knowledge, not verified";
    shared_access: SomeCycles as engine.costs.shared_access, "cycles",
        "One access of the kernel to a shared word that is in its own cache. At least 1.",
        "first-level data cache latency, as costs.access";
    atomic: SomeCycles as engine.costs.atomic, "cycles",
        "One locked read-modify-write of a word in its own cache. At least 1.",
        "Agner Fog's instruction tables give 18 cycles for LOCK ADD on Skylake; not verified";
    line_transfer: Cycles as engine.costs.line_transfer, "cycles",
        "Added when a shared word was last written by another CPU, or is read by others and now written: the line moves between caches.",
        "50 ns between cores of one socket; general knowledge, not verified";
    line_queue: bool as engine.costs.line_queue, "",
        "CPUs that want one cache line at the same time get it one after the other, each transfer behind those before it. If false, each pays for its own transfer only, and a contended line scales without limit.",
        "a line is in one cache at a time; off so that costs are those of earlier versions";
    fault_entry: Cycles as kernel.fault_entry, "cycles",
        "Entry to and return from an exception, the kernel's work apart.",
        "chosen so that a first-touch fault takes about 0.7 µs in all; published medians are 0.6 to 1 µs";
    syscall: Cycles as kernel.syscall, "cycles",
        "Entry to and return from a system call, the kernel's work apart.",
        "100 ns with mitigations on; general knowledge, not verified";
    clear_page: Cycles as hardware.costs.clear_page, "cycles",
        "Clearing a base page before a program sees it.",
        "100 ns; general knowledge, not verified";
    copy_page: Cycles as hardware.costs.copy_page, "cycles",
        "Copying a base page, as copy-on-write does.",
        "170 ns; general knowledge, not verified";
    invlpg: Cycles as hardware.costs.invlpg, "cycles",
        "Invalidating one page in the local TLB.",
        "about 100 ns: the comment at tlb_single_page_flush_ceiling in Linux arch/x86/mm/tlb.c";
    flush_all: Cycles as hardware.costs.flush_all, "cycles",
        "Invalidating the whole local TLB (a write of CR3). The misses that follow cost extra, as they happen.",
        "170 ns; general knowledge, not verified";
    ipi_send: Cycles as engine.costs.ipi_send, "cycles",
        "Sending an inter-processor interrupt, for each target.",
        "0.2 µs a receiver, fitted to published shootdown times; estimates differ sevenfold";
    ipi_deliver: Cycles as engine.costs.ipi_deliver, "cycles",
        "Interruption of the receiver of an inter-processor interrupt, entry and return included.",
        "0.5 µs, fitted to published shootdown times; estimates differ sevenfold";
    ipi_latency: Cycles as engine.costs.ipi_latency, "cycles",
        "Time from sending an inter-processor interrupt to its arrival.",
        "0.5 µs, so that the shortest shootdown takes about 1 µs; estimates differ sevenfold";
    context_switch: Cycles as engine.costs.context_switch, "cycles",
        "Switching a CPU to another context, the effect on TLBs apart.",
        "1 µs; general knowledge, not verified";
    lock: Cycles as engine.costs.lock, "cycles",
        "Taking or releasing a free lock, beyond the transfer of its line. Waiting for a held lock takes as long as it takes.",
        "one locked instruction; not verified";
}

section! {
    /// How CPU time is divided.
    Scheduler, "scheduler.", of Parts:
    quantum: Int<1000, 1_000_000_000_000> as engine.quantum, "cycles",
        "How long a context may run while others wait for its CPU.",
        "4 ms: sysctl_sched_min_granularity of Linux 2.6.27";
    slack: Int<0, 1_000_000> as engine.slack, "cycles",
        "How far a CPU may run ahead of the others through TLB hits alone. Larger is faster and coarser; kernel steps are always in order.",
        "a third of a microsecond, below the latency of an interrupt";
    jitter: Int<0, 1_000_000> as engine.jitter, "cycles",
        "The most cycles added at random (by the seed) to each entry into the kernel, so that seeds differ. With 0 the timed schedule is the same for every seed.",
        "a tenth of an exception's cost";
}
