//! Address arithmetic at its edges.

use pagewalk_mmu::{Asid, Paddr, PageSize, PageSizes, Pfn, Vaddr, VaddrRange, Vpn};
use proptest::prelude::*;

proptest! {
    #[test]
    fn alignment_is_division(vaddr in any::<u64>(), shift in 12_u32..=52) {
        let size = PageSize::from_shift(shift).unwrap();
        let bytes = u128::from(size.bytes());
        let wide = u128::from(vaddr);
        let vaddr = Vaddr(vaddr);
        prop_assert_eq!(u128::from(vaddr.align_down(size).0), wide / bytes * bytes);
        prop_assert_eq!(u128::from(vaddr.offset_in(size)), wide % bytes);
        let up = u64::try_from(wide.div_ceil(bytes) * bytes).ok().map(Vaddr);
        prop_assert_eq!(vaddr.align_up(size), up);
    }

    #[test]
    fn ranges_meet_where_their_addresses_do(ends in prop::array::uniform4(0_u64..6)) {
        let page = |number: u64| Vaddr(number * 2048);
        let [a, b, c, d] = ends;
        let (Some(one), Some(other)) = (VaddrRange::new(page(a), page(b)), VaddrRange::new(page(c), page(d))) else {
            prop_assert!(a > b || c > d);
            return Ok(());
        };
        let both: Vec<u64> = (0..6).filter(|&at| one.contains(page(at)) && other.contains(page(at))).collect();
        prop_assert_eq!(one.overlaps(other), !both.is_empty());
        prop_assert_eq!(one.intersect(other).map(|range| (range.start().0 / 2048, range.len() / 2048)),
            both.first().map(|&first| (first, both.len() as u64)));
        let pages: Vec<u64> = (0..3).filter(|number| one.overlaps(VaddrRange::with_len(Vaddr(number * 4096), 4096).unwrap())).collect();
        prop_assert_eq!(one.pages().map(|vpn| vpn.0).collect::<Vec<_>>(), pages);
    }
}

#[test]
fn the_top_of_the_address_space_does_not_wrap() {
    let top = VaddrRange::new(Vaddr(u64::MAX - 1), Vaddr(u64::MAX)).unwrap();
    assert_eq!(top.pages().collect::<Vec<_>>(), [Vpn(u64::MAX >> 12)]);
    assert_eq!(VaddrRange::with_len(Vaddr(u64::MAX), 1), None);
    assert_eq!((Vaddr(u64::MAX).checked_add(1), Paddr(u64::MAX).checked_add(1)), (None, None));
    assert_eq!((Vpn(u64::MAX >> 12).checked_add(1), Pfn(u32::MAX).checked_add(1)), (None, None));
    assert_eq!((Paddr(0x0fff_ffff_ffff).pfn(), Paddr(0x1000_0000_0000).pfn()), (Some(Pfn(u32::MAX)), None));
}

#[test]
fn numbers_print_in_hexadecimal_and_sizes_in_units() {
    assert_eq!(
        format!("{} {:?} {}", Vaddr(0x1000), Pfn(255), Asid::new(16).unwrap()),
        "0x1000 Pfn(0xff) 0x10"
    );
    assert_eq!(format!("{} {} {}", PageSize::BASE, PageSize::MIB2, PageSize::GIB1), "4 KiB 2 MiB 1 GiB");
    assert_eq!(format!("{:?}", PageSizes::of(&[PageSize::MIB2, PageSize::BASE])), "{4 KiB, 2 MiB}");
    assert_eq!(VaddrRange::with_len(Vaddr(0x1000), 0x800).unwrap().to_string(), "0x1000..0x1800");
}

#[test]
fn what_does_not_fit_its_type_is_refused() {
    assert_eq!((Asid::new(4095).map(Asid::raw), Asid::new(4096)), (Some(4095), None));
    assert_eq!((PageSize::from_shift(11), PageSize::from_shift(53)), (None, None));
    assert_eq!(VaddrRange::new(Vaddr(1), Vaddr(0)), None);
}
