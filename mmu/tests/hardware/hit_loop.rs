//! The hit loop and the hierarchy under it against a walk through the models, one touch at a time.
//!
//! The model searches at every touch: that its counters, contents and later evictions equal those of the hit loop shows
//! that remembering the last page of each side changes nothing.

use pagewalk_mmu::{
    Access, AccessCounters, AccessKind, AccessObserver, Asid, PageSize, PageSizes, Pfn, Position,
    Replacement, RunEnd, TlbCounters, TlbEntry, TlbGeometry, TlbHierarchy, TlbLookup, TlbSideCounters,
    TlbSpec, Vaddr, complete_touch, run_hits,
};
use proptest::prelude::*;

use crate::model::{
    Model, SIZES, asids, entries, geometries, invalidated_by, size, some_sizes, sorted, vaddrs,
};

const COST: u32 = 3;
const L1_CYCLES: u32 = 1;
const L2_CYCLES: u32 = 8;

/// What the model was asked and answered, touch by touch.
#[derive(Default, PartialEq, Debug)]
struct Seen(Vec<(Vaddr, Pfn, AccessKind)>);

impl AccessObserver for Seen {
    fn touch(&mut self, vaddr: Vaddr, pfn: Pfn, kind: AccessKind) {
        self.0.push((vaddr, pfn, kind));
    }
}

struct Machine {
    l1: [Vec<Model>; 2],
    l2: Vec<Model>,
    counters: TlbCounters,
    accesses: AccessCounters,
}

fn grants(entry: &TlbEntry, kind: AccessKind) -> bool {
    entry.user
        && match kind {
            AccessKind::Fetch => entry.executable,
            AccessKind::Load => true,
            AccessKind::Store | AccessKind::Modify => entry.writable && entry.dirty,
        }
}

fn insert(level: &mut [Model], vaddr: Vaddr, asid: Asid, entry: TlbEntry, origin: PageSize) -> u64 {
    let best = level.iter().filter_map(|array| array.largest_held(entry.size)).max();
    let array = level.iter_mut().find(|array| best.is_some_and(|best| array.geometry.sizes.contains(best)));
    u64::from(array.is_some_and(|array| array.insert(vaddr, asid, entry, origin).is_some()))
}

impl Machine {
    fn new(spec: &TlbSpec) -> Self {
        let level = |arrays: &[TlbGeometry]| arrays.iter().map(|&array| Model::new(array)).collect();
        let (counters, accesses) = Default::default();
        Self { l1: [level(&spec.l1i), level(&spec.l1d)], l2: level(&spec.l2), counters, accesses }
    }

    fn side(&mut self, kind: AccessKind) -> (&mut Vec<Model>, &mut Vec<Model>, &mut TlbSideCounters) {
        let [l1i, l1d] = &mut self.l1;
        match kind {
            AccessKind::Fetch => (l1i, &mut self.l2, &mut self.counters.fetch),
            _ => (l1d, &mut self.l2, &mut self.counters.data),
        }
    }

    /// The frame of the base page and the cycles, or `None` for a miss.
    fn touch(&mut self, vaddr: Vaddr, asid: Asid, kind: AccessKind) -> Option<(Pfn, u64)> {
        let (l1, l2, counters) = self.side(kind);
        let in_l1 = l1.len();
        let mut present = false;
        let mut found = None;
        for (at, array) in l1.iter_mut().chain(l2.iter_mut()).enumerate() {
            let covering = array.covering(vaddr, asid);
            present |= !covering.is_empty();
            if let Some(&(set, way, held)) = covering.iter().find(|(_, _, held)| grants(&held.entry, kind)) {
                array.touch(set, way);
                found = Some((at, held));
                break;
            }
        }
        let Some((at, held)) = found else {
            counters.misses += 1;
            counters.upgrades += u64::from(present);
            return None;
        };
        let frame = Pfn(held.entry.frame.0 + ((vaddr.0 - held.tag.page.0) / 4096) as u32);
        if at < in_l1 {
            counters.l1_hits += 1;
            return Some((frame, u64::from(COST + L1_CYCLES)));
        }
        counters.l2_hits += 1;
        counters.evictions += insert(l1, vaddr, asid, held.entry, held.origin);
        Some((frame, u64::from(COST + L2_CYCLES)))
    }

    fn fill(&mut self, vaddr: Vaddr, asid: Asid, kind: AccessKind, entry: TlbEntry) {
        let (l1, l2, counters) = self.side(kind);
        counters.fills += 1;
        counters.evictions +=
            insert(l1, vaddr, asid, entry, entry.size) + insert(l2, vaddr, asid, entry, entry.size);
    }

    fn remove(&mut self, doomed: impl Fn(&crate::model::Held) -> bool) -> u32 {
        let removed =
            self.l1.iter_mut().flatten().chain(&mut self.l2).map(|array| array.remove(&doomed)).sum();
        self.counters.invalidated += u64::from(removed);
        removed
    }

    fn run(
        &mut self,
        asid: Asid,
        accesses: &[Access],
        at: &mut Position,
        clock: &mut u64,
        limit: u64,
        seen: &mut Seen,
    ) -> RunEnd {
        while at.index < accesses.len() {
            if *clock > limit {
                return RunEnd::Limit;
            }
            let (start, len, kind) =
                (accesses[at.index].vaddr().0, accesses[at.index].len(), accesses[at.index].kind());
            let second_page = (start + (u64::from(len) - 1)) / 4096 * 4096;
            let split = second_page > start;
            let vaddr = Vaddr(if at.second_half { second_page } else { start });
            let Some((frame, cycles)) = self.touch(vaddr, asid, kind) else {
                return RunEnd::Miss { vaddr, kind };
            };
            *clock += cycles;
            seen.touch(vaddr, frame, kind);
            if split && !at.second_half {
                at.second_half = true;
                continue;
            }
            *at = Position { index: at.index + 1, second_half: false };
            self.accesses.splits += u64::from(split);
            *match kind {
                AccessKind::Fetch => &mut self.accesses.fetches,
                AccessKind::Load => &mut self.accesses.loads,
                AccessKind::Store => &mut self.accesses.stores,
                AccessKind::Modify => &mut self.accesses.modifies,
            } += 1;
        }
        RunEnd::Done
    }

    fn contents(&self) -> Vec<(pagewalk_mmu::TlbTag, TlbEntry)> {
        sorted(self.l1.iter().flatten().chain(&self.l2).flat_map(Model::contents))
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// Accesses, and after how many cycles to stop. At a miss the next of the entries is filled.
    Run(Asid, Vec<Access>, u64, Vec<TlbEntry>),
    Lookup(Vaddr, Asid, AccessKind),
    InvalidatePage(Vaddr, Asid),
    FlushAsid(Asid),
    FlushNonGlobal,
    FlushAll,
}

/// Accesses that often stay on a page.
fn accesses() -> impl Strategy<Value = Vec<Access>> {
    let one = (vaddrs(), prop_oneof![4 => 1_u16..64, 1 => Just(4096)], 0_usize..4, 1_usize..6);
    prop::collection::vec(one, 1..12).prop_map(|runs| {
        let many = |(vaddr, len, kind, times): (Vaddr, u16, usize, usize)| {
            (0..times).filter_map(move |turn| {
                let vaddr = Vaddr(vaddr.0 ^ (turn as u64 * 8));
                Access::new(vaddr, len, AccessKind::ALL[(kind + turn / 2) % 4])
            })
        };
        runs.into_iter().flat_map(many).collect()
    })
}

fn ops() -> impl Strategy<Value = Op> {
    let fills = prop::collection::vec(entries(), 1..8);
    prop_oneof![
        20 => (asids(), accesses(), 0_u64..200, fills).prop_map(|(asid, accesses, limit, fills)| {
            Op::Run(asid, accesses, limit, fills)
        }),
        4 => (vaddrs(), asids(), 0_usize..4).prop_map(|(vaddr, asid, kind)| Op::Lookup(vaddr, asid, AccessKind::ALL[kind])),
        4 => (vaddrs(), asids()).prop_map(|(vaddr, asid)| Op::InvalidatePage(vaddr, asid)),
        1 => asids().prop_map(Op::FlushAsid),
        1 => Just(Op::FlushNonGlobal),
        1 => Just(Op::FlushAll),
    ]
}

/// First levels of one array for all sizes or of two, and a second level of none, one or two arrays.
fn specs() -> impl Strategy<Value = TlbSpec> {
    let sizes =
        |shifts: &[u32]| Just(PageSizes::of(&shifts.iter().map(|&shift| size(shift)).collect::<Vec<_>>()));
    let l1 = || {
        prop_oneof![
            geometries(sizes(&SIZES[..2])).prop_map(|array| vec![array]),
            geometries(sizes(&SIZES[..1])).prop_map(|array| vec![array]),
            (geometries(sizes(&SIZES[..1])), geometries(sizes(&SIZES[1..])))
                .prop_map(|(base, large)| vec![base, large]),
        ]
    };
    let l2 = prop_oneof![
        Just(vec![]),
        geometries(some_sizes()).prop_map(|array| vec![array]),
        (geometries(sizes(&SIZES[2..])), geometries(sizes(&SIZES[..2])))
            .prop_map(|(large, small)| vec![large, small]),
    ];
    (l1(), l1(), l2).prop_map(|(l1i, l1d, l2)| TlbSpec {
        l1i,
        l1d,
        l2,
        l1_hit_cycles: L1_CYCLES,
        l2_hit_cycles: L2_CYCLES,
    })
}

/// An entry that grants everything.
fn full(frame: Pfn, size: PageSize) -> TlbEntry {
    TlbEntry { frame, size, writable: true, user: true, executable: true, dirty: true, global: false }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn hit_loop_does_what_searching_at_every_touch_does(
        spec in specs(),
        ops in prop::collection::vec(ops(), 1..40),
    ) {
        let mut tlb = TlbHierarchy::new(&spec).unwrap();
        let mut machine = Machine::new(&spec);
        let (mut clock, mut model_clock) = (0, 0);
        for op in ops {
            match op {
                Op::Run(asid, accesses, budget, fills) => {
                    let (mut at, mut model_at) = Default::default();
                    let (mut seen, mut model_seen) = (Seen::default(), Seen::default());
                    let mut fills = fills.into_iter();
                    let limit = clock + budget;
                    loop {
                        let end = run_hits(&mut tlb, asid, &accesses, &mut at, &mut clock, limit, COST, &mut seen);
                        let expected =
                            machine.run(asid, &accesses, &mut model_at, &mut model_clock, limit, &mut model_seen);
                        prop_assert_eq!((end, at, clock), (expected, model_at, model_clock));
                        let RunEnd::Miss { vaddr, kind } = end else { break };
                        // When the entries run out: one that ends the retries.
                        let entry = fills.next().unwrap_or(full(Pfn(7), PageSize::BASE));
                        tlb.fill(vaddr, asid, kind, &entry);
                        machine.fill(vaddr, asid, kind, entry);
                    }
                    prop_assert_eq!(seen, model_seen);
                }
                Op::Lookup(vaddr, asid, kind) => {
                    let peeked = tlb.peek(vaddr, asid, kind);
                    let found = match tlb.lookup(vaddr, asid, kind) {
                        TlbLookup::L1(entry) => Some((entry, L1_CYCLES)),
                        TlbLookup::L2(entry) => Some((entry, L2_CYCLES)),
                        TlbLookup::Miss => None,
                    };
                    prop_assert_eq!(peeked, found.map(|(entry, _)| entry));
                    let within = |entry: TlbEntry| Pfn(entry.frame.0 + (vaddr.offset_in(entry.size) / 4096) as u32);
                    let found = found.map(|(entry, cycles)| (within(entry), u64::from(COST + cycles)));
                    prop_assert_eq!(found, machine.touch(vaddr, asid, kind));
                }
                Op::InvalidatePage(vaddr, asid) => {
                    let removed = machine.remove(invalidated_by(vaddr, asid));
                    prop_assert_eq!(tlb.invalidate_page(vaddr, asid), removed);
                }
                Op::FlushAsid(asid) => {
                    prop_assert_eq!(tlb.flush_asid(asid), machine.remove(|held| held.tag.asid == Some(asid)));
                }
                Op::FlushNonGlobal => {
                    prop_assert_eq!(tlb.flush_non_global(), machine.remove(|held| held.tag.asid.is_some()));
                }
                Op::FlushAll => prop_assert_eq!(tlb.flush_all(), machine.remove(|_| true)),
            }
            prop_assert_eq!(tlb.counters(), machine.counters);
            prop_assert_eq!(tlb.access_counters(), machine.accesses);
        }
        prop_assert_eq!(sorted(tlb.iter()), machine.contents());
    }
}

fn small() -> TlbHierarchy {
    let array = |entries| TlbGeometry {
        entries,
        ways: 4,
        sizes: PageSizes::of(&[PageSize::BASE]),
        replacement: Replacement::Lru,
    };
    let (l1i, l1d, l2) = (vec![array(4)], vec![array(4)], vec![array(16)]);
    TlbHierarchy::new(&TlbSpec { l1i, l1d, l2, l1_hit_cycles: 0, l2_hit_cycles: 7 }).unwrap()
}

fn access(vaddr: u64, len: u16, kind: AccessKind) -> Access {
    Access::new(Vaddr(vaddr), len, kind).unwrap()
}

#[test]
fn store_to_a_clean_page_misses_as_an_upgrade_and_hits_once_it_is_dirty() {
    let mut tlb = small();
    let asid = Asid::default();
    let accesses = [access(0x1000, 8, AccessKind::Load), access(0x1008, 8, AccessKind::Modify)];
    let (mut at, mut clock) = (Position::default(), 0);
    let clean = TlbEntry { dirty: false, ..full(Pfn(9), PageSize::BASE) };
    tlb.fill(Vaddr(0x1000), asid, AccessKind::Load, &clean);
    let end = run_hits(&mut tlb, asid, &accesses, &mut at, &mut clock, u64::MAX, 1, &mut ());
    assert_eq!(end, RunEnd::Miss { vaddr: Vaddr(0x1008), kind: AccessKind::Modify });
    assert_eq!((tlb.counters().data.misses, tlb.counters().data.upgrades), (1, 1));
    tlb.fill(Vaddr(0x1008), asid, AccessKind::Modify, &full(Pfn(9), PageSize::BASE));
    assert_eq!(run_hits(&mut tlb, asid, &accesses, &mut at, &mut clock, u64::MAX, 1, &mut ()), RunEnd::Done);
    let counters = tlb.counters().data;
    assert_eq!((counters.lookups(), counters.l1_hits, counters.evictions, clock), (3, 2, 0, 2));
    assert_eq!(tlb.iter().count(), 2);
}

#[test]
fn split_access_resumes_at_its_second_page() {
    let mut tlb = small();
    let asid = Asid::default();
    let accesses = [access(0x1ffc, 8, AccessKind::Store)];
    let (mut at, mut clock) = (Position::default(), 0);
    let mut seen = Seen::default();
    for (miss, frame) in [(0x1ffc, 1), (0x2000, 2)] {
        let end = run_hits(&mut tlb, asid, &accesses, &mut at, &mut clock, u64::MAX, 1, &mut seen);
        assert_eq!(end, RunEnd::Miss { vaddr: Vaddr(miss), kind: AccessKind::Store });
        assert_eq!(tlb.access_counters().total(), 0);
        tlb.fill(Vaddr(miss), asid, AccessKind::Store, &full(Pfn(frame), PageSize::BASE));
    }
    assert_eq!(at, Position { index: 0, second_half: true });
    assert_eq!(
        run_hits(&mut tlb, asid, &accesses, &mut at, &mut clock, u64::MAX, 1, &mut seen),
        RunEnd::Done
    );
    let store = AccessKind::Store;
    assert_eq!(seen.0, [(Vaddr(0x1ffc), Pfn(1), store), (Vaddr(0x2000), Pfn(2), store)]);
    assert_eq!((tlb.access_counters().stores, tlb.access_counters().splits), (1, 1));
}

#[test]
fn touch_completed_by_a_walk_is_a_miss_and_no_hit() {
    let (mut tlb, asid) = (small(), Asid::default());
    let accesses = [access(0x1ffc, 8, AccessKind::Store), access(0x2000, 8, AccessKind::Load)];
    let (mut at, mut clock) = (Position::default(), 0);
    for (vaddr, next) in [(0x1ffc, (0, true)), (0x2000, (1, false))] {
        let end = run_hits(&mut tlb, asid, &accesses, &mut at, &mut clock, u64::MAX, 1, &mut ());
        assert_eq!(end, RunEnd::Miss { vaddr: Vaddr(vaddr), kind: AccessKind::Store });
        tlb.fill(Vaddr(vaddr), asid, AccessKind::Store, &full(Pfn(1), PageSize::BASE));
        complete_touch(&mut tlb, &accesses, &mut at);
        assert_eq!((at.index, at.second_half), next);
    }
    assert_eq!(run_hits(&mut tlb, asid, &accesses, &mut at, &mut clock, u64::MAX, 1, &mut ()), RunEnd::Done);
    let (data, done) = (tlb.counters().data, tlb.access_counters());
    assert_eq!((data.misses, data.l1_hits, clock), (2, 1, 1));
    assert_eq!((done.stores, done.loads, done.splits), (1, 1, 1));
}

/// A fill after a miss may skip its search only while nothing was inserted since.
#[test]
fn a_second_fill_of_the_page_that_missed_replaces_the_first() {
    let (mut tlb, asid) = (small(), Asid::default());
    assert_eq!(tlb.lookup(Vaddr(0x1000), asid, AccessKind::Load), TlbLookup::Miss);
    for frame in [1, 2] {
        tlb.fill(Vaddr(0x1000), asid, AccessKind::Load, &full(Pfn(frame), PageSize::BASE));
    }
    let frames: Vec<Pfn> = tlb.iter().map(|(_, entry)| entry.frame).collect();
    assert_eq!(frames, [Pfn(2), Pfn(2)]);
}

#[test]
fn counts_stay_right_beyond_what_a_lane_holds() {
    let mut tlb = small();
    let asid = Asid::default();
    tlb.fill(Vaddr(0), asid, AccessKind::Load, &full(Pfn(1), PageSize::BASE));
    let accesses: Vec<Access> =
        (0..200_000).map(|i| access(i % 4000, 8, AccessKind::ALL[1 + (i % 3 == 0) as usize])).collect();
    let (mut at, mut clock) = (Position::default(), 0);
    assert_eq!(run_hits(&mut tlb, asid, &accesses, &mut at, &mut clock, u64::MAX, 2, &mut ()), RunEnd::Done);
    assert_eq!((tlb.access_counters().loads, tlb.access_counters().stores), (133_333, 66_667));
    assert_eq!((tlb.counters().data.l1_hits, clock), (200_000, 400_000));
}

#[test]
fn impossible_accesses_are_refused() {
    let new = |vaddr, len| Access::new(Vaddr(vaddr), len, AccessKind::Load);
    assert!(new(0, 0).is_none() && new(0, 4097).is_none() && new(u64::MAX, 2).is_none());
    assert!(new(u64::MAX, 1).is_some_and(|access| !access.is_split()));
    assert!(new(1, 4096).is_some_and(|access| access.is_split() && access.second_half() == Vaddr(4096)));
    assert_eq!(size_of::<Access>(), 16);
}
