//! The end of a run: everything is torn down, and nothing may be left over.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use pagewalk_engine::Stop;
use pagewalk_mmu::Pfn;
use pagewalk_pages::{PG_LOCKED, PG_PRIVATE, PG_WRITEBACK, PageMapping};

use crate::fs::{InodeKind, do_sync, drop_pagecache};
use crate::kernel::Kernel;
use crate::task::Task;
use crate::vmscan::shrink_all;

/// Something that outlived the last process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub what: &'static str,
    /// How many of it are left.
    pub count: u64,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.what)
    }
}

impl Kernel {
    /// What is left over after every process has ended: nothing but the pages of the page cache, if the kernel is right
    /// (I27). Of those nobody but the cache, and the buffers, has a reference.
    ///
    /// What is in the swap cache, or on its way to the LRU lists, is on its way out as well: reclaim comes by for it.
    pub fn leftovers(&self) -> Vec<Leftover> {
        let usable = u64::from(self.zone.memory.frames()) - 1; // frame 0 is never handed out
        let loaded = self.hw.cores().iter().filter(|core| core.root().is_some()).count();
        let (cached, held) = self.observe_cached();
        let passing = self.observe_passing();
        let inodes = self.inodes.all();
        let areas = inodes.iter().map(|inode| inode.i_mmap.observe_len() as u64).sum();
        let unnamed = inodes.iter().filter(|inode| inode.kind() == InodeKind::Shmem);
        let shared = unnamed.map(|inode| inode.mapping.observe_pages().len() as u64).sum();
        let counts = [
            (
                "frames not free",
                (usable - u64::from(self.zone.free_frames())).saturating_sub(cached + passing),
            ),
            ("cached pages that somebody holds", held),
            ("pages of shared anonymous memory", shared),
            ("pages of files mapped", self.stat.nr_mapped.get()),
            ("areas that map files", areas),
            ("page tables", u64::from(self.hw.tables.in_use())),
            ("anonymous pages mapped", self.stat.nr_anon_pages.get()),
            ("PTEs that name swap entries", self.stat.nr_swap_ptes.get()),
            ("address spaces", self.mms.borrow().len() as u64),
            ("anon_vmas", self.anon_vmas.len() as u64),
            ("address spaces loaded on CPUs", loaded as u64),
            ("contexts inside the kernel", u64::from(self.inside.get())),
        ];
        let left = counts.into_iter().filter(|&(_, count)| count > 0);
        left.map(|(what, count)| Leftover { what, count }).collect()
    }

    /// Pages in the page cache, and those of them that are mapped, locked, under writeback or referenced.
    fn observe_cached(&self) -> (u64, u64) {
        let (mut cached, mut held) = (0, 0);
        let pagevecs = self.zone.observe_pagevecs();
        for inode in self.inodes.all() {
            for (_, pfn) in inode.mapping.observe_pages() {
                let words = self.zone.memory.words(pfn);
                let flags = words.flags().observe();
                let passing = pagevecs.iter().filter(|&&page| page == pfn).count() as i32;
                let expected = 1 + i32::from(flags & 1 << PG_PRIVATE != 0) + passing;
                let busy = flags & (1 << PG_LOCKED | 1 << PG_WRITEBACK) != 0;
                cached += 1;
                held +=
                    u64::from(busy || words.count().observe() != expected || words.mapcount().observe() != 0);
            }
        }
        (cached, held)
    }

    /// Pages that only the swap cache has, a pagevec, or the buffers of a file that they have lost.
    fn observe_passing(&self) -> u64 {
        let mut passing: BTreeSet<Pfn> = self.zone.observe_pagevecs().into_iter().collect();
        passing.extend(self.swap.swapper_space.observe_pages().into_iter().map(|(_, pfn)| pfn));
        passing.extend(self.observe_orphans());
        let cached = |pfn: &&Pfn| {
            matches!(
                PageMapping::decode(self.zone.memory.words(**pfn).mapping().observe()),
                PageMapping::File(_)
            )
        };
        passing.iter().filter(|pfn| !cached(pfn)).count() as u64
    }

    /// Takes the page cache down after every process has ended, as `sync` and `drop_caches` do: what cannot be dropped is a
    /// leftover too. Changes counters; the run's account is taken before.
    pub fn drop_everything(self: &Rc<Self>) -> Vec<Leftover> {
        let kernel = Rc::clone(self);
        self.engine.spawn(self.engine.cpus()[0].id(), move |cx| async move {
            let current = Task::kernel_thread(cx, kernel);
            do_sync(&current).await;
            shrink_all(&current).await;
            drop_pagecache(&current).await;
        });
        let stop = self.engine.run();
        let mut left = self.leftovers();
        let (cached, _) = self.observe_cached();
        let counts = [
            ("cached pages that cannot be dropped", cached),
            ("pages in the swap cache", self.swap.swapper_space.observe_pages().len() as u64),
            ("pages of swap areas in use", self.swap.observe_counts().len() as u64),
            ("radix tree nodes", self.cache.observe_nodes() as u64),
            ("contexts that cannot go on", u64::from(stop != Stop::Finished)),
        ];
        left.extend(
            counts.into_iter().filter(|&(_, count)| count > 0).map(|(what, count)| Leftover { what, count }),
        );
        left
    }
}
