//! Swap I/O: `swap_readpage` and `swap_writepage`.
//!
//! Follows mm/page_io.c of v2.6.27.

use std::cell::Cell;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;

use pagewalk_engine::{Class, Cpu, Effect, Engine, ObjectId, Op, OpKind, Order, Step};
use pagewalk_mmu::Pfn;
use pagewalk_pagecache::{end_page_writeback, set_page_writeback, unlock_page};
use pagewalk_swap::{SwapEntry, free_page_swap};

use crate::fs::{Direction, end_page_read};
use crate::kernel::Kernel;
use crate::task::Task;

/// The request queue of a swap device.
static SWAP_QUEUE: Class = Class::new(46, "swap device queue");

/// What a swap device has at an entry.
static SWAP_CONTENTS: Class = Class::new(61, "swap contents");

/// What the swap devices have done.
#[derive(Debug, Default)]
pub struct SwapStat {
    /// Requests, to read and to write.
    pub requests: Cell<u64>,
    /// The time that requests took, summed over them, in cycles.
    pub busy: Cell<u64>,
}

pagewalk_engine::keep!(SwapStat: requests, busy);

/// `swap_readpage`: starts to read a locked page of the swap cache. The end of the read unlocks it.
pub(crate) async fn swap_readpage(current: &Task, entry: SwapEntry, pfn: Pfn) {
    current.kernel().stat.pswpin.add(1);
    submit(current, Direction::Read, entry, pfn).await;
}

/// `swap_writepage`: a locked page of the swap cache goes to its entry. The page is unlocked.
///
///  1. take a page whose entry no PTE names out of the swap cache instead;
///  2. set `PG_writeback`: whoever locks the page after 3 sees it;
///  3. unlock the page;
///  4. send the request.
pub(crate) async fn swap_writepage(current: &Task, pfn: Pfn) {
    let kernel = current.kernel();
    // 1. Nobody would read what is written: the programs have gone, or have the page back.
    if free_page_swap(current, &kernel.swap, pfn).await {
        current.mark("swap_writepage:nobody-wants-it");
        return unlock_page(current, &kernel.zone, pfn).await; // 1
    }
    let word = kernel.zone.memory.words(pfn).private().read_once(current).await;
    let Some(entry) = SwapEntry::from_word(word) else {
        return current.bug("a page that stays in the swap cache has an entry").await;
    };
    // 2. In this order: between an unlock and the flag a fault could map the page, a program dirty it, and
    // reclaim begin a second write (R33).
    set_page_writeback(current, &kernel.swap.swapper_space, pfn).await; // 2
    unlock_page(current, &kernel.zone, pfn).await; // 3
    kernel.stat.pswpout.add(1);
    submit(current, Direction::Write, entry, pfn).await; // 4
}

/// Hands a request for one page to the area's device: one step. What is written is taken in this step.
#[track_caller]
fn submit<'a>(
    current: &'a Task,
    direction: Direction,
    entry: SwapEntry,
    pfn: Pfn,
) -> impl Future<Output = ()> + 'a {
    let op = Op {
        object: ObjectId::new(&SWAP_QUEUE, u64::from(entry.area())),
        kind: OpKind::Rmw,
        order: Order::Full,
        location: Location::caller(),
    };
    Step::new(current, op, move || {
        start(current, direction, entry, pfn);
        ((), Effect::NONE)
    })
}

fn start(current: &Task, direction: Direction, entry: SwapEntry, pfn: Pfn) {
    let kernel = current.kernel();
    let now = current.cpu().clock();
    let (end, synchronous) = kernel.swap.schedule(entry, now);
    kernel.swap_stat.requests.set(kernel.swap_stat.requests.get() + 1);
    kernel.swap_stat.busy.set(kernel.swap_stat.busy.get() + (end - now));
    let taken = kernel.zone.memory.stamp_in_step(&kernel.engine, pfn);
    if synchronous {
        current.cpu().charge(end - now);
        return finish(kernel, current.cpu(), direction, entry, (pfn, taken));
    }
    kernel.io.begin(&kernel.engine);
    let owner = Rc::clone(kernel);
    let handler = move |engine: &Engine, cpu: &Cpu| {
        finish(&owner, cpu, direction, entry, (pfn, taken));
        owner.io.end(engine);
    };
    kernel.engine.device_interrupt(current.cpu().id(), end, Rc::new(handler));
}

/// The end of a request: `end_swap_bio_read`, `end_swap_bio_write`.
fn finish(kernel: &Kernel, cpu: &Cpu, direction: Direction, entry: SwapEntry, (pfn, taken): (Pfn, u64)) {
    let blocks = ObjectId::new(&SWAP_CONTENTS, u64::from(entry.word()));
    match direction {
        Direction::Read => {
            kernel.engine.touch(blocks, OpKind::Load, Effect::NONE);
            let found = kernel.swap.content(entry);
            kernel.zone.memory.set_stamp_in_step(&kernel.engine, pfn, found);
            end_page_read(kernel, pfn, true);
        }
        Direction::Write => {
            kernel.engine.touch(blocks, OpKind::Store, Effect::NONE);
            kernel.swap.set_content(entry, taken);
            end_page_writeback(&kernel.engine, cpu.id(), &kernel.swap.swapper_space, pfn);
        }
    }
}
