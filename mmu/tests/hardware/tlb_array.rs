//! One TLB array against the model, and tree-PLRU by hand.

use pagewalk_mmu::{
    Asid, PageSize, PageSizes, Pfn, Replacement, TlbArray, TlbEntry, TlbGeometry, TlbSpec, Vaddr,
};
use proptest::prelude::*;

use crate::model::{Model, asids, entries, geometries, invalidated_by, size, some_sizes, sorted, vaddrs};

#[derive(Clone, Debug)]
enum Op {
    Lookup(Vaddr, Asid),
    Peek(Vaddr, Asid),
    Insert(Vaddr, Asid, TlbEntry),
    InvalidatePage(Vaddr, Asid),
    FlushAsid(Asid),
    FlushNonGlobal,
    FlushAll,
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => (vaddrs(), asids()).prop_map(|(vaddr, asid)| Op::Lookup(vaddr, asid)),
        10 => (vaddrs(), asids()).prop_map(|(vaddr, asid)| Op::Peek(vaddr, asid)),
        60 => (vaddrs(), asids(), entries()).prop_map(|(vaddr, asid, entry)| Op::Insert(vaddr, asid, entry)),
        10 => (vaddrs(), asids()).prop_map(|(vaddr, asid)| Op::InvalidatePage(vaddr, asid)),
        2 => asids().prop_map(Op::FlushAsid),
        1 => Just(Op::FlushNonGlobal),
        1 => Just(Op::FlushAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn array_does_what_the_model_does(
        geometry in geometries(some_sizes()),
        ops in prop::collection::vec(ops(), 1..300),
    ) {
        let mut array = TlbArray::new(geometry).unwrap();
        let mut model = Model::new(geometry);
        for op in ops {
            match op {
                Op::Lookup(vaddr, asid) => prop_assert_eq!(array.lookup(vaddr, asid), model.lookup(vaddr, asid)),
                Op::Peek(vaddr, asid) => {
                    let first = model.covering(vaddr, asid).first().map(|&(_, _, held)| held.entry);
                    prop_assert_eq!(array.peek(vaddr, asid), first);
                }
                Op::Insert(vaddr, asid, entry) => {
                    let evicted = model.insert(vaddr, asid, entry, entry.size);
                    prop_assert_eq!(array.insert(vaddr, asid, &entry), evicted);
                }
                Op::InvalidatePage(vaddr, asid) => {
                    let removed = model.remove(invalidated_by(vaddr, asid));
                    prop_assert_eq!(array.invalidate_page(vaddr, asid), removed);
                }
                Op::FlushAsid(asid) => {
                    let removed = model.remove(|held| held.tag.asid == Some(asid));
                    prop_assert_eq!(array.flush_asid(asid), removed);
                }
                Op::FlushNonGlobal => {
                    prop_assert_eq!(array.flush_non_global(), model.remove(|held| held.tag.asid.is_some()));
                }
                Op::FlushAll => prop_assert_eq!(array.flush_all(), model.remove(|_| true)),
            }
            prop_assert_eq!(array.len(), model.contents().len());
        }
        prop_assert_eq!(sorted(array.iter()), model.contents());
    }
}

fn array(ways: u32, replacement: Replacement) -> TlbArray {
    TlbArray::new(TlbGeometry { entries: ways, ways, sizes: PageSizes::of(&[PageSize::BASE]), replacement })
        .unwrap()
}

fn page(number: u64) -> Vaddr {
    Vaddr(number << 12)
}

fn plain(size: PageSize, frame: u32) -> TlbEntry {
    let frame = Pfn(frame);
    TlbEntry { frame, size, writable: true, user: true, executable: true, dirty: true, global: false }
}

/// Fills the ways with pages 0, 1, 2, ..., uses the pages listed, and tells which page each new one displaces.
fn displaced(ways: u32, replacement: Replacement, used: &[u64], new: u64) -> Vec<u64> {
    let mut array = array(ways, replacement);
    let asid = Asid::default();
    for number in 0..u64::from(ways) {
        assert_eq!(array.insert(page(number), asid, &plain(PageSize::BASE, 1)), None);
    }
    for &number in used {
        assert!(array.lookup(page(number), asid).is_some());
    }
    let displaced =
        (0..new).map(|new| array.insert(page(100 + new), asid, &plain(PageSize::BASE, 1)).unwrap());
    displaced.map(|(tag, _)| tag.page.vpn().0).collect()
}

#[test]
fn tree_plru_of_four_ways_follows_its_bits() {
    // After 0 1 2 3 every bit points left: 0 goes, then the bits point to the other half's older leaf, 2; then 1, 3.
    assert_eq!(displaced(4, Replacement::TreePlru, &[], 4), [0, 2, 1, 3]);
    // Using 0 turns root and left node right; the right node still points at 2.
    assert_eq!(displaced(4, Replacement::TreePlru, &[0], 1), [2]);
    // Using 0 then 2: the root points left, whose node points at 1. LRU would give up 1 too, but after 2 0 it is 3.
    assert_eq!(displaced(4, Replacement::TreePlru, &[0, 2], 1), [1]);
    assert_eq!(displaced(4, Replacement::TreePlru, &[2, 0], 1), [3]);
    // Where the tree is not LRU: page 1 is the oldest, and is safe behind its neighbour 0.
    assert_eq!(displaced(4, Replacement::TreePlru, &[1, 2, 3, 0], 1), [2]);
    assert_eq!(displaced(4, Replacement::Lru, &[1, 2, 3, 0], 1), [1]);
}

#[test]
fn tree_plru_of_three_ways_never_chooses_the_absent_fourth() {
    // The root points left after way 2 was filled. After 0 it points right, where only way 2 is.
    assert_eq!(displaced(3, Replacement::TreePlru, &[], 4), [0, 2, 1, 101]);
    assert_eq!(displaced(3, Replacement::TreePlru, &[2], 1), [0]);
    assert_eq!(displaced(3, Replacement::TreePlru, &[2, 1], 1), [2]);
}

#[test]
fn a_page_too_large_for_the_array_is_held_in_fragments_that_go_together() {
    let mut array = array(8, Replacement::Lru);
    let asid = Asid::new(5).unwrap();
    let large = plain(PageSize::MIB2, 512);
    array.insert(Vaddr(0x20_3456), asid, &large);
    array.insert(Vaddr(0x20_7000), asid, &large);
    array.insert(Vaddr(0x40_0000), asid, &plain(PageSize::BASE, 9));
    assert_eq!(array.peek(Vaddr(0x20_3000), asid).unwrap().frame, Pfn(515));
    assert_eq!(array.peek(Vaddr(0x20_7fff), asid).unwrap(), plain(PageSize::BASE, 519));
    assert_eq!(array.peek(Vaddr(0x20_4000), asid), None);
    assert_eq!(array.invalidate_page(Vaddr(0x3f_ffff), asid), 2);
    assert_eq!(array.len(), 1);
}

/// Far beyond what the clock of a set counts, so that its stamps are replaced by ranks, also while ways are invalid.
#[test]
fn lru_stays_exact_for_a_hundred_thousand_uses_of_a_set() {
    for ways in [1, 4, 5, 12, 17] {
        let sizes = PageSizes::of(&[PageSize::BASE]);
        let geometry = TlbGeometry { entries: ways, ways, sizes, replacement: Replacement::Lru };
        let (mut array, mut model) = (TlbArray::new(geometry).unwrap(), Model::new(geometry));
        let (asid, mut random) = (Asid::default(), 1_u64);
        for turn in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let vaddr = page((random >> 33) % (u64::from(ways) + 2));
            if turn % 50 == 0 {
                assert_eq!(array.invalidate_page(vaddr, asid), model.remove(invalidated_by(vaddr, asid)));
            } else if array.lookup(vaddr, asid).is_none() {
                assert_eq!(model.lookup(vaddr, asid), None);
                let entry = plain(PageSize::BASE, turn);
                assert_eq!(array.insert(vaddr, asid, &entry), model.insert(vaddr, asid, entry, entry.size));
            } else {
                assert!(model.lookup(vaddr, asid).is_some());
            }
        }
    }
}

#[test]
fn descriptions_that_cannot_be_built_say_why() {
    let reason = |entries, ways, sizes: &[PageSize]| {
        let sizes = PageSizes::of(sizes);
        TlbArray::new(TlbGeometry { entries, ways, sizes, replacement: Replacement::Lru })
            .unwrap_err()
            .to_string()
    };
    let base = [PageSize::BASE];
    assert_eq!(reason(64, 0, &base), "64 entries in 0 ways: both must be at least 1");
    assert_eq!(reason(0, 4, &base), "0 entries in 4 ways: both must be at least 1");
    assert_eq!(reason(64, 12, &base), "64 entries do not fill whole sets of 12 ways");
    assert_eq!(reason(2, 4, &base), "2 entries do not fill whole sets of 4 ways");
    assert_eq!(reason((1 << 20) + 4, 4, &base), "1048580 entries are more than the limit of 1048576");
    assert_eq!(reason(2048, 2048, &base), "2048 ways are more than the limit of 1024");
    assert_eq!(reason(64, 4, &[]), "holds no page size");
}

#[test]
fn levels_that_do_not_fit_together_are_refused() {
    let of = |shifts: &[u32]| TlbGeometry {
        entries: 4,
        ways: 4,
        sizes: PageSizes::of(&shifts.iter().map(|&shift| size(shift)).collect::<Vec<_>>()),
        replacement: Replacement::Lru,
    };
    let spec = |l1i, l1d, l2| TlbSpec { l1i, l1d, l2, l1_hit_cycles: 0, l2_hit_cycles: 7 }.validate();
    assert!(spec(vec![of(&[12])], vec![of(&[12]), of(&[21, 30])], vec![of(&[12, 21])]).is_ok());
    let text = |result: Result<(), pagewalk_mmu::SpecError>| result.unwrap_err().to_string();
    assert_eq!(text(spec(vec![], vec![], vec![])), "l1i and l1d need at least one array each");
    assert_eq!(text(spec(vec![of(&[12])], vec![], vec![])), "l1d: no array holds the smallest page, 4 KiB");
    assert_eq!(
        text(spec(vec![of(&[21])], vec![of(&[12])], vec![])),
        "l1i: no array holds the smallest page, 4 KiB"
    );
    assert_eq!(
        text(spec(vec![of(&[12])], vec![of(&[12]), of(&[12, 21])], vec![])),
        "l1d[1]: holds a page size that an earlier array of the level holds"
    );
}
