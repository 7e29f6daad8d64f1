//! Page-walk caches against a list in order of use.

use pagewalk_mmu::{
    Asid, PageSize, Pfn, Vaddr, WalkCache, WalkCacheCounters, WalkCacheGeometry, WalkCacheSpec, WalkCached,
};
use proptest::prelude::*;

use crate::model::{asids, size};

/// x86-64 with four levels.
fn spans() -> [PageSize; 4] {
    [12, 21, 30, 39].map(size)
}

/// One level: entries least recently used first, as (number of the span, address space, table).
struct Level {
    level: u8,
    sets: u64,
    ways: usize,
    held: Vec<(u64, Asid, Pfn)>,
    counters: WalkCacheCounters,
}

impl Level {
    fn number(&self, vaddr: Vaddr) -> u64 {
        vaddr.0 >> spans()[usize::from(self.level) - 1].shift()
    }

    fn use_again(&mut self, number: u64, asid: Asid) -> Option<Pfn> {
        let at = self.held.iter().position(|&(other, owner, _)| (other, owner) == (number, asid))?;
        let used = self.held.remove(at);
        self.held.push(used);
        Some(used.2)
    }

    fn insert(&mut self, number: u64, asid: Asid, table: Pfn) {
        self.held.retain(|&(other, owner, _)| (other, owner) != (number, asid));
        let in_set = |other: &(u64, Asid, Pfn)| other.0 % self.sets == number % self.sets;
        if self.held.iter().filter(|&other| in_set(other)).count() == self.ways {
            let oldest = self.held.iter().position(in_set).unwrap();
            self.held.remove(oldest);
        }
        self.held.push((number, asid, table));
    }
}

#[derive(Clone, Debug)]
enum Op {
    Lookup(Vaddr, Asid),
    Insert(u8, Vaddr, Asid, u32),
    FlushAsid(Asid),
    FlushAll,
}

/// Addresses that share upper entries or do not.
fn vaddrs() -> impl Strategy<Value = Vaddr> {
    (0_u64..4, 0_u64..4, 0_u64..6).prop_map(|(a, b, c)| Vaddr(a << 39 | b << 30 | c << 21 | 0x1234))
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (vaddrs(), asids()).prop_map(|(vaddr, asid)| Op::Lookup(vaddr, asid)),
        20 => (1_u8..6, vaddrs(), asids(), 1_u32..1000).prop_map(|(level, vaddr, asid, table)| {
            Op::Insert(level, vaddr, asid, table)
        }),
        1 => asids().prop_map(Op::FlushAsid),
        1 => Just(Op::FlushAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn walk_cache_does_what_the_list_does(
        shape in prop::array::uniform3(prop::option::weighted(0.8, (1_u32..4, 1_u32..5))),
        ops in prop::collection::vec(ops(), 1..200),
    ) {
        let geometry = |(sets, ways)| WalkCacheGeometry { entries: sets * ways, ways };
        let spec = WalkCacheSpec { levels: shape.map(|level| level.map(geometry)).to_vec() };
        let mut cache = WalkCache::new(&spec, &spans()).unwrap();
        let mut model: Vec<Level> = (2..).zip(shape).filter_map(|(level, shape)| {
            let (sets, ways) = shape?;
            Some(Level { level, sets: sets.into(), ways: ways as usize, held: vec![], counters: Default::default() })
        }).collect();
        for op in ops {
            match op {
                Op::Lookup(vaddr, asid) => {
                    let mut expected = None;
                    for level in &mut model {
                        let number = level.number(vaddr);
                        expected = level.use_again(number, asid).map(|table| WalkCached { level: level.level, table });
                        if expected.is_some() {
                            level.counters.hits += 1;
                            break;
                        }
                        level.counters.misses += 1;
                    }
                    prop_assert_eq!(cache.lookup(vaddr, asid), expected);
                }
                Op::Insert(at, vaddr, asid, table) => {
                    cache.insert(at, vaddr, asid, Pfn(table));
                    for level in model.iter_mut().filter(|level| level.level == at) {
                        let number = level.number(vaddr);
                        level.insert(number, asid, Pfn(table));
                    }
                }
                Op::FlushAsid(asid) => {
                    let before: usize = model.iter().map(|level| level.held.len()).sum();
                    model.iter_mut().for_each(|level| level.held.retain(|&(_, owner, _)| owner != asid));
                    let after: usize = model.iter().map(|level| level.held.len()).sum();
                    prop_assert_eq!(cache.flush_asid(asid) as usize, before - after);
                }
                Op::FlushAll => {
                    let held: usize = model.iter_mut().map(|level| level.held.drain(..).count()).sum();
                    prop_assert_eq!(cache.flush_all() as usize, held);
                }
            }
            let counters: Vec<_> = model.iter().map(|level| (level.level, level.counters)).collect();
            prop_assert_eq!(cache.counters().collect::<Vec<_>>(), counters);
            prop_assert_eq!(cache.iter().count(), model.iter().map(|level| level.held.len()).sum::<usize>());
        }
    }
}

#[test]
fn the_deepest_entry_answers() {
    let array = Some(WalkCacheGeometry { entries: 4, ways: 4 });
    let mut cache = WalkCache::new(&WalkCacheSpec { levels: vec![array; 3] }, &spans()).unwrap();
    let asid = Asid::default();
    cache.insert(4, Vaddr(0), asid, Pfn(40));
    cache.insert(2, Vaddr(0x20_0000), asid, Pfn(20));
    assert_eq!(cache.lookup(Vaddr(0x20_1000), asid), Some(WalkCached { level: 2, table: Pfn(20) }));
    assert_eq!(cache.lookup(Vaddr(0x40_0000), asid), Some(WalkCached { level: 4, table: Pfn(40) }));
    assert_eq!(cache.lookup(Vaddr(0x20_0000), Asid::new(1).unwrap()), None);
}

#[test]
fn a_level_the_format_lacks_is_refused() {
    let array = Some(WalkCacheGeometry { entries: 4, ways: 4 });
    let error = WalkCache::new(&WalkCacheSpec { levels: vec![array; 4] }, &spans()).unwrap_err();
    assert_eq!(error.to_string(), "page-walk cache of level 5: the page-table format has only 4 levels");
    let odd = WalkCacheSpec { levels: vec![None, Some(WalkCacheGeometry { entries: 5, ways: 4 })] };
    let error = WalkCache::new(&odd, &spans()).unwrap_err();
    assert_eq!(error.to_string(), "page-walk cache of level 3: 5 entries do not fill whole sets of 4 ways");
}
