//! Devices that write to the memory of programs, as the oracle sees them.
//!
//! What a program has read past the page cache is in its memory from the moment at which the device wrote it, whatever the
//! page tables say by then: a kernel that has put another page in the place of the one that the device had has lost the
//! read. One thing excuses that: somebody unmapped or discarded the page while the device had it. (Who merely stores to it
//! meanwhile is overwritten, or overwrites, by what comes last.)

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::rc::Rc;

use pagewalk_engine::Digest;
use pagewalk_mmu::{Pfn, Vaddr, VaddrRange};

use super::backing::{Backing, token};
use super::file_ops::FileTicket;
use super::oracle::Oracle;
use crate::mm::Mm;
use crate::probe::Probe;

/// Whether the program still has the page that a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Fate {
    /// Nobody has taken it away.
    Kept,
    /// A discard that was under way when the page was pinned has ended: it took this page, or what was there before.
    Doubtful,
    /// A discard that began later has ended.
    Gone,
}

/// A page that a device has, to write to.
#[derive(Clone, Debug)]
struct Pinned {
    mm: u32,
    /// Where it is: `mremap` may move it.
    vpn: u64,
    backing: Option<Backing>,
    /// When it was pinned, by the clock of the discards.
    since: u64,
    fate: Fate,
}

/// The pages that devices have, by number.
#[derive(Default)]
pub(super) struct Pins {
    pages: RefCell<BTreeMap<u64, Pinned>>,
    numbers: Cell<u64>,
}

pagewalk_engine::keep!(Pins: pages, numbers);

impl Pins {
    fn add(&self, page: Pinned) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.pages.borrow_mut().insert(self.numbers.get(), page);
        self.numbers.get()
    }

    fn each_in(&self, mm: u32, range: VaddrRange, change: impl Fn(&mut Pinned)) {
        let pages = range.start().vpn().0..range.end().vpn().0;
        let mut pinned = self.pages.borrow_mut();
        pinned.values_mut().filter(|page| page.mm == mm && pages.contains(&page.vpn)).for_each(change);
    }

    /// The pages, and whether each was pinned before or after the discards under way began.
    pub(super) fn absorb_into(&self, digest: &mut Digest, order: impl Fn(u64) -> u64) {
        for (number, page) in self.pages.borrow().iter() {
            (number, page.mm, page.vpn, page.backing, order(page.since), page.fate).hash(digest);
        }
        digest.absorb(self.numbers.get());
    }

    /// A discard of `range` that began at `began` ends.
    pub(super) fn discarded(&self, mm: u32, range: VaddrRange, began: u64) {
        self.each_in(mm, range, |page| {
            page.fate = page.fate.max(if began > page.since { Fate::Gone } else { Fate::Doubtful });
        });
    }

    /// The pages of `old` are where `new_start` is now.
    pub(super) fn moved(&self, mm: u32, old: VaddrRange, new_start: Vaddr) {
        let (from, to) = (old.start().vpn().0, new_start.vpn().0);
        self.each_in(mm, old, |page| page.vpn = to + (page.vpn - from));
    }
}

/// A page pinned for a device to write to. Dropping it ends that.
#[derive(Default)]
pub(crate) struct PinTicket {
    pin: Option<(Rc<Pins>, u64, FileTicket)>,
}

impl Drop for PinTicket {
    fn drop(&mut self) {
        if let Some((pins, number, _)) = &self.pin {
            pins.pages.borrow_mut().remove(number);
        }
    }
}

impl Oracle {
    fn pinned(&self, mm: u32, vpn: u64) -> Pinned {
        let since = self.discards.borrow_mut().tick();
        Pinned { mm, vpn, backing: self.backing(mm, vpn), since, fate: Fate::Kept }
    }

    /// A device has written to the page: its frame held `before`, and holds `after`.
    fn dma(&self, page: &Pinned, file: &FileTicket, before: u64, after: u64) {
        let (before, after) = match page.backing {
            Some(Backing { inode, index, shared: true }) => {
                return file.device_wrote(inode, index, before, after);
            }
            Some(_) => (token(before), token(after)),
            None => (before, after),
        };
        let Pinned { mm, vpn, since, fate, .. } = *page;
        if fate == Fate::Gone {
            return;
        }
        let mut shadows = self.shadows.borrow_mut();
        let shadow = shadows.entry(mm).or_default();
        let mut discards = self.discards.borrow_mut();
        if discards.cover(mm, vpn) {
            // Until every TLB is flushed the program may still find what the device wrote.
            discards.device_wrote((mm, vpn), shadow, (since, fate == Fate::Doubtful), (before, after));
        } else if fate == Fate::Doubtful {
            shadow.admit(vpn, after);
        } else {
            let moves = self.moves.borrow();
            let target = moves.iter().filter(|under_way| under_way.is_of(mm)).find_map(|it| it.target(vpn));
            // Whoever has touched it at its new place has found that it is there.
            let arrived = target.filter(|&target| !shadow.admits(target, 0));
            shadow.set(arrived.unwrap_or(vpn), after);
        }
        for &(_, child) in self.forks.borrow().iter().filter(|&&(parent, _)| parent == mm) {
            shadows.entry(child).or_default().admit(vpn, after);
        }
    }
}

impl Probe<'_> {
    /// The page at `address` is pinned in this step, for a device to write to.
    pub(crate) fn pinned(&self, mm: &Mm, address: Vaddr) -> PinTicket {
        let Some(oracle) = self.changed_oracle() else { return PinTicket::default() };
        let file = self.file_op_begin();
        let number = oracle.pins.add(oracle.pinned(mm.id(), address.vpn().0));
        self.engine.note_found(number);
        PinTicket { pin: Some((Rc::clone(&oracle.pins), number, file)) }
    }

    /// The device writes `stamp` to frame `pfn`, the pinned page, in this step, and has not done so yet.
    pub(crate) fn dma(&self, ticket: &PinTicket, pfn: Pfn, stamp: u64) {
        let (Some(oracle), Some((pins, number, file))) = (self.changed_oracle(), &ticket.pin) else { return };
        let page = pins.pages.borrow().get(number).cloned();
        if let Some(page) = page {
            oracle.dma(&page, file, self.zone.memory.stamp(pfn), stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use pagewalk_mmu::BASE_SHIFT;

    use super::*;

    const MM: u32 = 1;
    const PAGE: u64 = 16;

    fn place(vpn: u64) -> VaddrRange {
        VaddrRange::with_len(Vaddr(vpn << BASE_SHIFT), 1 << BASE_SHIFT).expect("a page")
    }

    /// A program whose page holds 5, and which a device has.
    fn pinned() -> (Oracle, u64) {
        let oracle = Oracle::default();
        oracle.shadows.borrow_mut().entry(MM).or_default().set(PAGE, 5);
        let number = oracle.pins.add(oracle.pinned(MM, PAGE));
        (oracle, number)
    }

    /// The device writes 9 where the frame holds `before`.
    fn arrives(oracle: &Oracle, number: u64, before: u64) {
        let page = oracle.pins.pages.borrow()[&number].clone();
        oracle.dma(&page, &FileTicket::default(), before, 9);
    }

    fn admitted(oracle: &Oracle, mm: u32, vpn: u64) -> Vec<u64> {
        oracle.shadows.borrow()[&mm].admitted(vpn)
    }

    /// Whether a load of the page, which a discard covers, may find this.
    fn loads(oracle: &Oracle, stamp: u64) -> bool {
        let shadows = oracle.shadows.borrow();
        oracle.discards.borrow_mut().touch((MM, PAGE), &shadows[&MM], false, stamp, stamp).is_ok()
    }

    #[test]
    fn what_was_read_is_expected_even_if_the_device_had_another_page() {
        for before in [5, 6, 0] {
            let (oracle, number) = pinned();
            arrives(&oracle, number, before);
            assert_eq!(admitted(&oracle, MM, PAGE), [9]);
        }
    }

    #[test]
    fn a_page_that_goes_may_show_what_the_device_wrote_until_every_cpu_has_flushed_it() {
        let (oracle, number) = pinned();
        oracle.discard_begins(MM, place(PAGE));
        assert!(loads(&oracle, 5) && !loads(&oracle, 9));
        arrives(&oracle, number, 5);
        assert!(
            loads(&oracle, 9) && !loads(&oracle, 5),
            "there is one frame, and the device has written to it"
        );
        oracle.discard_ends(MM, place(PAGE));
        assert_eq!(admitted(&oracle, MM, PAGE), [0], "neither of them any more");
    }

    #[test]
    fn a_page_of_zeroes_that_goes_takes_along_what_the_device_wrote() {
        let (oracle, _) = pinned();
        oracle.shadows.borrow_mut().entry(MM).or_default().set(PAGE, 0);
        let number = oracle.pins.add(oracle.pinned(MM, PAGE));
        oracle.discard_begins(MM, place(PAGE));
        arrives(&oracle, number, 0);
        assert!(loads(&oracle, 9));
        oracle.discard_ends(MM, place(PAGE));
        assert_eq!(admitted(&oracle, MM, PAGE), [0]);
    }

    #[test]
    fn what_arrives_when_the_page_is_gone_is_nobodys() {
        let (oracle, number) = pinned();
        oracle.discard_begins(MM, place(PAGE));
        oracle.discard_ends(MM, place(PAGE));
        arrives(&oracle, number, 5);
        assert_eq!(admitted(&oracle, MM, PAGE), [0]);
    }

    #[test]
    fn a_page_pinned_while_a_discard_is_under_way_is_the_old_one_or_the_new_one() {
        let (oracle, _) = pinned();
        oracle.discard_begins(MM, place(PAGE));
        let number = oracle.pins.add(oracle.pinned(MM, PAGE));
        oracle.discard_ends(MM, place(PAGE));
        arrives(&oracle, number, 5);
        assert_eq!(admitted(&oracle, MM, PAGE), [0, 9]);
    }

    #[test]
    fn a_child_has_what_was_there_when_it_was_made() {
        let (oracle, number) = pinned();
        oracle.fork_begins(MM, 2);
        oracle.fork_ends(MM, 2);
        oracle.fork_begins(MM, 3);
        arrives(&oracle, number, 5);
        oracle.fork_ends(MM, 3);
        assert_eq!(admitted(&oracle, 2, PAGE), [5]);
        assert_eq!(
            admitted(&oracle, 3, PAGE),
            [5, 9],
            "fork comes to the page before the device or after it"
        );
        assert_eq!(admitted(&oracle, MM, PAGE), [9]);
    }

    #[test]
    fn what_is_read_is_where_its_page_was_moved() {
        let (oracle, number) = pinned();
        let to = Vaddr(64 << BASE_SHIFT);
        oracle.move_begins(MM, place(PAGE), to);
        oracle.move_ends(MM, place(PAGE), to);
        arrives(&oracle, number, 5);
        assert_eq!((admitted(&oracle, MM, 64), admitted(&oracle, MM, PAGE)), (vec![9], vec![0]));
    }
}
