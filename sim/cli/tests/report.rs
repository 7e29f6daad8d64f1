//! The account of a run, as text and as JSON: snapshots of typical and extreme reports.

use pagewalk_cli::report::ReportText;
use pagewalk_cli::style::Paint;
use pagewalk_replay::report::{
    Accesses, CpuTime, FaultLatency, Faults, FileRow, Footprint, Held, HotPage, KernelWork, KindCount,
    KindLatency, MappingKind, MappingRow, MemoryUse, Origin, OutOfMemory, Pressure, ProcessRow, ReplayReport,
    Schedule, SeedRow, SeedsReport, Segv, Spread, SyscallCount, ThreadRow, Time, Timeline, TlbSide,
    TraceFile, Translation, Verification, Violation, WaitRow, WalkCacheUse,
};

fn call(name: &str, count: u64) -> SyscallCount {
    SyscallCount { name: name.into(), count }
}

fn sample_translation() -> Translation {
    let cache = |level: &str, hits, misses| WalkCacheUse { level: level.into(), hits, misses };
    let side = |lookups, l2_hits, misses, upgrades| TlbSide {
        lookups,
        l1_hits: lookups - l2_hits - misses,
        l2_hits,
        misses,
        upgrades,
    };
    Translation {
        instruction: side(300_000, 1_200, 240, 0),
        data: side(700_412, 21_700, 33_980, 511),
        walks: 34_220,
        walk_steps: 61_004,
        faulting_walks: 3_902,
        accessed_updates: 3_951,
        dirty_updates: 3_020,
        cmpxchg_retries: 3,
        invalidated_entries: 921,
        walk_caches: vec![cache("pde", 29_000, 5_220), cache("pdpte", 5_000, 220)],
    }
}

fn sample_kernel() -> KernelWork {
    KernelWork {
        pgalloc: 4_012,
        pgfree: 4_012,
        pages_zapped: 3_790,
        page_tables_allocated: 41,
        page_tables_freed: 41,
        flush_requests: 86,
        nr_tlb_remote_flush: 120,
        nr_tlb_remote_flush_received: 120,
        nr_tlb_local_flush_all: 31,
        nr_tlb_local_flush_one: 410,
        lazy_tlb_leaves: 5,
        context_switches: 77,
        syscalls: vec![call("brk", 3), call("mmap", 41), call("mprotect", 12), call("munmap", 30)],
        forks: 1,
        execs: 1,
        exits: 2,
        ..KernelWork::default()
    }
}

fn sample_time() -> Time {
    let cpu = |user, kernel, idle| CpuTime { user, kernel, interrupt: 40_000, waiting: 2_000, idle };
    Time {
        cycles: 9_123_456,
        per_cpu: vec![
            cpu(6_000_000, 3_000_000, 81_456),
            cpu(4_000_000, 1_000_000, 4_081_456),
            cpu(900_000, 100_000, 8_081_456),
            cpu(1_000, 0, 9_080_456),
        ],
        fault_latency: Some(FaultLatency { min: 1_700, median: 2_380, p99: 9_100, max: 40_800 }),
        fault_latencies: vec![latency("first_touch", 3_101, 2_380), latency("file_major", 7, 610_000)],
        waits: vec![
            WaitRow { class: "mmap_sem".into(), lock: true, count: 12, cycles: 90_000 },
            WaitRow { class: "zone->lock".into(), lock: true, count: 1, cycles: 200 },
            WaitRow { class: "shootdown acknowledgement".into(), lock: false, count: 120, cycles: 400_000 },
        ],
    }
}

fn latency(kind: &str, count: u64, median: u64) -> KindLatency {
    let quantiles = FaultLatency { min: median - 100, median, p99: median * 2, max: median * 3 };
    let histogram = vec![(median, count)];
    KindLatency { kind: kind.into(), count, cycles: count.saturating_mul(median), quantiles, histogram }
}

fn sample_origin() -> Origin {
    let row = |pid, mapping: &str, kind, tlb_misses, pgmajfault| MappingRow {
        pid,
        mapping: mapping.into(),
        kind,
        start: 0x7f00_0000_0000 + tlb_misses * 4096,
        end: 0x7f10_0000_0000 + tlb_misses * 4096,
        tlb_misses,
        pgfault: tlb_misses / 9,
        pgmajfault,
        faults: vec![KindCount { kind: "first_touch".into(), count: tlb_misses / 9 }],
        ..MappingRow::default()
    };
    let file = "/usr/lib/x86_64-linux-gnu/libcrypto.so.3";
    let page = |address, unseen| HotPage {
        pid: 100,
        address,
        mapping: "heap".into(),
        tlb_misses: 900,
        pgfault: 3,
        unseen,
        ..HotPage::default()
    };
    let thread = |pid, tid| ThreadRow {
        pid,
        tid,
        accesses: 10_000,
        tlb_misses: u64::from(tid) * 50,
        pgfault: 51,
        ..ThreadRow::default()
    };
    Origin {
        mappings: vec![
            row(100, "heap", MappingKind::Named, 30_120, 0),
            row(100, "anonymous", MappingKind::Anonymous, 3_120, 0),
            row(100, file, MappingKind::File, 690, 6),
            row(101, file, MappingKind::File, 240, 1),
            row(101, "stack", MappingKind::Named, 40, 0),
            row(101, "outside any mapping", MappingKind::Outside, 9, 0),
            row(0, "other mappings", MappingKind::Rest, 1, 0),
        ],
        files: vec![FileRow {
            file: file.into(),
            processes: 2,
            tlb_misses: 930,
            pgfault: 102,
            pgmajfault: 7,
        }],
        threads: vec![thread(100, 100), thread(100, 102), thread(101, 101)],
        hot_pages: vec![page(0x5555_0000_1000, 0), page(0x5555_0000_3000, 12)],
    }
}

fn sample_timeline() -> Timeline {
    let series = |of: fn(u64) -> u64| (0..30).map(of).collect();
    Timeline {
        epoch_cycles: 131_072,
        accesses: series(|n| 8_000 + n * 7),
        tlb_misses: series(|n| (n * n) % 97),
        pgfault: series(|n| 30 - n),
        pgmajfault: series(|n| u64::from(n % 10 == 3)),
        nr_anon_pages: series(|n| n * 107),
        nr_file_pages: series(|n| 40 + n / 3),
        nr_dirty: vec![0; 30],
        nr_free_pages: series(|n| 130_000 - n * 110),
        swap_used: series(|n| n.saturating_sub(9) * 3),
        pgscan: series(|n| n * 12),
        pgsteal: series(|n| n * 7),
        pswpin: vec![0; 30],
        pswpout: series(|n| n % 4),
    }
}

fn sample_pressure() -> Pressure {
    Pressure {
        footprint: Some(Footprint { pages: 1_539, percent: 25, page_tables: 20 }),
        pgscan_kswapd: 5_911,
        pgscan_direct: 749,
        pgsteal_kswapd: 4_700,
        pgsteal_direct: 203,
        allocstall: 1,
        pgactivate: 899,
        pgrotated: 755,
        nr_vmscan_write: 68,
        pswpin: 21,
        pswpout: 26,
        swap_total: 131_072,
        swap_used: 5,
        nr_written: 90,
        balance_dirty_pages: 4,
        pgmigrate_success: 14,
        compact_stall: 1,
        antagonist_operations: 9,
        ..Pressure::default()
    }
}

fn sample_verify() -> Verification {
    Verification {
        enabled: true,
        loads_checked: 810_000,
        stores_recorded: 200_000,
        violations: vec![],
        held: vec![
            Held { invariant: "I1".into(), promise: "every load reads what was last stored".into() },
            Held { invariant: "I7".into(), promise: "no TLB outlives a freed page".into() },
        ],
    }
}

fn sample_processes() -> Vec<ProcessRow> {
    vec![
        ProcessRow {
            pid: 100,
            name: "kvstore".into(),
            threads: 4,
            accesses: 990_000,
            pgfault: 3_800,
            peak_rss: 3_200,
        },
        ProcessRow { pid: 101, name: "sh".into(), threads: 1, accesses: 10_000, pgfault: 102, peak_rss: 90 },
    ]
}

fn sample() -> ReplayReport {
    ReplayReport {
        version: "0.1.0".into(),
        command: "pagewalk replay traces/kvstore.pwt --machine skylake --seed 7".into(),
        traces: vec![TraceFile { file: "traces/kvstore.pwt".into(), accesses: 1_000_000 }],
        machine: "skylake".into(),
        cpus: 4,
        frames: 131_072,
        frequency_mhz: 3400,
        seed: 7,
        digest: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
        steps: 214_311,
        accesses: Accesses {
            total: 1_000_000,
            fetches: 300_000,
            loads: 500_000,
            stores: 190_000,
            modifies: 10_000,
            page_crossing: 412,
        },
        translation: sample_translation(),
        faults: Faults {
            pgfault: 3_902,
            first_touch: 3_101,
            copy_on_write: 780,
            permission: 12,
            spurious: 9,
            ..Faults::default()
        },
        kernel: sample_kernel(),
        time: sample_time(),
        pressure: sample_pressure(),
        memory: MemoryUse {
            peak_nr_anon_pages: 3_301,
            peak_nr_page_table_pages: 41,
            peak_used_frames: 3_342,
            nr_free_pages: 131_071,
            leftovers: vec![],
        },
        origin: sample_origin(),
        timeline: sample_timeline(),
        verify: sample_verify(),
        processes: sample_processes(),
        ..ReplayReport::default()
    }
}

fn broken() -> ReplayReport {
    let mut report = sample();
    let message = "CPU 1 read page 0x2c through its TLB after the page was freed by CPU 0 in munmap, and this \
                   message is longer than the page is wide";
    report.verify.violations = vec![Violation { invariant: "I7".into(), message: message.into() }];
    report.verify.held.pop();
    report.memory.leftovers = vec!["3 anonymous pages of process 101 \u{1b}[31m".into()];
    report.segv = Segv { count: 2, first_address: Some(0x7fff_0000_1000) };
    report.schedule = Schedule::Random;
    report
}

fn interrupted() -> ReplayReport {
    let mut report = sample();
    report.interrupted = true;
    report.verify = Verification::default();
    report.kernel.out_of_memory =
        Some(OutOfMemory { who: "process 100 (kvstore), first touch".into(), order: 0, nr_free_pages: 0 });
    report
}

fn huge() -> ReplayReport {
    let most = u64::MAX;
    let side = TlbSide { lookups: most, l1_hits: most, l2_hits: most, misses: most, upgrades: most };
    let mut report = sample();
    report.traces.push(TraceFile { file: "x".repeat(300), accesses: most });
    report.machine = "m".repeat(40);
    (report.cpus, report.frames, report.seed, report.steps) = (256, 1 << 28, most, most);
    report.accesses = Accesses {
        total: most,
        fetches: most,
        loads: most,
        stores: most,
        modifies: most,
        page_crossing: most,
    };
    report.translation.instruction = side.clone();
    report.translation.data = side;
    (report.faults.pgfault, report.faults.first_touch) = (most, most);
    report.kernel.pgalloc = most;
    report.kernel.syscalls = (0..60).map(|n| call(&format!("syscall_{n}"), most)).collect();
    report.time.cycles = most;
    let all = CpuTime { user: most, kernel: most, interrupt: most, waiting: most, idle: most };
    report.time.per_cpu = vec![all; 256];
    report.time.fault_latency = Some(FaultLatency { min: most, median: most, p99: most, max: most });
    report.memory.peak_used_frames = most;
    report.time.fault_latencies = vec![latency("first_touch", most, most / 4); 2];
    report.time.waits[0].cycles = most;
    for row in &mut report.origin.mappings {
        (row.tlb_misses, row.pgfault, row.pgmajfault) = (most, most, most);
        row.mapping = "m".repeat(80);
    }
    report.origin.threads =
        vec![ThreadRow { pid: 1, tid: u32::MAX, tlb_misses: most, ..ThreadRow::default() }; 90];
    let page = HotPage { address: most, tlb_misses: most, pgfault: most, unseen: most, ..HotPage::default() };
    report.origin.hot_pages = vec![page; 9];
    report.timeline.tlb_misses = vec![most; 30];
    report.verify.loads_checked = most;
    let row = ProcessRow {
        pid: u32::MAX,
        name: "a-very-long-name-of-a-program".into(),
        threads: most,
        accesses: most,
        pgfault: most,
        peak_rss: most,
    };
    report.processes = vec![row; 40];
    report
}

fn reports() -> [(&'static str, ReplayReport); 5] {
    [
        ("sample", sample()),
        ("zero", ReplayReport::default()),
        ("broken", broken()),
        ("interrupted", interrupted()),
        ("huge", huge()),
    ]
}

fn seeds(count: u64) -> SeedsReport {
    let row = |seed: u64| SeedRow {
        seed,
        digest: u128::from(seed % 3) << 100,
        pgfault: 3_900 + seed % 7,
        cycles: 9_000_000 + seed * 1_001,
        violations: u64::from(seed == 5),
        incomplete: seed == 6,
    };
    let command = "pagewalk replay traces/kvstore.pwt --machine skylake --seeds 1..8 --verify";
    SeedsReport::new(&sample(), command.into(), (1..=count).rev().map(row).collect())
}

#[test]
fn text_looks_as_recorded() {
    for (name, report) in reports() {
        insta::assert_snapshot!(format!("{name}_text"), report.to_text(Paint::PLAIN));
    }
    insta::assert_snapshot!("seeds_text", seeds(8).to_text(Paint::PLAIN));
}

#[test]
fn json_looks_as_recorded() {
    for (name, report) in reports().into_iter().filter(|(name, _)| *name != "huge") {
        insta::assert_snapshot!(format!("{name}_json"), report.to_json());
    }
    insta::assert_snapshot!("seeds_json", seeds(3).to_json());
}

#[test]
fn text_fits_in_a_hundred_columns_and_cannot_drive_the_terminal() {
    let mut texts: Vec<String> = reports().iter().map(|(_, report)| report.to_text(Paint::PLAIN)).collect();
    texts.push(seeds(300).to_text(Paint::PLAIN));
    for line in texts.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with("  again")) {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn colour_changes_nothing_but_escape_sequences() {
    for (_, report) in reports() {
        let mut plain = String::new();
        let colored = report.to_text(Paint::COLOR);
        for piece in colored.split('\u{1b}').enumerate() {
            let (index, text) = piece;
            plain += if index == 0 { text } else { text.split_once('m').unwrap().1 };
        }
        let trimmed: String = plain.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        assert_eq!(trimmed, report.to_text(Paint::PLAIN));
    }
}

#[test]
fn json_keeps_every_digit() {
    let value: serde_json::Value = serde_json::from_str(&huge().to_json()).unwrap();
    assert_eq!(value["schema"], "pagewalk.replay/1");
    assert_eq!(value["seed"], u64::MAX);
    assert_eq!(value["digest"], "0123456789abcdef0011223344556677");
}

#[test]
fn verdicts_follow_the_facts() {
    assert!(broken().is_broken() && !sample().is_broken());
    assert!(interrupted().is_incomplete() && !sample().is_incomplete());
    assert!(seeds(8).is_broken() && seeds(8).is_incomplete() && !seeds(4).is_broken());
    let mut leaking = sample();
    leaking.memory.leftovers.push("a page".into());
    assert!(leaking.is_broken());
}

#[test]
fn spreads_are_those_of_the_definition() {
    assert_eq!(Spread::of([]), None);
    assert_eq!(Spread::of([5]), Some(Spread { min: 5, median: 5, max: 5 }));
    assert_eq!(Spread::of([9, 1, 4, 7]), Some(Spread { min: 1, median: 4, max: 9 }));
}
