//! One set-associative TLB array of any geometry.
//!
//! The layout is for the lookup: a fingerprint per way tells which slots to compare ([`Search`]), and a slot has the tag
//! and one word of payload side by side. A tag is the address of the page with the address-space id in the twelve bits
//! below it; validity, size and globality are in the payload. A global entry has id 0 in its tag.

use super::recency::Recency;
use super::search::Search;
use super::slot::{Place, Slot, TlbTag};
use super::{Payload, Rights, TlbEntry, TlbGeometry};
use crate::{Asid, BASE_SHIFT, PageSize, SpecError, Vaddr};

/// Hints of an array that has them: a multiple of the entries of common first levels, and few cache lines.
const HINTS: usize = 1 << 9;

/// The entries of one page size.
#[derive(Clone, Copy, Debug)]
struct SizeClass {
    size: PageSize,
    /// Valid entries of this size, and the global ones among them: a lookup skips what is not there.
    live: u32,
    live_global: u32,
}

/// What a search found.
pub(crate) enum Probe {
    /// An entry grants the access.
    Hit {
        place: Place,
        payload: Payload,
        /// One that does not was found before it.
        passed_over: bool,
    },
    /// There is an entry, and it does not grant the access.
    Denied,
    Absent,
}

/// A set-associative (or fully associative) array of translations. At most one entry has any given tag.
#[derive(Clone, Debug)]
pub struct TlbArray {
    geometry: TlbGeometry,
    ways: usize,
    sets: u64,
    /// `sets - 1` if that can be used as a mask.
    set_mask: Option<u64>,
    pub(super) slots: Vec<Slot>,
    pub(super) recency: Recency,
    search: Search,
    /// By the shift of a page size: what [`TlbArray::largest_held`] tells.
    held: [Option<PageSize>; 64],
    /// Ascending by size.
    classes: Vec<SizeClass>,
    /// Valid entries.
    live: u32,
    /// Valid entries that are a part of a larger page.
    fragments: u32,
    /// For the entries that a probe looks for first, those of the smallest size that are not global: the mask that
    /// gives the page, and their class.
    first_page: u64,
    first_class: u64,
    /// Where such an entry was found last, by a hash of the page. Only the entry there tells whether that is still so.
    hints: Option<Box<[Place; HINTS]>>,
}

impl TlbArray {
    /// An empty array.
    ///
    /// # Errors
    /// If the geometry does not [validate](TlbGeometry::validate).
    pub fn new(geometry: TlbGeometry) -> Result<Self, SpecError> {
        geometry.validate()?;
        let (entries, ways) = (geometry.entries as usize, geometry.ways as usize);
        let sets = u64::from(geometry.sets());
        let smallest = geometry.sizes.smallest().expect("a valid geometry has a size");
        Ok(Self {
            geometry,
            ways,
            sets,
            set_mask: sets.is_power_of_two().then_some(sets - 1),
            slots: vec![Slot::default(); entries],
            recency: Recency::new(&geometry),
            search: Search::new(geometry.sets() as usize, ways),
            classes: geometry.sizes.iter().map(|size| SizeClass { size, live: 0, live_global: 0 }).collect(),
            held: std::array::from_fn(|shift| {
                geometry.sizes.iter().filter(|size| size.shift() as usize <= shift).last()
            }),
            live: 0,
            fragments: 0,
            first_page: !(smallest.bytes() - 1),
            first_class: Payload::class(smallest, false),
            hints: None,
        })
    }

    /// The same array with hints, which make hits faster and insertions slower.
    pub(crate) fn with_hints(mut self) -> Self {
        self.hints = Some(Box::new([Place::default(); HINTS]));
        self
    }

    /// Back to what `kept` is, which was cloned from it. Hints stay: they are good for what they are worth at any time.
    pub(crate) fn set_back(&mut self, kept: &Self) {
        self.slots.clone_from(&kept.slots);
        self.recency.set_back(&kept.recency);
        self.search.set_back(&kept.search);
        self.classes.clone_from(&kept.classes);
        (self.live, self.fragments) = (kept.live, kept.fragments);
    }

    /// The geometry it was made with.
    #[must_use]
    pub fn geometry(&self) -> &TlbGeometry {
        &self.geometry
    }

    /// Valid entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live as usize
    }

    /// True if no entry is valid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry that translates `vaddr`, and makes it the most recently used one of its set.
    ///
    /// If several do (an operating system must not let that happen), the smallest page wins, and an entry of the address
    /// space before a global one.
    pub fn lookup(&mut self, vaddr: Vaddr, asid: Asid) -> Option<TlbEntry> {
        self.lookup_payload(vaddr, asid).map(Payload::unpack)
    }

    /// [`TlbArray::lookup`], packed.
    #[inline]
    pub(crate) fn lookup_payload(&mut self, vaddr: Vaddr, asid: Asid) -> Option<Payload> {
        let (place, payload) = match self.predict(vaddr, asid, Rights::ANY) {
            Some(predicted) => predicted,
            None => match self.probe(vaddr, asid, Rights::ANY) {
                Probe::Hit { place, payload, .. } => (place, payload),
                Probe::Denied | Probe::Absent => return None,
            },
        };
        self.touch(place);
        Some(payload)
    }

    /// The entry that translates `vaddr`, leaving the replacement state as it is.
    #[must_use]
    pub fn peek(&self, vaddr: Vaddr, asid: Asid) -> Option<TlbEntry> {
        let Probe::Hit { payload, .. } = self.probe(vaddr, asid, Rights::ANY) else { return None };
        Some(payload.unpack())
    }

    /// What [`TlbArray::probe`] would hit, if that is an entry of the smallest size, not global, and where the hint
    /// says: such an entry comes before all others around `vaddr`, and at most one has its tag.
    #[inline(always)]
    pub(crate) fn predict(&self, vaddr: Vaddr, asid: Asid, need: Rights) -> Option<(Place, Payload)> {
        let place = self.hints.as_ref()?[hint_of(vaddr)];
        let slot = self.slots[place.slot as usize];
        let tag = vaddr.0 & self.first_page | u64::from(asid.raw());
        let hit = slot.tag == tag && slot.payload.is_of_and_grants(self.first_class, need);
        hit.then_some((place, slot.payload))
    }

    /// The first entry around `vaddr` that grants `need`.
    #[inline]
    pub(crate) fn probe(&self, vaddr: Vaddr, asid: Asid, need: Rights) -> Probe {
        let mut denied = false;
        for class in &self.classes {
            if class.live == 0 {
                continue;
            }
            let page = vaddr.align_down(class.size).0;
            let set = self.set_of(vaddr, class.size);
            let local = self.find(set, page | u64::from(asid.raw()), Payload::class(class.size, false));
            let global = || self.find(set, page, Payload::class(class.size, true));
            if let Some(slot) = local {
                match self.hit(set, slot, need, denied) {
                    Some(hit) => return hit,
                    None => denied = true,
                }
            }
            if class.live_global > 0
                && let Some(slot) = global()
            {
                match self.hit(set, slot, need, denied) {
                    Some(hit) => return hit,
                    None => denied = true,
                }
            }
        }
        if denied { Probe::Denied } else { Probe::Absent }
    }

    #[inline]
    fn hit(&self, set: usize, slot: usize, need: Rights, passed_over: bool) -> Option<Probe> {
        let payload = self.slots[slot].payload;
        let place = Place { set: set as u32, slot: slot as u32 };
        payload.grants(need).then_some(Probe::Hit { place, payload, passed_over })
    }

    /// Makes the entry in `place` the most recently used one of its set.
    #[inline(always)]
    pub(crate) fn touch(&mut self, place: Place) {
        self.recency.touch(place.set as usize, place.slot as usize);
    }

    /// Has the next access of the page find the entry at once, if it is of the class that hints are for.
    #[inline]
    pub(crate) fn hint(&mut self, vaddr: Vaddr, place: Place, payload: Payload) {
        if let Some(hints) = &mut self.hints
            && payload.is_of(self.first_class)
        {
            hints[hint_of(vaddr)] = place;
        }
    }

    /// Files `entry` for the page around `vaddr` and makes it the most recently used one of its set. An entry with the
    /// same tag is replaced in place; else a full set gives up an entry, which is returned.
    ///
    /// If the array does not hold pages of this size, only the fragment around `vaddr`, of the largest smaller size that
    /// it does hold, is filed. If it holds no smaller size either, nothing is.
    pub fn insert(&mut self, vaddr: Vaddr, asid: Asid, entry: &TlbEntry) -> Option<(TlbTag, TlbEntry)> {
        self.insert_payload(vaddr, asid, Payload::whole(entry), false).and_then(Slot::filed)
    }

    /// [`TlbArray::insert`] of an entry that may itself be a part of a larger page. With `absent` the caller knows that a
    /// probe around `vaddr` would find nothing.
    #[inline]
    pub(crate) fn insert_payload(
        &mut self,
        vaddr: Vaddr,
        asid: Asid,
        entry: Payload,
        absent: bool,
    ) -> Option<Slot> {
        let held = self.largest_held(entry.size())?;
        let payload = entry.part(vaddr, held);
        let set = self.set_of(vaddr, held);
        let id = if payload.is_global() { 0 } else { u64::from(asid.raw()) };
        let new = Slot { tag: vaddr.align_down(held).0 | id, payload };
        let base = set * self.ways;
        let same = if absent { None } else { self.find(set, new.tag, payload.class_bits()) };
        let (slot, evicted) = match same {
            Some(slot) => (slot, None),
            None => {
                let free = || {
                    let is_valid = |slot: usize| self.slots[slot].payload.is_valid();
                    let any = self.len() < self.slots.len();
                    any.then(|| self.search.free_way(set, self.ways, is_valid)).flatten()
                };
                let way = self.recency.victim(set, free);
                let old = self.slots[base + way];
                let old = old.payload.is_valid().then_some(old);
                self.search.set(set, way, base + way, old.map(|old| old.tag), new.tag);
                (base + way, old)
            }
        };
        let old = self.slots[slot].payload;
        if old.shape_bits() != payload.shape_bits() {
            self.count(old, u32::wrapping_sub);
            self.count(payload, u32::wrapping_add);
        }
        self.slots[slot] = new;
        let place = Place { set: set as u32, slot: slot as u32 };
        self.touch(place);
        self.hint(vaddr, place, payload);
        evicted
    }

    /// Removes every entry that translates `vaddr` for `asid`, global entries included, and every fragment of a page
    /// around `vaddr`, as INVLPG does (Intel SDM volume 3, section 4.10.4.1). Returns how many there were.
    pub fn invalidate_page(&mut self, vaddr: Vaddr, asid: Asid) -> u32 {
        if self.fragments > 0 {
            let asid = u64::from(asid.raw());
            return self.remove_if(|tag, payload| {
                let page = Vaddr(tag).align_down(payload.origin());
                page == vaddr.align_down(payload.origin())
                    && (payload.is_global() || tag & u64::from(Asid::MAX) == asid)
            });
        }
        let mut removed = 0;
        for class in 0..self.classes.len() {
            let SizeClass { size, live, .. } = self.classes[class];
            if live == 0 {
                continue;
            }
            let set = self.set_of(vaddr, size);
            let page = vaddr.align_down(size).0;
            for (tag, global) in [(page | u64::from(asid.raw()), false), (page, true)] {
                if let Some(slot) = self.find(set, tag, Payload::class(size, global)) {
                    self.clear(set, slot);
                    removed += 1;
                }
            }
        }
        removed
    }

    /// Removes the entries of `asid`, not the global ones. Returns how many there were.
    pub fn flush_asid(&mut self, asid: Asid) -> u32 {
        let asid = u64::from(asid.raw());
        self.remove_if(|tag, payload| !payload.is_global() && tag & u64::from(Asid::MAX) == asid)
    }

    /// Removes all entries but the global ones. Returns how many there were.
    pub fn flush_non_global(&mut self) -> u32 {
        self.remove_if(|_, payload| !payload.is_global())
    }

    /// Removes all entries. Returns how many there were.
    pub fn flush_all(&mut self) -> u32 {
        self.remove_if(|_, _| true)
    }

    /// The valid entries, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (TlbTag, TlbEntry)> {
        self.slots.iter().copied().filter_map(Slot::filed)
    }

    /// The largest size it can hold of a page of `size`, or `None` if it holds only larger ones.
    #[inline]
    pub(crate) fn largest_held(&self, size: PageSize) -> Option<PageSize> {
        self.held[size.shift() as usize % 64]
    }

    fn remove_if(&mut self, doomed: impl Fn(u64, Payload) -> bool) -> u32 {
        if self.is_empty() {
            return 0;
        }
        let mut removed = 0;
        for set in 0..self.sets as usize {
            for slot in set * self.ways..(set + 1) * self.ways {
                let Slot { tag, payload } = self.slots[slot];
                if payload.is_valid() && doomed(tag, payload) {
                    self.clear(set, slot);
                    removed += 1;
                }
            }
        }
        removed
    }

    /// Makes the valid `slot` of `set` invalid.
    fn clear(&mut self, set: usize, slot: usize) {
        let Slot { tag, payload } = self.slots[slot];
        self.count(payload, u32::wrapping_sub);
        self.search.clear(set, slot - set * self.ways, slot, tag);
        self.slots[slot] = Slot::default();
        self.recency.forget(slot);
    }

    /// Counts an entry, if it is valid, as one more or one less.
    fn count(&mut self, payload: Payload, change: impl Fn(u32, u32) -> u32) {
        if !payload.is_valid() {
            return;
        }
        self.live = change(self.live, 1);
        let size = payload.size();
        let class =
            self.classes.iter_mut().find(|class| class.size == size).expect("an entry is of a class held");
        class.live = change(class.live, 1);
        class.live_global = change(class.live_global, u32::from(payload.is_global()));
        self.fragments = change(self.fragments, u32::from(payload.is_fragment()));
    }

    #[inline]
    fn set_of(&self, vaddr: Vaddr, size: PageSize) -> usize {
        let number = vaddr.0 >> size.shift();
        let set = match self.set_mask {
            Some(mask) => number & mask,
            None => number % self.sets,
        };
        set as usize
    }

    /// The slot in `set` with this tag and class: several can have the tag, of different classes.
    #[inline]
    fn find(&self, set: usize, tag: u64, class: u64) -> Option<usize> {
        self.search.find(set, set * self.ways, tag, |slot| {
            let slot = self.slots[slot];
            slot.tag == tag && slot.payload.is_of(class)
        })
    }
}

/// The position of the hint for the base page around `vaddr`.
#[inline(always)]
fn hint_of(vaddr: Vaddr) -> usize {
    let page = vaddr.0 >> BASE_SHIFT;
    (page ^ page >> 9) as usize % HINTS
}
