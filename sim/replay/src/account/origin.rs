//! From what was watched to the sections of the account that say where it went.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use pagewalk_engine::Engine;
use pagewalk_kernel::{FaultKind, FaultLatencies};
use pagewalk_mmu::BASE_SHIFT;

use crate::report::{
    FaultLatency, FileRow, HotPage, KindCount, KindLatency, MappingKind, MappingRow, Origin, ThreadRow,
    WaitRow,
};
use crate::watch::{Row, Seen, Thread, What, major};

/// Hottest pages told.
const HOT_PAGES: usize = 100;

/// Misses and faults by mapping, file, thread and page.
pub(super) fn origin(seen: &Seen) -> Origin {
    let mut mappings: Vec<MappingRow> = seen.rows.all().map(mapping).collect();
    mappings.sort_by_key(|row| (Reverse(row.tlb_misses + row.pgfault), row.trace, row.pid, row.start));
    let files = files(&mappings);
    Origin { mappings, files, threads: seen.threads.iter().map(thread).collect(), hot_pages: hot_pages(seen) }
}

fn name(row: &Row) -> (String, MappingKind) {
    match &row.what {
        What::Anonymous => ("anonymous".to_owned(), MappingKind::Anonymous),
        What::Named(name) => (name.clone(), MappingKind::Named),
        What::File(path) => (path.clone(), MappingKind::File),
        What::Outside => ("outside any mapping".to_owned(), MappingKind::Outside),
        What::Rest => ("other mappings".to_owned(), MappingKind::Rest),
    }
}

fn mapping(row: &Row) -> MappingRow {
    let (mapping, kind) = name(row);
    let count = |kind: FaultKind| row.faults[kind as usize - 1];
    let kinds = FaultKind::ALL.into_iter().filter(|&kind| count(kind) > 0);
    MappingRow {
        trace: row.owner.0 as u64,
        pid: row.owner.1,
        mapping,
        kind,
        start: row.range.start().0,
        end: row.range.end().0,
        tlb_misses: row.misses,
        pgfault: row.faults.iter().sum(),
        pgmajfault: major(&row.faults),
        faults: kinds.map(|kind| KindCount { kind: kind.name().to_owned(), count: count(kind) }).collect(),
    }
}

fn files(mappings: &[MappingRow]) -> Vec<FileRow> {
    let mut files: BTreeMap<&str, FileRow> = BTreeMap::new();
    for mapping in mappings.iter().filter(|mapping| mapping.kind == MappingKind::File) {
        let file = files.entry(&mapping.mapping).or_default();
        file.processes += 1;
        file.tlb_misses += mapping.tlb_misses;
        file.pgfault += mapping.pgfault;
        file.pgmajfault += mapping.pgmajfault;
    }
    let named = files.into_iter().map(|(name, row)| FileRow { file: name.to_owned(), ..row });
    let mut files: Vec<FileRow> = named.collect();
    files.sort_by_key(|row| Reverse(row.tlb_misses + row.pgfault));
    files
}

fn thread(thread: &Thread) -> ThreadRow {
    ThreadRow {
        trace: thread.trace as u64,
        pid: thread.pid,
        tid: thread.tid,
        accesses: thread.accesses,
        tlb_misses: thread.misses,
        pgfault: thread.faults,
        pgmajfault: thread.major,
    }
}

fn hot_pages(seen: &Seen) -> Vec<HotPage> {
    let pages = seen.pages.hottest(HOT_PAGES).into_iter();
    pages
        .map(|page| {
            let row = seen.rows.resolve(page.row());
            HotPage {
                trace: row.owner.0 as u64,
                pid: row.owner.1,
                address: page.vpn().0 << BASE_SHIFT,
                mapping: name(row).0,
                tlb_misses: u64::from(page.misses),
                pgfault: u64::from(page.faults),
                unseen: u64::from(page.unseen),
            }
        })
        .collect()
}

/// Latencies of page faults by kind.
pub(super) fn latencies(latencies: &FaultLatencies) -> Vec<KindLatency> {
    let happened = FaultKind::ALL.into_iter().filter(|&kind| latencies.of(kind).count() > 0);
    happened
        .map(|kind| {
            let latency = latencies.of(kind);
            KindLatency {
                kind: kind.name().to_owned(),
                count: latency.count(),
                cycles: u64::try_from(latency.sum()).unwrap_or(u64::MAX),
                quantiles: FaultLatency {
                    min: latency.min(),
                    median: latency.quantile(500),
                    p99: latency.quantile(990),
                    max: latency.max(),
                },
                histogram: latency.buckets().collect(),
            }
        })
        .collect()
}

/// What contexts waited for.
pub(super) fn waits(engine: &Engine) -> Vec<WaitRow> {
    let row = |wait: pagewalk_engine::ClassWaits| WaitRow {
        class: wait.class.name.to_owned(),
        lock: wait.lock,
        count: wait.count,
        cycles: wait.cycles,
    };
    engine.waits().into_iter().map(row).collect()
}
