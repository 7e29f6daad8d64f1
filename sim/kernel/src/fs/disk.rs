//! The disk: a queue of requests with latencies, and the contents of the files that are on it.
//!
//! A request is one contiguous run of a file's pages (`struct bio`). Its end interrupts the CPU that submitted it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::hash::Hash;
use std::panic::Location;
use std::rc::Rc;

use pagewalk_engine::{Class, Cpu, CpuId, Digest, Effect, Engine, ObjectId, Op, OpKind, Order, Step};
use pagewalk_mmu::Pfn;
use pagewalk_swap::{Device, DeviceSpec};

use super::Inode;
use crate::check::PinTicket;
use crate::kernel::Kernel;
use crate::task::Task;

/// The disk's request queue.
static QUEUE: Class = Class::new(52, "disk queue");
/// What the disk has of a file: by the inode's number.
static BLOCKS: Class = Class::new(58, "disk contents");

/// What the disk has done.
#[derive(Debug, Default)]
pub struct DiskStat {
    /// Requests to read, and pages read by them (`pgpgin` counts KiB).
    pub reads: Cell<u64>,
    /// Pages of 4 KiB that they have read.
    pub pages_read: Cell<u64>,
    /// Requests to write, of the cache and of direct I/O.
    pub writes: Cell<u64>,
    /// Pages of 4 KiB that they have written.
    pub pages_written: Cell<u64>,
    /// Cycles for which at least one request was under way or waiting, summed over requests: the time requests took.
    pub busy: Cell<u64>,
}

pagewalk_engine::keep!(DiskStat: reads, pages_read, writes, pages_written, busy);

/// Which way a request goes, seen from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the disk into frames.
    Read,
    /// From frames to the disk.
    Write,
}

/// What happens to each page of a request at its end, at the interrupt.
pub(crate) type EndIo = Rc<dyn Fn(&Kernel, &Cpu, Pfn, u64)>;

/// One request: contiguous pages of a file, and the frames they come from or go to.
pub(crate) struct Bio {
    /// The file.
    pub(crate) inode: Rc<Inode>,
    /// Whether the frames are filled or written.
    pub(crate) direction: Direction,
    /// The first page's place in the file.
    pub(crate) first: u64,
    /// For each page from `first` on its frame. Whoever submits it keeps them: by the page lock, by
    /// writeback, or by pins.
    pub(crate) frames: Vec<Pfn>,
    /// The frames are the program's own pages, not the cache's, pinned with these tickets where the request reads: then that is what the
    /// program ought to find. What such a request writes is what the file ought to hold from now on.
    pub(crate) direct: Option<Rc<[PinTicket]>>,
    /// Called for each page when the request ends.
    pub(crate) end_io: EndIo,
}

/// The disk of the machine.
pub(crate) struct Disk {
    device: Device,
    /// Contents that are not the initial ones: by file and page.
    blocks: RefCell<BTreeMap<(u32, u64), u64>>,
    /// What it has done so far.
    pub(crate) stat: DiskStat,
}

pagewalk_engine::keep!(Disk: device, blocks, stat);

impl Disk {
    /// An idle disk, with every file as it was before the run.
    pub(crate) fn new(spec: DeviceSpec) -> Self {
        Self { device: Device::new(spec), blocks: RefCell::default(), stat: DiskStat::default() }
    }

    /// When a request for `pages` pages from `place` on, made at `now`, ends.
    fn schedule(&self, now: u64, place: (u32, u64), pages: u64) -> u64 {
        let end = self.device.schedule(now, place, pages);
        self.stat.busy.set(self.stat.busy.get() + (end - now));
        end
    }

    /// What it holds that is not the initial contents.
    pub(crate) fn absorb_into(&self, digest: &mut Digest) {
        self.blocks.borrow().hash(digest);
    }

    /// What the disk holds for a page of a file.
    pub(crate) fn content(&self, engine: &Engine, inode: &Inode, index: u64) -> u64 {
        engine.touch(ObjectId::new(&BLOCKS, u64::from(inode.id())), OpKind::Load, Effect::NONE);
        let written = self.blocks.borrow().get(&(inode.id(), index)).copied();
        let content = written.unwrap_or_else(|| inode.initial_stamp(index));
        engine.note_found(content);
        content
    }

    fn write(&self, inode: &Inode, index: u64, stamp: u64) {
        self.blocks.borrow_mut().insert((inode.id(), index), stamp);
    }

    /// Pages from `first` on are freed blocks: they read as zeros from now on.
    pub(crate) fn free_blocks(&self, engine: &Engine, inode: &Inode, first: u64, end: u64) {
        engine.touch(ObjectId::new(&BLOCKS, u64::from(inode.id())), OpKind::Store, Effect::NONE);
        let mut blocks = self.blocks.borrow_mut();
        let written: Vec<_> =
            blocks.range((inode.id(), first)..(inode.id(), end)).map(|(&at, _)| at).collect();
        for at in written {
            blocks.remove(&at);
        }
        inode.forget_initial(first, end);
    }
}

/// `submit_bio`: hands a request to the disk, one step. The contents of pages to write are taken in this step; the
/// contents of pages to read arrive with the interrupt.
#[track_caller]
pub(crate) fn submit_bio<'a>(current: &'a Task, bio: Bio) -> impl Future<Output = ()> + 'a {
    let op = Op {
        object: ObjectId::new(&QUEUE, 0),
        kind: OpKind::Rmw,
        order: Order::Full,
        location: Location::caller(),
    };
    Step::new(current, op, move || {
        start(current.kernel(), current.cpu().id(), current.cpu().clock(), bio);
        ((), Effect::NONE)
    })
}

/// What a request to write takes from its frames.
fn taken_contents(kernel: &Kernel, bio: &Bio) -> Vec<u64> {
    let memory = &kernel.zone.memory;
    let stamps: Vec<u64> = bio.frames.iter().map(|&pfn| memory.stamp_in_step(&kernel.engine, pfn)).collect();
    if bio.direct.is_some() {
        for (&stamp, index) in stamps.iter().zip(bio.first..) {
            kernel.probe().file_set(bio.inode.id(), index, stamp);
        }
    }
    stamps
}

fn start(kernel: &Rc<Kernel>, cpu: CpuId, now: u64, bio: Bio) {
    let disk = &kernel.disk;
    let pages = bio.frames.len() as u64;
    let end = disk.schedule(now, (bio.inode.id(), bio.first), pages);
    let contents = kernel.zone.memory.tracks_contents();
    let (requests, moved) = match bio.direction {
        Direction::Read => (&disk.stat.reads, &disk.stat.pages_read),
        Direction::Write => (&disk.stat.writes, &disk.stat.pages_written),
    };
    requests.set(requests.get() + 1);
    moved.set(moved.get() + pages);
    kernel.io.begin(&kernel.engine);
    let kernel = Rc::clone(kernel);
    let taken: Vec<u64> = if contents && bio.direction == Direction::Write {
        taken_contents(&kernel, &bio)
    } else {
        Vec::new()
    };
    let owner = Rc::clone(&kernel);
    let handler = move |engine: &Engine, cpu: &Cpu| {
        let blocks = ObjectId::new(&BLOCKS, u64::from(bio.inode.id()));
        match bio.direction {
            Direction::Read => engine.touch(blocks, OpKind::Load, Effect::NONE),
            Direction::Write => engine.touch(blocks, OpKind::Store, Effect::NONE),
        }
        for (n, &pfn) in bio.frames.iter().enumerate() {
            let index = bio.first + n as u64;
            match bio.direction {
                Direction::Read if contents => {
                    let found = kernel.disk.content(engine, &bio.inode, index);
                    if let Some(tickets) = &bio.direct {
                        kernel.probe().dma(&tickets[n], pfn, found);
                    }
                    kernel.zone.memory.set_stamp_in_step(engine, pfn, found);
                }
                Direction::Write if contents => kernel.disk.write(&bio.inode, index, taken[n]),
                _ => {}
            }
            (bio.end_io)(&kernel, cpu, pfn, index);
        }
        kernel.io.end(engine);
    };
    owner.engine.device_interrupt(cpu, end, Rc::new(handler));
}
