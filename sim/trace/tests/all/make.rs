//! Every generated trace is possible: it runs on a simple model of processes and their address spaces.

use std::collections::BTreeMap;

use crate::common::{Record, read};
use pagewalk_trace::{
    Event, GeneratorSpec, MapKind, Op, Pattern, Prot, RawAccess, TraceError, TraceWriter, generate,
};

const PAGE: u64 = 4096;
const PATTERNS: [Pattern; 13] = [
    Pattern::Sequential,
    Pattern::Strided,
    Pattern::Uniform,
    Pattern::Zipf,
    Pattern::HotScan,
    Pattern::PointerChase,
    Pattern::ForkStorm,
    Pattern::MapChurn,
    Pattern::Stress,
    Pattern::FileStream,
    Pattern::FileShare,
    Pattern::TruncateStorm,
    Pattern::MemoryStorm,
];

#[derive(Clone, Default)]
struct Process {
    pages: BTreeMap<u64, Prot>,
    /// Of mapped files: path and index of the page.
    files: BTreeMap<u64, (String, u64)>,
    heap_end: Option<u64>,
    heap_base: u64,
    threads: Vec<u32>,
    parent: Option<u32>,
}

#[derive(Default)]
struct World {
    alive: BTreeMap<u32, Process>,
    /// Exited children that nobody has waited for, with their parents.
    zombies: BTreeMap<u32, u32>,
    seen: Vec<u32>,
    /// Paths and sizes by number.
    files: BTreeMap<u32, (String, u64)>,
}

impl World {
    fn process(&mut self, pid: u32, tid: u32) -> &mut Process {
        if !self.seen.contains(&pid) {
            self.seen.push(pid);
            self.alive.insert(pid, Process { threads: vec![tid], ..Process::default() });
        }
        let process = self.alive.get_mut(&pid).expect("the process lives");
        assert!(process.threads.contains(&tid), "thread {tid} of {pid} lives");
        process
    }

    fn file_event(&mut self, pid: u32, tid: u32, event: &Event) {
        let mapped = |world: &mut Self, start: u64, len: u64, need: Prot| {
            let pages = &world.process(pid, tid).pages;
            (start / PAGE..(start + len).div_ceil(PAGE))
                .all(|at| pages.get(&at).is_some_and(|p| p.contains(need)))
        };
        match *event {
            Event::File { file, ref path, size } => {
                assert_eq!(self.files.insert(file, (path.clone(), size)), None);
            }
            Event::Read { file, offset, len, buffer, direct } => {
                assert!(offset + len <= self.files[&file].1, "reads what is there");
                assert!(!direct || (offset | len | buffer.unwrap()).is_multiple_of(512));
                assert!(mapped(self, buffer.unwrap(), len, Prot::WRITE));
            }
            Event::Write { file, offset, len, buffer, direct } => {
                let size = &mut self.files.get_mut(&file).unwrap().1;
                *size = (*size).max(offset + len);
                assert!(!direct || (offset | len | buffer.unwrap()).is_multiple_of(512));
                assert!(mapped(self, buffer.unwrap(), len, Prot::READ));
            }
            Event::Truncate { file, size } => self.files.get_mut(&file).unwrap().1 = size,
            Event::Msync { start, len, .. } | Event::Madvise { start, len, .. } => {
                assert!(mapped(self, start, len, Prot::NONE));
            }
            Event::Fsync { file }
            | Event::PunchHole { file, .. }
            | Event::Fadvise { file, .. }
            | Event::Invalidate { file, .. } => assert!(self.files.contains_key(&file)),
            Event::DropCaches | Event::Sync => {}
            _ => panic!("no generator executes programs: {event:?}"),
        }
    }

    /// A page of a file is accessed only while it is in the file.
    fn inside(&mut self, pid: u32, tid: u32, page: u64) -> bool {
        let Some((path, index)) = self.process(pid, tid).files.get(&page).cloned() else { return true };
        self.files.values().any(|(known, size)| *known == path && index < size.div_ceil(PAGE))
    }

    fn access(&mut self, pid: u32, tid: u32, access: RawAccess) {
        assert!(self.inside(pid, tid, access.addr / PAGE), "{access:?} past the end of a file");
        let need = match access.op {
            Op::Fetch => Prot::EXEC,
            Op::Load => Prot::READ,
            Op::Store => Prot::WRITE,
            Op::Modify => Prot::READ_WRITE,
        };
        let process = self.process(pid, tid);
        for page in access.addr / PAGE..=(access.addr + u64::from(access.len) - 1) / PAGE {
            let prot = process.pages.get(&page).copied().unwrap_or_default();
            assert!(prot.contains(need), "{access:?} of {tid} where {prot} is mapped");
        }
    }

    fn event(&mut self, pid: u32, tid: u32, event: &Event) {
        let process = self.process(pid, tid);
        let pages = &mut process.pages;
        let all_mapped = |pages: &BTreeMap<u64, Prot>, start: u64, len: u64| {
            pages.range(start / PAGE..(start + len) / PAGE).count() as u64 == len / PAGE
        };
        match *event {
            Event::Map { start, len, prot, ref kind, .. } => {
                note_files(&mut process.files, start, len, kind);
                for page in start / PAGE..(start + len) / PAGE {
                    assert_eq!(pages.insert(page, prot), None, "mapped over a mapping");
                }
            }
            Event::Unmap { start, len } => {
                let before = pages.len();
                pages.retain(|page, _| !(start / PAGE..(start + len) / PAGE).contains(page));
                assert!(pages.len() < before, "unmapped nothing");
            }
            Event::Protect { start, len, prot } => {
                assert!(all_mapped(pages, start, len));
                pages.range_mut(start / PAGE..(start + len) / PAGE).for_each(|(_, p)| *p = prot);
            }
            Event::Discard { start, len } => assert!(all_mapped(pages, start, len)),
            Event::Brk { end } => {
                let old = *process.heap_end.get_or_insert(end);
                if process.heap_base == 0 {
                    process.heap_base = end;
                }
                assert!(end >= process.heap_base);
                pages.retain(|page, _| !(process.heap_base / PAGE..old / PAGE).contains(page));
                pages.extend((process.heap_base / PAGE..end / PAGE).map(|page| (page, Prot::READ_WRITE)));
                process.heap_end = Some(end);
            }
            Event::Remap { old_start, old_len, new_len, new_start } => {
                let prots: Vec<Prot> =
                    pages.range(old_start / PAGE..(old_start + old_len) / PAGE).map(|(_, p)| *p).collect();
                assert!(prots.len() as u64 == old_len / PAGE && prots.iter().all(|p| *p == prots[0]));
                pages.retain(|page, _| !(old_start / PAGE..(old_start + old_len) / PAGE).contains(page));
                let start = new_start.expect("generators say where a mapping went");
                for page in start / PAGE..(start + new_len) / PAGE {
                    assert_eq!(pages.insert(page, prots[0]), None, "moved over a mapping");
                }
            }
            Event::Fork { child_pid, child_tid } => {
                let child = Process { threads: vec![child_tid], parent: Some(pid), ..process.clone() };
                assert!(!self.seen.contains(&child_pid));
                self.seen.push(child_pid);
                self.alive.insert(child_pid, child);
            }
            Event::Clone { child_tid } => process.threads.push(child_tid),
            Event::ExitThread => process.threads.retain(|t| *t != tid),
            Event::ExitProcess { .. } => {
                let process = self.alive.remove(&pid).expect("it lives");
                assert_eq!(process.threads, [tid], "other threads exit first");
                self.zombies.extend(process.parent.map(|parent| (pid, parent)));
            }
            Event::Wait { child_pid } => assert_eq!(self.zombies.remove(&child_pid), Some(pid)),
            _ => self.file_event(pid, tid, event),
        }
    }
}

/// Which pages of which file a new mapping has.
fn note_files(files: &mut BTreeMap<u64, (String, u64)>, start: u64, len: u64, kind: &MapKind) {
    files.retain(|page, _| !(start / PAGE..(start + len) / PAGE).contains(page));
    if let MapKind::File { path, offset } = kind {
        let pages = (start / PAGE..(start + len) / PAGE).zip(offset / PAGE..);
        files.extend(pages.map(|(page, index)| (page, (path.clone(), index))));
    }
}

fn make(spec: &GeneratorSpec) -> Result<Vec<u8>, TraceError> {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1)?;
    generate(spec, &mut writer)?;
    writer.finish()?;
    Ok(out)
}

fn check(spec: &GeneratorSpec) -> Vec<Record> {
    let records = read(&make(spec).unwrap()).unwrap();
    let mut world = World::default();
    let mut data = 0;
    for record in &records {
        match record {
            Record::Access(pid, tid, access, _) => {
                data += u64::from(access.op != Op::Fetch);
                world.access(*pid, *tid, *access);
            }
            Record::Event(record) => world.event(record.pid, record.tid, &record.event),
        }
    }
    assert_eq!(data, spec.accesses, "{spec}");
    assert!(world.alive.is_empty() && world.zombies.is_empty(), "everybody exits: {spec}");
    records
}

#[test]
fn every_generated_trace_is_possible() {
    for pattern in PATTERNS {
        for (pages, processes, threads, length, fetches) in
            [(1, 1, 1, 8, 0), (1, 2, 2, 4096, 1), (70, 1, 3, 1, 0), (300, 3, 4, 64, 3)]
        {
            for seed in 0..3 {
                check(&GeneratorSpec {
                    pages,
                    accesses: 6000,
                    seed,
                    processes,
                    threads,
                    length,
                    fetch_per_access: fetches,
                    ..GeneratorSpec::new(pattern)
                });
            }
        }
    }
}

#[test]
fn a_seed_gives_one_trace_and_another_seed_another() {
    for pattern in PATTERNS {
        let spec = GeneratorSpec { accesses: 2000, pages: 50, ..GeneratorSpec::new(pattern) };
        assert_eq!(make(&spec).unwrap(), make(&spec).unwrap());
        assert_ne!(make(&spec).unwrap(), make(&GeneratorSpec { seed: 1, ..spec.clone() }).unwrap(), "{spec}");
    }
}

#[test]
fn stress_uses_every_kind_of_event_that_it_promises() {
    let spec = GeneratorSpec {
        pages: 200,
        accesses: 60_000,
        processes: 2,
        threads: 4,
        ..GeneratorSpec::new(Pattern::Stress)
    };
    let records = check(&spec);
    let mut kinds = [0; Event::KINDS];
    for record in &records {
        if let Record::Event(record) = record {
            kinds[record.event.kind()] += 1;
        }
    }
    let (exec, exit_thread) = (8, 9);
    for (kind, count) in kinds[..12].iter().enumerate() {
        assert!(
            (kind == exec) == (*count == 0) && (*count > 5 || kind == exec || kind == exit_thread),
            "{kind}: {count}"
        );
    }
}

#[test]
fn patterns_of_files_use_every_kind_of_event_that_they_promise() {
    let kinds = |pattern| {
        let sizes = GeneratorSpec {
            pages: 40,
            accesses: 60_000,
            processes: 2,
            threads: 2,
            ..GeneratorSpec::new(pattern)
        };
        let mut kinds = [0; Event::KINDS];
        for record in check(&sizes) {
            if let Record::Event(record) = record {
                kinds[record.event.kind()] += 1;
            }
        }
        kinds
    };
    let of = |pattern, least: u64| {
        let kinds = kinds(pattern);
        (16..Event::KINDS).filter(|kind| kinds[*kind] >= least).collect::<Vec<_>>()
    };
    assert_eq!(of(Pattern::FileStream, 4), [16, 17, 18, 19, 21, 23]);
    assert_eq!(of(Pattern::FileShare, 4), [16, 17, 18, 19, 20, 23]);
    assert_eq!(of(Pattern::TruncateStorm, 3), (16..28).collect::<Vec<_>>());
    let storm = kinds(Pattern::TruncateStorm);
    assert!([0, 1, 5, 6, 10, 11].iter().all(|kind| storm[*kind] > 5), "{storm:?}");
    assert_eq!(storm[4], 0, "nothing moves");
    let larger = kinds(Pattern::MemoryStorm);
    assert!([4, 5, 6, 11].iter().all(|kind| larger[*kind] > 5), "{larger:?}");
}

#[test]
fn patterns_have_their_shape() {
    let touched = |pattern| {
        let spec = GeneratorSpec { accesses: 20_000, pages: 100, ..GeneratorSpec::new(pattern) };
        let mut counts = BTreeMap::new();
        for record in check(&spec) {
            if let Record::Access(_, _, access, _) = record {
                *counts.entry(access.addr / PAGE).or_insert(0u64) += 1;
            }
        }
        let mut counts: Vec<u64> = counts.into_values().collect();
        counts.sort_unstable();
        counts
    };
    let uniform = touched(Pattern::Uniform);
    assert!(uniform.len() == 100 && uniform[0] > 130 && uniform[99] < 280, "{uniform:?}");
    let chase = touched(Pattern::PointerChase);
    assert_eq!((chase[0], chase[99]), (200, 200));
    // The harmonic number of 100 is 5.187: the first page gets 3856 of 20,000, the second half of that.
    let zipf = touched(Pattern::Zipf);
    assert!((3500..4200).contains(&zipf[99]) && (1700..2150).contains(&zipf[98]), "{zipf:?}");
    let hot: u64 = touched(Pattern::HotScan)[93..].iter().sum();
    assert!((17_300..18_100).contains(&hot), "{hot}");
    let strided = touched(Pattern::Strided);
    assert!(strided[0] >= 199 && strided[99] <= 202, "{strided:?}");
    assert_eq!(touched(Pattern::Sequential).len(), 40);
}

#[test]
fn parameters_out_of_range_are_named() {
    let good = GeneratorSpec::new(Pattern::Uniform);
    let bad = [
        GeneratorSpec { pages: 0, ..good.clone() },
        GeneratorSpec { pages: 1 << 23, ..good.clone() },
        GeneratorSpec { accesses: 0, ..good.clone() },
        GeneratorSpec { write_per_mille: 1001, ..good.clone() },
        GeneratorSpec { processes: 257, ..good.clone() },
        GeneratorSpec { threads: 0, ..good.clone() },
        GeneratorSpec { length: 4097, ..good.clone() },
        GeneratorSpec { stride: 0, ..good.clone() },
        GeneratorSpec { fetch_per_access: 1001, ..good.clone() },
        GeneratorSpec { files: 0, ..good.clone() },
        GeneratorSpec { files: 1025, ..good },
    ];
    for spec in bad {
        let error = make(&spec).unwrap_err();
        assert!(matches!(error, TraceError::Spec { .. }), "{error}");
    }
    let error = make(&GeneratorSpec { threads: 0, ..GeneratorSpec::new(Pattern::Zipf) }).unwrap_err();
    assert_eq!(error.to_string(), "generator parameter `threads`: found 0, expected 1 to 256");
}
