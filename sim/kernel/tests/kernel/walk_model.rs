//! A model of walks, walk caches and TLBs that searches lists, and what it and the hardware count.

use std::collections::BTreeMap;

use pagewalk_mmu::{AccessKind, Core, TlbCounters, TlbSideCounters, WalkCacheCounters, WalkCounters};

/// What the hardware of a CPU has counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counted {
    pub(crate) walks: WalkCounters,
    pub(crate) tlb: TlbCounters,
    pub(crate) caches: Vec<WalkCacheCounters>,
}

impl Counted {
    pub(crate) fn of(core: &Core) -> Self {
        let caches = core.walk_caches().borrow().counters().map(|(_, counters)| counters).collect();
        Self { walks: core.walks(), tlb: core.tlb().borrow().counters(), caches }
    }

    /// As plain numbers, in a fixed order.
    pub(crate) fn numbers(&self) -> Vec<u64> {
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

/// Entries in sets, each set with the entry used last at its end.
#[derive(Clone)]
pub(crate) struct Lru<T> {
    sets: Vec<Vec<((u64, usize), T)>>,
    ways: usize,
}

impl<T: Copy> Lru<T> {
    pub(crate) fn new(entries: u32, ways: u32) -> Self {
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
pub(crate) struct Page {
    pub(crate) writable: bool,
    pub(crate) accessed: bool,
    pub(crate) dirty: bool,
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

pub(crate) struct Model {
    pub(crate) levels: u8,
    pub(crate) tagged: bool,
    pub(crate) spaces: [BTreeMap<u64, Page>; 2],
    pub(crate) l1: [Lru<Page>; 2],
    pub(crate) l2: Option<Lru<Page>>,
    pub(crate) caches: Vec<Option<Lru<()>>>,
    pub(crate) last: Option<usize>,
    pub(crate) walks: WalkCounters,
    pub(crate) tlb: TlbCounters,
    pub(crate) cache_counters: Vec<WalkCacheCounters>,
}

/// The number of what an entry of `level` spans.
pub(crate) fn span_number(vpn: u64, level: u8) -> u64 {
    vpn >> (9 * (level - 1))
}

impl Model {
    pub(crate) fn switch(&mut self, process: usize) {
        if !self.tagged && self.last.is_some_and(|last| last != process) {
            self.tlb.invalidated += self.arrays().map(|array| array.forget(0)).sum::<u64>();
            for cache in self.caches.iter_mut().flatten() {
                cache.forget(0);
            }
        }
        self.last = Some(process);
    }

    fn arrays(&mut self) -> impl Iterator<Item = &mut Lru<Page>> {
        self.l1.iter_mut().chain(&mut self.l2)
    }

    pub(crate) fn touch(&mut self, process: usize, vpn: u64, kind: AccessKind) {
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
            for cache in self.caches.iter_mut().flatten() {
                cache.forget(asid);
            }
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
