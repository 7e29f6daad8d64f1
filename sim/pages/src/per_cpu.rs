//! A CPU's own list of free single frames (Linux `struct per_cpu_pages`), which spares it the allocator's lock.

use std::collections::VecDeque;

use pagewalk_mmu::{Pfn, SpecError};

use crate::{BadFree, Buddy, PhysicalMemory};

/// Free frames kept by one CPU. The front is hot: frames freed last are handed out first; draining takes the coldest.
#[derive(Clone, Debug, Hash)]
pub struct PerCpuPages {
    frames: VecDeque<Pfn>,
    batch: u32,
    high: u32,
}

impl PerCpuPages {
    /// An empty list that moves `batch` frames at a time and keeps fewer than `high`.
    ///
    /// # Errors
    /// If `batch` is 0, or `high` is below `batch`.
    pub fn new(batch: u32, high: u32) -> Result<Self, SpecError> {
        if batch == 0 || high < batch {
            let numbers = format!("per-CPU pages with batch {batch} and high {high}");
            return Err(SpecError::new(format!("{numbers}: batch must be at least 1, high at least batch")));
        }
        Ok(Self { frames: VecDeque::new(), batch, high })
    }

    /// Takes the hottest frame; `None` if the list is empty and must be [refilled](PerCpuPages::refill) first.
    pub fn pop(&mut self) -> Option<Pfn> {
        self.frames.pop_front()
    }

    /// Gives back a frame. True if the list is full now and must be [drained](PerCpuPages::drain): Linux frees a batch
    /// as soon as the count reaches `high`.
    #[must_use = "a full list must be drained"]
    pub fn push(&mut self, pfn: Pfn) -> bool {
        self.frames.push_front(pfn);
        self.len() >= self.high
    }

    /// Whether the frame is on the list, for observers.
    #[must_use]
    pub fn contains(&self, pfn: Pfn) -> bool {
        self.frames.contains(&pfn)
    }

    /// Frames on the list.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.frames.len() as u32
    }

    /// True if there is no frame on the list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes up to a batch of frames from the allocator, to be handed out in the order they come. Returns how many.
    pub fn refill(&mut self, buddy: &mut Buddy, memory: &PhysicalMemory) -> u32 {
        let before = self.len();
        for _ in 0..self.batch {
            let Some(pfn) = buddy.alloc(memory, 0) else { break };
            self.frames.push_back(pfn);
        }
        self.len() - before
    }

    /// Gives the coldest batch back to the allocator. Returns how many frames.
    ///
    /// # Errors
    /// If one of them is not allocated: a BUG.
    pub fn drain(&mut self, buddy: &mut Buddy, memory: &PhysicalMemory) -> Result<u32, BadFree> {
        self.give_back(self.batch, buddy, memory)
    }

    /// Gives everything back to the allocator. Returns how many frames.
    ///
    /// # Errors
    /// If one of them is not allocated: a BUG.
    pub fn drain_all(&mut self, buddy: &mut Buddy, memory: &PhysicalMemory) -> Result<u32, BadFree> {
        self.give_back(self.len(), buddy, memory)
    }

    fn give_back(&mut self, most: u32, buddy: &mut Buddy, memory: &PhysicalMemory) -> Result<u32, BadFree> {
        let count = most.min(self.len());
        for pfn in self.frames.drain((self.len() - count) as usize..).rev() {
            buddy.free(memory, pfn, 0)?;
        }
        Ok(count)
    }
}
