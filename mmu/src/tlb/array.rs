//! One set-associative TLB array of any geometry.
//!
//! The layout is for the lookup: tags in one vector, contiguous per set, and one word of payload per slot in another,
//! read only when a tag matches. A tag is the address of the page with the address-space id in the twelve bits below
//! it; validity, size and globality are in the payload. A global entry has id 0 in its tag.

use super::recency::Recency;
use super::tag_index::TagIndex;
use super::{Payload, Rights, TlbEntry, TlbGeometry};
use crate::{Asid, PageSize, SpecError, Vaddr};

/// Sets wider than this are searched through an index.
const SCANNED_WAYS: usize = 16;

/// What an entry is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlbTag {
    /// First address of the page.
    pub page: Vaddr,
    /// Size of the page.
    pub size: PageSize,
    /// The address space, or `None` for a global entry.
    pub asid: Option<Asid>,
}

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
        slot: usize,
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
    tags: Vec<u64>,
    payloads: Vec<Payload>,
    recency: Recency,
    index: Option<TagIndex>,
    /// Ascending by size.
    classes: Vec<SizeClass>,
    /// Valid entries that are a part of a larger page.
    fragments: u32,
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
        Ok(Self {
            geometry,
            ways,
            sets,
            set_mask: sets.is_power_of_two().then_some(sets - 1),
            tags: vec![0; entries],
            payloads: vec![Payload::default(); entries],
            recency: Recency::new(&geometry),
            index: (ways > SCANNED_WAYS).then(|| TagIndex::new(entries)),
            classes: geometry.sizes.iter().map(|size| SizeClass { size, live: 0, live_global: 0 }).collect(),
            fragments: 0,
        })
    }

    /// The geometry it was made with.
    #[must_use]
    pub fn geometry(&self) -> &TlbGeometry {
        &self.geometry
    }

    /// Valid entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classes.iter().map(|class| class.live as usize).sum()
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
        let Probe::Hit { slot, .. } = self.probe(vaddr, asid, Rights::ANY) else { return None };
        self.touch(slot);
        Some(self.payloads[slot].unpack())
    }

    /// The entry that translates `vaddr`, leaving the replacement state as it is.
    #[must_use]
    pub fn peek(&self, vaddr: Vaddr, asid: Asid) -> Option<TlbEntry> {
        let Probe::Hit { slot, .. } = self.probe(vaddr, asid, Rights::ANY) else { return None };
        Some(self.payloads[slot].unpack())
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
            if let Some(slot) =
                self.find(set, page | u64::from(asid.raw()), Payload::class(class.size, false))
            {
                if self.payloads[slot].grants(need) {
                    return Probe::Hit { slot, passed_over: denied };
                }
                denied = true;
            }
            if class.live_global == 0 {
                continue;
            }
            if let Some(slot) = self.find(set, page, Payload::class(class.size, true)) {
                if self.payloads[slot].grants(need) {
                    return Probe::Hit { slot, passed_over: denied };
                }
                denied = true;
            }
        }
        if denied { Probe::Denied } else { Probe::Absent }
    }

    /// Makes the entry in `slot` the most recently used one of its set.
    #[inline]
    pub(crate) fn touch(&mut self, slot: usize) {
        let ways = self.ways;
        // 32-bit division is the faster one, and there are at most 2^20 slots.
        self.recency
            .touch(slot, || ((slot as u32 / ways as u32) as usize, (slot as u32 % ways as u32) as usize));
    }

    #[inline]
    pub(crate) fn payload(&self, slot: usize) -> Payload {
        self.payloads[slot]
    }

    /// Files `entry` for the page around `vaddr` and makes it the most recently used one of its set. An entry with the
    /// same tag is replaced in place; else a full set gives up an entry, which is returned.
    ///
    /// If the array does not hold pages of this size, only the fragment around `vaddr`, of the largest smaller size that
    /// it does hold, is filed. If it holds no smaller size either, nothing is.
    pub fn insert(&mut self, vaddr: Vaddr, asid: Asid, entry: &TlbEntry) -> Option<(TlbTag, TlbEntry)> {
        self.insert_part(vaddr, asid, entry, entry.size)
    }

    /// [`TlbArray::insert`] of an entry that is itself a part of a page of size `origin`.
    pub(crate) fn insert_part(
        &mut self,
        vaddr: Vaddr,
        asid: Asid,
        entry: &TlbEntry,
        origin: PageSize,
    ) -> Option<(TlbTag, TlbEntry)> {
        let class = self.class_for(entry.size)?;
        let held = self.classes[class].size;
        let set = self.set_of(vaddr, held);
        let payload = Payload::pack(entry, vaddr, held, origin);
        let id = if entry.global { 0 } else { u64::from(asid.raw()) };
        let tag = vaddr.align_down(held).0 | id;
        let same = self.find(set, tag, Payload::class(held, entry.global));
        let base = set * self.ways;
        let slot = same.unwrap_or_else(|| {
            base + self.recency.victim(set, base, self.ways, |slot| self.payloads[slot].is_valid())
        });
        let evicted = if same.is_none() { self.filed(slot) } else { None };
        self.clear(slot);
        self.tags[slot] = tag;
        self.payloads[slot] = payload;
        self.classes[class].live += 1;
        self.classes[class].live_global += u32::from(entry.global);
        self.fragments += u32::from(payload.is_fragment());
        if let Some(index) = &mut self.index {
            index.insert(tag, slot);
        }
        self.touch(slot);
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
                    self.clear(slot);
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
        (0..self.tags.len()).filter_map(|slot| self.filed(slot))
    }

    /// The largest size it can hold of a page of `size`, or `None` if it holds only larger ones.
    pub(crate) fn largest_held(&self, size: PageSize) -> Option<PageSize> {
        self.class_for(size).map(|class| self.classes[class].size)
    }

    fn class_for(&self, size: PageSize) -> Option<usize> {
        self.classes.iter().rposition(|class| class.size <= size)
    }

    fn remove_if(&mut self, doomed: impl Fn(u64, Payload) -> bool) -> u32 {
        if self.is_empty() {
            return 0;
        }
        let mut removed = 0;
        for slot in 0..self.tags.len() {
            let payload = self.payloads[slot];
            if payload.is_valid() && doomed(self.tags[slot], payload) {
                self.clear(slot);
                removed += 1;
            }
        }
        removed
    }

    /// Makes `slot` invalid, if it is not.
    fn clear(&mut self, slot: usize) {
        let payload = self.payloads[slot];
        if !payload.is_valid() {
            return;
        }
        let size = payload.unpack().size;
        let class =
            self.classes.iter_mut().find(|class| class.size == size).expect("an entry is of a class held");
        class.live -= 1;
        class.live_global -= u32::from(payload.is_global());
        self.fragments -= u32::from(payload.is_fragment());
        if let Some(index) = &mut self.index {
            index.remove(self.tags[slot], slot);
        }
        self.tags[slot] = 0;
        self.payloads[slot] = Payload::default();
        self.recency.forget(slot);
    }

    fn filed(&self, slot: usize) -> Option<(TlbTag, TlbEntry)> {
        let (tag, payload) = (self.tags[slot], self.payloads[slot]);
        payload.is_valid().then(|| {
            let entry = payload.unpack();
            let asid = if entry.global { None } else { Asid::new((tag & u64::from(Asid::MAX)) as u16) };
            (TlbTag { page: Vaddr(tag & !u64::from(Asid::MAX)), size: entry.size, asid }, entry)
        })
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

    /// The slot in `set` with this tag and class.
    #[inline]
    fn find(&self, set: usize, tag: u64, class: u64) -> Option<usize> {
        let is_it = |slot: usize| self.tags[slot] == tag && self.payloads[slot].is_of(class);
        if let Some(index) = &self.index {
            return index.find(tag, is_it);
        }
        let base = set * self.ways;
        let tags = &self.tags[base..base + self.ways];
        let mut candidates = match self.ways {
            4 => matches::<4>(tags, tag),
            8 => matches::<8>(tags, tag),
            12 => matches::<12>(tags, tag),
            16 => matches::<16>(tags, tag),
            _ => tags.iter().enumerate().fold(0, |set, (way, &other)| set | u32::from(other == tag) << way),
        };
        // Two slots can match, one per page size; the payload tells them apart.
        while candidates != 0 {
            let slot = base + candidates.trailing_zeros() as usize;
            if self.payloads[slot].is_of(class) {
                return Some(slot);
            }
            candidates &= candidates - 1;
        }
        None
    }
}

/// The ways of a set whose tag matches, as a mask. All ways are compared, without a branch: which way hits is not
/// predictable, and a mispredicted exit costs more than the whole set.
#[inline]
fn matches<const WAYS: usize>(tags: &[u64], tag: u64) -> u32 {
    let tags: &[u64; WAYS] = tags.try_into().expect("a set has as many tags as ways");
    let mut mask = 0;
    for (way, &other) in tags.iter().enumerate() {
        mask |= u32::from(other == tag) << way;
    }
    mask
}
