//! Walks, walk caches and TLBs of whole programs against a model that searches lists.
//!
//! Two processes take turns on one CPU over memory that is there already. The model knows which pages are mapped with
//! which rights; tables exist where a page below them does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use pagewalk_engine::{Class, CpuId, Purpose, Random, WaitQueue};
use pagewalk_kernel::{KernelConfig, Prot, Task, run_program, sys_fork, sys_mmap};
use pagewalk_mmu::{
    Access, AccessKind, BASE_SHIFT, Core, TlbCounters, TlbSideCounters, Vaddr, WalkCacheCounters,
    WalkCacheGeometry, WalkCacheSpec, WalkCounters,
};
use proptest::prelude::*;

use crate::common::{READ, Setup, access, fixed, load, process, start, tlb};

/// Entries in sets, each set with the entry used last at its end.
#[derive(Clone)]
struct Lru<T> {
    sets: Vec<Vec<((u64, usize), T)>>,
    ways: usize,
}

impl<T: Copy> Lru<T> {
    fn new(entries: u32, ways: u32) -> Self {
        Self { sets: vec![Vec::new(); (entries / ways) as usize], ways: ways as usize }
    }

    fn set(&mut self, number: u64) -> &mut Vec<((u64, usize), T)> {
        let sets = self.sets.len() as u64;
        &mut self.sets[(number % sets) as usize]
    }

    fn peek(&mut self, key: (u64, usize)) -> Option<T> {
        self.set(key.0).iter().find(|(known, _)| *known == key).map(|&(_, value)| value)
    }

    fn remove(&mut self, key: (u64, usize)) -> Option<T> {
        let set = self.set(key.0);
        let place = set.iter().position(|(known, _)| *known == key)?;
        Some(set.remove(place).1)
    }

    /// Makes it the entry used last; says whether another had to go.
    fn put(&mut self, key: (u64, usize), value: T) -> bool {
        self.remove(key);
        let ways = self.ways;
        let set = self.set(key.0);
        set.push((key, value));
        let full = set.len() > ways;
        if full {
            set.remove(0);
        }
        full
    }

    fn forget(&mut self, asid: usize) -> u64 {
        let before: usize = self.sets.iter().map(Vec::len).sum();
        self.sets.iter_mut().for_each(|set| set.retain(|((_, owner), _)| *owner != asid));
        (before - self.sets.iter().map(Vec::len).sum::<usize>()) as u64
    }
}

#[derive(Clone, Copy)]
struct Page {
    writable: bool,
    accessed: bool,
    dirty: bool,
}

impl Page {
    fn grants(self, kind: AccessKind) -> bool {
        match kind {
            AccessKind::Load => true,
            AccessKind::Store | AccessKind::Modify => self.writable,
            AccessKind::Fetch => false,
        }
    }
}

struct Model {
    levels: u8,
    tagged: bool,
    spaces: [BTreeMap<u64, Page>; 2],
    l1: [Lru<Page>; 2],
    l2: Option<Lru<Page>>,
    caches: Vec<Option<Lru<()>>>,
    last: Option<usize>,
    walks: WalkCounters,
    tlb: TlbCounters,
    cache_counters: Vec<WalkCacheCounters>,
}

/// The number of what an entry of `level` spans.
fn span_number(vpn: u64, level: u8) -> u64 {
    vpn >> (9 * (level - 1))
}

impl Model {
    fn switch(&mut self, process: usize) {
        if !self.tagged && self.last.is_some_and(|last| last != process) {
            self.tlb.invalidated += self.arrays().map(|array| array.forget(0)).sum::<u64>();
            self.caches.iter_mut().flatten().for_each(|cache| drop(cache.forget(0)));
        }
        self.last = Some(process);
    }

    fn arrays(&mut self) -> impl Iterator<Item = &mut Lru<Page>> {
        self.l1.iter_mut().chain(&mut self.l2)
    }

    fn touch(&mut self, process: usize, vpn: u64, kind: AccessKind) {
        let key = (vpn, if self.tagged { process } else { 0 });
        let side = usize::from(kind != AccessKind::Fetch);
        let serves = |page: Page| page.grants(kind) && (kind == AccessKind::Load || page.dirty);
        let in_l1 = self.l1[side].peek(key);
        let in_l2 = self.l2.as_mut().and_then(|array| array.peek(key));
        let counters = if side == 0 { &mut self.tlb.fetch } else { &mut self.tlb.data };
        if let Some(page) = in_l1.filter(|&page| serves(page)) {
            counters.l1_hits += 1;
            self.l1[side].put(key, page);
        } else if let Some(page) = in_l2.filter(|&page| serves(page)) {
            counters.l2_hits += 1;
            counters.evictions += u64::from(self.l1[side].put(key, page));
            self.l2.as_mut().expect("it hit").put(key, page);
        } else {
            counters.misses += 1;
            counters.upgrades += u64::from(in_l1.is_some() || in_l2.is_some());
            self.walk(process, key, side, kind);
        }
    }

    /// The level of the first table that is read: below the deepest entry cached, or the root.
    fn first_level(&mut self, (vpn, asid): (u64, usize)) -> u8 {
        for level in 2..=self.levels {
            let Some(Some(cache)) = self.caches.get_mut(usize::from(level) - 2) else { continue };
            let key = (span_number(vpn, level), asid);
            if cache.peek(key).is_some() {
                cache.put(key, ());
                self.cache_counters[usize::from(level) - 2].hits += 1;
                return level - 1;
            }
            self.cache_counters[usize::from(level) - 2].misses += 1;
        }
        self.levels
    }

    fn walk(&mut self, process: usize, key: (u64, usize), side: usize, kind: AccessKind) {
        let (vpn, asid) = key;
        self.walks.walks += 1;
        for level in (1..=self.first_level(key)).rev() {
            self.walks.steps += 1;
            let below = |&page: &u64| span_number(page, level) == span_number(vpn, level);
            if !self.spaces[process].keys().any(below) {
                self.walks.faulting += 1;
                return;
            }
            if level > 1
                && let Some(cache) = &mut self.caches[usize::from(level) - 2]
            {
                cache.put((span_number(vpn, level), asid), ());
            }
        }
        let page = self.spaces[process].get_mut(&vpn).expect("present at level 1");
        if !page.grants(kind) {
            self.walks.faulting += 1;
            self.tlb.invalidated += self.arrays().filter_map(|array| array.remove(key)).count() as u64;
            self.caches.iter_mut().flatten().for_each(|cache| drop(cache.forget(asid)));
            return;
        }
        let stores = kind != AccessKind::Load;
        self.walks.accessed_set += u64::from(!page.accessed);
        self.walks.dirty_set += u64::from(stores && !page.dirty);
        *page = Page { accessed: true, dirty: page.dirty || stores, ..*page };
        let filled = *page;
        let evicted = self.l1[side].put(key, filled);
        let evicted_l2 = self.l2.as_mut().is_some_and(|array| array.put(key, filled));
        let counters = if side == 0 { &mut self.tlb.fetch } else { &mut self.tlb.data };
        counters.fills += 1;
        counters.evictions += u64::from(evicted) + u64::from(evicted_l2);
    }
}

/// What is at an address, by its fourth lowest part: a page shared since a fork, an own page, a page that may only be read,
/// or nothing.
const SHARED: u64 = 1;
const OWN: u64 = 2;
const READ_ONLY: u64 = 3;

/// Address `n`: spread over few entries of every level, so that tables are shared by some and not by all.
fn address(n: u16, levels: u8) -> Vaddr {
    let n = u64::from(n);
    let parts = [1 + n % 4, n / 4 % 3, n / 12 % 2, n / 24 % 3, if levels == 5 { n / 72 % 2 } else { 0 }];
    Vaddr(parts.iter().enumerate().map(|(level, part)| part << (BASE_SHIFT + 9 * level as u32)).sum())
}

/// Addresses of one kind that are mapped: all but those of the last top-level part.
fn mapped(kind: u64, levels: u8) -> Vec<Vaddr> {
    let all = (0..144).map(|n| address(n, levels)).filter(|&address| address.0 >> BASE_SHIFT & 7 == kind);
    let mut mapped: Vec<Vaddr> = all.filter(|address| address.0 >> 39 & 3 != 2).collect();
    mapped.sort_unstable();
    mapped.dedup();
    mapped
}

async fn prefault(task: &Task, kind: u64, levels: u8, prot: Prot) {
    for address in mapped(kind, levels) {
        sys_mmap(task, fixed(address, 1, prot)).await.unwrap();
        assert!(load(task, address).await);
    }
}

static TURN: Class = Class::new(252, "turn");

struct Case {
    levels: u8,
    turns: Vec<(bool, Vec<(u16, u8)>)>,
    next: Cell<usize>,
    ready: Cell<u32>,
    turn: WaitQueue,
    /// Counters when the turns began, and when they were over.
    begun: RefCell<Counted>,
    over: RefCell<Counted>,
}

/// What the hardware of a CPU has counted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Counted {
    walks: WalkCounters,
    tlb: TlbCounters,
    caches: Vec<WalkCacheCounters>,
}

impl Counted {
    fn of(core: &Core) -> Self {
        let caches = core.walk_caches().borrow().counters().map(|(_, counters)| counters).collect();
        Self { walks: core.walks(), tlb: core.tlb().borrow().counters(), caches }
    }

    /// As plain numbers, in a fixed order.
    fn numbers(&self) -> Vec<u64> {
        let WalkCounters { walks, steps, faulting, accessed_set, dirty_set, retries } = self.walks;
        let mut numbers =
            vec![walks, steps, faulting, accessed_set, dirty_set, retries, self.tlb.invalidated];
        for side in [self.tlb.fetch, self.tlb.data] {
            let TlbSideCounters { l1_hits, l2_hits, misses, upgrades, fills, evictions } = side;
            numbers.extend([l1_hits, l2_hits, misses, upgrades, fills, evictions]);
        }
        numbers.extend(self.caches.iter().flat_map(|cache| [cache.hits, cache.misses]));
        numbers
    }
}

impl Case {
    /// The accesses of a turn; shared pages are not written, for that would copy them.
    fn accesses(&self, turn: usize) -> Vec<Access> {
        let kinds = [AccessKind::Load, AccessKind::Store, AccessKind::Modify, AccessKind::Fetch];
        let one = |&(n, kind): &(u16, u8)| {
            let address = address(n, self.levels);
            let kind = kinds[[0, 0, 0, 1, 1, 1, 2, 3][usize::from(kind % 8)]];
            let shared = address.0 >> BASE_SHIFT & 7 == SHARED;
            access(address, if shared && kind.is_write() { AccessKind::Load } else { kind })
        };
        self.turns[turn].1.iter().map(one).collect()
    }
}

async fn take_turns(case: &Case, task: &Task, number: usize) {
    prefault(task, OWN, case.levels, Prot::RW).await;
    prefault(task, READ_ONLY, case.levels, READ).await;
    case.ready.set(case.ready.get() + 1);
    case.turn.wake_up(task);
    case.turn.wait_event(task, || case.ready.get() == 2).await;
    if number == 0 {
        let core = task.kernel().hw.core(CpuId(0));
        core.flush_all();
        case.begun.replace(Counted::of(core));
        case.ready.set(3);
        case.turn.wake_up(task);
    }
    loop {
        let mine = || {
            let turn = case.turns.get(case.next.get());
            case.ready.get() > 2 && turn.is_none_or(|&(second, _)| usize::from(second) == number)
        };
        case.turn.wait_event(task, mine).await;
        if case.next.get() == case.turns.len() {
            return;
        }
        run_program(task, &case.accesses(case.next.get())).await;
        case.next.set(case.next.get() + 1);
        case.over.replace(Counted::of(task.kernel().hw.core(CpuId(0))));
        case.turn.wake_up(task);
    }
}

/// Runs the turns on a machine; yields what was counted meanwhile.
fn on_a_machine(setup: &Setup, turns: Vec<(bool, Vec<(u16, u8)>)>) -> (Rc<Case>, Vec<u64>) {
    let case = Rc::new(Case {
        levels: setup.levels,
        turns,
        next: Cell::new(0),
        ready: Cell::new(0),
        turn: WaitQueue::new(&TURN, 0),
        begun: RefCell::default(),
        over: RefCell::default(),
    });
    setup.run(|kernel| {
        let (case, child) = (Rc::clone(&case), Rc::clone(&case));
        process(kernel, 0, 1, async move |task: &Task| {
            prefault(task, SHARED, case.levels, Prot::RW).await;
            let mm = sys_fork(task).await.unwrap();
            let body = async move |task: &Task| take_turns(&child, task, 1).await;
            start(task.kernel(), 0, mm, 2, 2, body);
            take_turns(&case, task, 0).await;
        });
    });
    let (begun, over) = (case.begun.borrow().numbers(), case.over.borrow().numbers());
    let counted = over.iter().zip(&begun).map(|(over, begun)| over - begun).collect();
    (case, counted)
}

/// The same turns in the model.
fn in_the_model(setup: &Setup, case: &Case, l1: (u32, u32), l2: Option<(u32, u32)>) -> Vec<u64> {
    let space = |child: bool| {
        let page = |writable, accessed| Page { writable, accessed, dirty: false };
        let of = |kind, page| mapped(kind, setup.levels).into_iter().map(move |at| (at.vpn().0, page));
        let shared = of(SHARED, page(false, !child));
        shared.chain(of(OWN, page(true, true))).chain(of(READ_ONLY, page(false, true))).collect()
    };
    let caches: Vec<Option<WalkCacheGeometry>> = setup.walk_caches.levels.clone();
    let mut model = Model {
        levels: setup.levels,
        tagged: setup.config.pcid,
        spaces: [space(false), space(true)],
        l1: [Lru::new(l1.0, l1.1), Lru::new(l1.0, l1.1)],
        l2: l2.map(|(entries, ways)| Lru::new(entries, ways)),
        caches: caches.iter().map(|cache| cache.map(|cache| Lru::new(cache.entries, cache.ways))).collect(),
        last: None,
        walks: WalkCounters::default(),
        tlb: TlbCounters::default(),
        cache_counters: vec![WalkCacheCounters::default(); caches.len()],
    };
    model.caches.resize_with(usize::from(setup.levels) - 1, || None);
    for (turn, &(second, _)) in case.turns.iter().enumerate() {
        model.switch(usize::from(second));
        for access in case.accesses(turn) {
            model.touch(usize::from(second), access.vaddr().vpn().0, access.kind());
        }
    }
    let cached = model.cache_counters.iter().zip(&caches).filter(|(_, cache)| cache.is_some());
    let caches = cached.map(|(&counters, _)| counters).collect();
    Counted { walks: model.walks, tlb: model.tlb, caches }.numbers()
}

fn geometry() -> impl Strategy<Value = (u32, u32)> {
    (1..4_u32, 1..4_u32).prop_map(|(sets, ways)| (sets * ways, ways))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn walks_and_hits_at_every_level_are_those_of_lists_searched_one_by_one(
        l1 in geometry(),
        l2 in proptest::option::of(geometry()),
        caches in proptest::collection::vec(proptest::option::of(geometry()), 0..4),
        levels in 4..6_u8,
        pcid: bool,
        turns in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec((0..144_u16, any::<u8>()), 1..60)),
            1..12,
        ),
    ) {
        let geometry = |cache: Option<(u32, u32)>| cache.map(|(entries, ways)| WalkCacheGeometry { entries, ways });
        let setup = Setup {
            levels,
            tlb: tlb(l1.0, l1.1, l2),
            walk_caches: WalkCacheSpec { levels: caches.into_iter().map(geometry).collect() },
            config: KernelConfig { pcid, ..KernelConfig::default() },
            ..Setup::default()
        };
        let (case, counted) = on_a_machine(&setup, turns);
        prop_assert_eq!(counted, in_the_model(&setup, &case, l1, l2));
    }
}

#[test]
fn the_random_turns_set_accessed_and_dirty_bits_and_meet_every_end_of_a_walk() {
    let mut random = Random::new(3, Purpose::Workload);
    let mut turn =
        |second| (second, (0..200).map(|_| (random.below(144) as u16, random.below(8) as u8)).collect());
    let turns = vec![turn(false), turn(true), turn(false), turn(true)];
    let setup = Setup::default();
    let (case, counted) = on_a_machine(&setup, turns);
    assert_eq!(counted, in_the_model(&setup, &case, (8, 4), Some((16, 4))));
    let [walks, steps, faulting, accessed_set, dirty_set, ..] = counted[..] else {
        panic!("five numbers at least")
    };
    assert!(
        walks > 400 && steps > walks && faulting > 100 && accessed_set >= 8 && dirty_set >= 16,
        "{counted:?}"
    );
}
