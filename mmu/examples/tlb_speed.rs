//! Nanoseconds per access of the hit loop, for access patterns from the easiest to the hardest.
//!
//! `cargo run --release -p pagewalk-mmu --example tlb_speed`

use std::hint::black_box;
use std::time::Duration;

use pagewalk_mmu::{
    Access, AccessKind, Asid, PageSize, PageSizes, Pfn, Position, Replacement, RunEnd, TlbEntry, TlbGeometry,
    TlbHierarchy, TlbSpec, Vaddr, run_hits,
};

const ACCESSES: u64 = 1 << 20;
const ROUNDS: u32 = 9;

fn main() {
    let set_associative = |ways, replacement| array(64, ways, &[PageSize::BASE], replacement);
    let four_way = spec(set_associative(4, Replacement::Lru));
    let plru = spec(set_associative(4, Replacement::TreePlru));
    let full = spec(array(64, 64, &[PageSize::BASE, PageSize::MIB2], Replacement::Lru));
    let in_turn = |pages: u64| move |i: u64| within(i % pages, i);
    let at_random = |pages: u64| move |i: u64| within(mix(i) % pages, i);
    println!("{:44} {:>9} {:>9} {:>9}", "pattern", "ns/access", "L2 hits", "misses");
    measure("runs of 512 accesses per page, 64x4", &four_way, |i| within(i / 512 % 32, i));
    measure("16 pages in turn, 64x4", &four_way, in_turn(16));
    measure("16 pages in turn, 64x4 tree-PLRU", &plru, in_turn(16));
    measure("48 pages at random, 64x4", &four_way, at_random(48));
    measure("48 pages at random, 64x4 tree-PLRU", &plru, at_random(48));
    measure("48 pages at random, 64 fully associative", &full, at_random(48));
    measure("1024 pages at random, 64x4 + L2 1536x12", &four_way, at_random(1024));
    measure("1024 pages at random, 64 FA + L2 1536x12", &full, at_random(1024));
    measure("1 GiB at random, 64x4 + L2 1536x12", &four_way, at_random(1 << 18));
    measure("1 GiB at random, 64 FA + L2 1536x12", &full, at_random(1 << 18));
}

/// An address in page `page`, at the word whose turn it is.
fn within(page: u64, turn: u64) -> u64 {
    page * 4096 + turn * 8 % 4096
}

fn array(entries: u32, ways: u32, sizes: &[PageSize], replacement: Replacement) -> TlbGeometry {
    TlbGeometry { entries, ways, sizes: PageSizes::of(sizes), replacement }
}

/// Skylake's instruction and second-level TLBs around the first-level data TLB given.
fn spec(l1d: TlbGeometry) -> TlbSpec {
    TlbSpec {
        l1i: vec![array(128, 8, &[PageSize::BASE], Replacement::Lru)],
        l1d: vec![l1d],
        l2: vec![array(1536, 12, &[PageSize::BASE, PageSize::MIB2], Replacement::Lru)],
        l1_hit_cycles: 0,
        l2_hit_cycles: 7,
    }
}

/// The finaliser of splitmix64: scatters the numbers 0, 1, 2, ... .
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// Prints the best of several rounds, after one that warms the TLBs.
fn measure(name: &str, spec: &TlbSpec, address: impl Fn(u64) -> u64) {
    let kind = |i: u64| if mix(i ^ 0x5a5a).is_multiple_of(4) { AccessKind::Store } else { AccessKind::Load };
    let accesses: Vec<Access> = (0..ACCESSES)
        .map(|i| Access::new(Vaddr(address(i)), 8, kind(i)).expect("8 aligned bytes are an access"))
        .collect();
    let mut tlb = TlbHierarchy::new(spec).expect("the geometries are those of real machines");
    run(&mut tlb, &accesses);
    let before = tlb.counters().data;
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        best = best.min(run(&mut tlb, &accesses));
    }
    let after = tlb.counters().data;
    let per_round = |count: u64| count / u64::from(ROUNDS);
    println!(
        "{name:44} {:9.2} {:9} {:9}",
        best.as_nanos() as f64 / ACCESSES as f64,
        per_round(after.l2_hits - before.l2_hits),
        per_round(after.misses - before.misses),
    );
}

/// Runs all accesses, filling a made-up translation at each miss.
fn run(tlb: &mut TlbHierarchy, accesses: &[Access]) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "measures real time, decides nothing")]
    let start = std::time::Instant::now();
    let (mut at, mut clock, asid) = (Position::default(), 0, Asid::default());
    while let RunEnd::Miss { vaddr, kind } =
        run_hits(tlb, asid, accesses, &mut at, &mut clock, u64::MAX, 1, &mut ())
    {
        tlb.fill(vaddr, asid, kind, &translation(vaddr));
    }
    black_box(clock);
    start.elapsed()
}

fn translation(vaddr: Vaddr) -> TlbEntry {
    let frame = Pfn((vaddr.vpn().0 % (1 << 20)) as u32);
    TlbEntry {
        frame,
        size: PageSize::BASE,
        writable: true,
        user: true,
        executable: true,
        dirty: true,
        global: false,
    }
}
