//! A block device: a queue of requests with latencies.
//!
//! A request is a contiguous run of pages. It waits for a free channel, positions, and moves its pages over the link that all
//! channels share.

use std::cell::RefCell;

/// A device's parameters. Times are CPU cycles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSpec {
    /// Requests that it works on at one time, 1 to 1024.
    pub channels: u16,
    /// From the start of a request to its first byte.
    pub latency: u64,
    /// Added where a request does not follow the one before it: a seek.
    pub seek: u64,
    /// One base page over the link, which the channels share.
    pub page: u64,
    /// The CPU that asks does the work itself, and waits (zram): nothing is queued.
    pub synchronous: bool,
}

impl Default for DeviceSpec {
    /// An NVMe drive at 3 GHz: 80 µs, 32 requests at once, 3 GB/s (general knowledge, not verified).
    fn default() -> Self {
        Self { channels: 32, latency: 240_000, seek: 0, page: 4_100, synchronous: false }
    }
}

#[derive(Clone, Default)]
struct Queue {
    /// When each channel is free.
    channels: Vec<u64>,
    /// When the link is free.
    link: u64,
    /// The place after the last request.
    head: (u32, u64),
}

/// A device with the requests it works on.
pub struct Device {
    spec: DeviceSpec,
    queue: RefCell<Queue>,
}

pagewalk_engine::keep!(Device: queue; fixed spec);

impl Device {
    /// An idle device.
    #[must_use]
    pub fn new(spec: DeviceSpec) -> Self {
        let queue = Queue { channels: vec![0; usize::from(spec.channels)], ..Queue::default() };
        Self { spec, queue: RefCell::new(queue) }
    }

    /// What it was made with: latencies in cycles, bandwidth, channels.
    #[must_use]
    pub fn spec(&self) -> &DeviceSpec {
        &self.spec
    }

    /// When a request for `pages` pages from `place` on (a file's number, or an area's, and a page of it), made at `now`, ends.
    pub fn schedule(&self, now: u64, place: (u32, u64), pages: u64) -> u64 {
        if self.spec.synchronous {
            return now + self.spec.latency + pages * self.spec.page;
        }
        let mut queue = self.queue.borrow_mut();
        let follows = std::mem::replace(&mut queue.head, (place.0, place.1 + pages)) == place;
        let (channel, free) =
            queue.channels.iter().copied().enumerate().min_by_key(|&(n, at)| (at, n)).expect("a channel");
        let first_byte = now.max(free) + self.spec.latency + if follows { 0 } else { self.spec.seek };
        let end = first_byte.max(queue.link) + pages * self.spec.page;
        queue.link = end;
        queue.channels[channel] = end;
        end
    }
}
