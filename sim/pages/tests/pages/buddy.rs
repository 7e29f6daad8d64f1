//! The buddy allocator and the per-CPU lists against the set of blocks handed out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pagewalk_mmu::Pfn;
use pagewalk_pages::{BadFree, Buddy, MAX_FRAMES, MAX_ORDER, PerCpuPages, PhysicalMemory};
use proptest::prelude::*;

/// The free blocks that `start..end` makes when everything that can join has joined.
fn joined(start: u32, end: u32) -> [u32; MAX_ORDER as usize] {
    let mut blocks = [0; MAX_ORDER as usize];
    let mut at = start;
    while at < end {
        let order = (0..MAX_ORDER)
            .rev()
            .find(|&order| at.is_multiple_of(1 << order) && at + (1 << order) <= end)
            .unwrap();
        blocks[order as usize] += 1;
        at += 1 << order;
    }
    blocks
}

#[derive(Clone, Debug)]
enum Op {
    Alloc(u32),
    /// Frees one of the blocks held.
    Free(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let order = prop_oneof![3 => 0_u32..3, 1 => 0..MAX_ORDER];
    let op = prop_oneof![5 => order.prop_map(Op::Alloc), 4 => any::<usize>().prop_map(Op::Free)];
    prop::collection::vec(op, 1..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn blocks_are_aligned_and_disjoint_and_all_join_again(
        frames in prop_oneof![2_u32..200, 1000_u32..5000],
        ops in ops(),
    ) {
        let memory = PhysicalMemory::new(frames, false).unwrap();
        let mut buddy = Buddy::new(&memory);
        let mut held: BTreeMap<u32, u32> = BTreeMap::new();
        for op in ops {
            match op {
                Op::Alloc(order) => match buddy.alloc(&memory, order) {
                    Some(Pfn(block)) => {
                        let end = block + (1 << order);
                        prop_assert!(block > 0 && block % (1 << order) == 0 && end <= frames);
                        let before = held.range(..end).next_back();
                        prop_assert!(before.is_none_or(|(&start, &order)| start + (1 << order) <= block));
                        held.insert(block, order);
                    }
                    // Refused only if no aligned block of that order is clear of all blocks held.
                    None => {
                        let taken = |block: u32| {
                            let before = held.range(..block + (1 << order)).next_back();
                            block == 0 || before.is_some_and(|(&start, &order)| start + (1 << order) > block)
                        };
                        let fits = (0..frames >> order).map(|number| number << order);
                        prop_assert!(fits.into_iter().all(taken));
                    }
                },
                Op::Free(which) => {
                    if let Some((&block, &order)) = held.iter().nth(which % held.len().max(1)) {
                        held.remove(&block);
                        buddy.free(&memory, Pfn(block), order).unwrap();
                    }
                }
            }
            let used: u32 = held.values().map(|&order| 1 << order).sum();
            prop_assert_eq!(buddy.free_frames(), frames - 1 - used);
        }
        for (block, order) in held {
            buddy.free(&memory, Pfn(block), order).unwrap();
        }
        // Take and return the largest blocks, so that the rest at the end of memory is in the lists too.
        let all: Vec<Pfn> = std::iter::from_fn(|| buddy.alloc(&memory, MAX_ORDER - 1)).collect();
        all.into_iter().for_each(|block| buddy.free(&memory, block, MAX_ORDER - 1).unwrap());
        prop_assert_eq!(buddy.free_frames(), frames - 1);
        prop_assert_eq!(buddy.free_blocks(&memory), joined(1, frames));
    }

    #[test]
    fn per_cpu_list_is_last_in_first_out_and_drains_its_cold_end(
        batch in 1_u32..6,
        extra in 0_u32..6,
        ops in prop::collection::vec(any::<bool>(), 1..200),
    ) {
        let memory = PhysicalMemory::new(64, false).unwrap();
        let mut buddy = Buddy::new(&memory);
        let mut list = PerCpuPages::new(batch, batch + extra).unwrap();
        let mut model: VecDeque<Pfn> = VecDeque::new();
        let mut held = BTreeSet::new();
        for take in ops {
            if take {
                if model.is_empty() {
                    let free = buddy.free_frames();
                    let mut copy = list.clone();
                    prop_assert_eq!(copy.refill(&mut buddy, &memory), batch.min(free));
                    list = copy.clone();
                    model.extend(std::iter::from_fn(|| copy.pop()));
                }
                let frame = list.pop();
                prop_assert_eq!(frame, model.pop_front());
                if let Some(frame) = frame {
                    prop_assert!(held.insert(frame), "{} was handed out twice", frame);
                }
            } else if let Some(frame) = held.pop_first() {
                model.push_front(frame);
                let full = list.push(frame);
                prop_assert_eq!(full, model.len() as u32 >= batch + extra);
                if full {
                    prop_assert_eq!(list.drain(&mut buddy, &memory), Ok(batch));
                    model.truncate(model.len() - batch as usize);
                }
            }
            prop_assert_eq!(list.len() as usize, model.len());
            prop_assert_eq!(buddy.free_frames() as usize + model.len() + held.len(), 63);
        }
        prop_assert_eq!(list.drain_all(&mut buddy, &memory), Ok(model.len() as u32));
        held.into_iter().for_each(|frame| buddy.free(&memory, frame, 0).unwrap());
        prop_assert_eq!(buddy.free_blocks(&memory), joined(1, 64));
    }
}

#[test]
fn a_tebibyte_costs_only_what_is_touched() {
    let memory = PhysicalMemory::new(MAX_FRAMES, true).unwrap();
    let mut buddy = Buddy::new(&memory);
    let blocks: Vec<u32> = (0..3).map(|_| buddy.alloc(&memory, MAX_ORDER - 1).unwrap().0).collect();
    assert_eq!(blocks, [1024, 2048, 3072]);
    assert_eq!(memory.stamp(Pfn(MAX_FRAMES - 1)), 0);
    assert!(format!("{memory:?}").contains("sections_touched: 1,"));
    assert_eq!(buddy.free_frames(), MAX_FRAMES - 1 - 3 * 1024);
}

#[test]
fn freed_memory_is_used_again_before_untouched_memory() {
    let memory = PhysicalMemory::new(1 << 20, false).unwrap();
    let mut buddy = Buddy::new(&memory);
    let block = buddy.alloc(&memory, 10).unwrap();
    buddy.free(&memory, block, 10).unwrap();
    assert_eq!(buddy.alloc(&memory, 10), Some(block));
}

#[test]
fn freeing_what_is_not_allocated_is_caught() {
    let memory = PhysicalMemory::new(4096, false).unwrap();
    let fresh = || {
        let mut buddy = Buddy::new(&memory);
        let block = buddy.alloc(&memory, 3).unwrap();
        (buddy, block)
    };
    let (mut buddy, block) = fresh();
    buddy.free(&memory, block, 3).unwrap();
    assert_eq!(buddy.free(&memory, block, 3), Err(BadFree::FreeAlready(block, 3)), "freed twice");
    assert_eq!(
        buddy.free(&memory, Pfn(block.0 + 1), 0),
        Err(BadFree::FreeAlready(Pfn(block.0 + 1), 0)),
        "inside a free block"
    );
    let memory = PhysicalMemory::new(4096, false).unwrap();
    let mut buddy = Buddy::new(&memory);
    let block = buddy.alloc(&memory, 3).unwrap();
    buddy.free(&memory, Pfn(block.0 + 2), 0).unwrap();
    assert_eq!(buddy.free(&memory, block, 3), Err(BadFree::FreeAlready(block, 3)), "a part is free");
    assert_eq!(
        buddy.free(&memory, Pfn(block.0 + 1), 1),
        Err(BadFree::NoBlock(Pfn(block.0 + 1), 1)),
        "misaligned"
    );
    assert_eq!(
        buddy.free(&memory, Pfn(3000), 0),
        Err(BadFree::NeverHandedOut(Pfn(3000), 0)),
        "never handed out"
    );
    assert_eq!(buddy.free(&memory, Pfn(0), 0), Err(BadFree::NeverHandedOut(Pfn(0), 0)), "reserved");
}

#[test]
fn memory_sizes_and_list_sizes_are_checked() {
    assert!(PhysicalMemory::new(1, false).is_err() && PhysicalMemory::new(MAX_FRAMES + 1, false).is_err());
    assert!(PerCpuPages::new(0, 4).is_err() && PerCpuPages::new(5, 4).is_err());
}

#[test]
fn contents_are_kept_per_frame_if_tracked() {
    for tracked in [true, false] {
        let memory = PhysicalMemory::new(1 << 17, tracked).unwrap();
        memory.set_stamp(Pfn(40_000), 7);
        assert_eq!(memory.stamp(Pfn(40_000)), if tracked { 7 } else { 0 });
        assert_eq!((memory.stamp(Pfn(40_001)), memory.stamp(Pfn(1))), (0, 0));
    }
}
