//! Walks, walk caches and TLBs of whole programs against a model that searches lists.
//!
//! Two processes take turns on one CPU over memory that is there already. The model knows which pages are mapped with
//! which rights; tables exist where a page below them does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pagewalk_engine::{Class, CpuId, Purpose, Random, WaitQueue};
use pagewalk_kernel::{Call, KernelConfig, Prot, Task, run_program};
use pagewalk_mmu::{
    Access, AccessKind, BASE_SHIFT, TlbCounters, Vaddr, WalkCacheCounters, WalkCacheGeometry, WalkCacheSpec,
    WalkCounters,
};
use proptest::prelude::*;

use crate::common::{READ, Setup, access, address_space, call, fixed, load, process, start, tlb};
use crate::walk_model::{Counted, Lru, Model, Page};

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
        call(task, Call::Mmap(fixed(address, 1, prot))).await.expect("the call is right");
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
            let mm = address_space(task, Call::Fork).await;
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
