//! Physical memory and the format of page tables.

use pagewalk_mmu::Format;
use serde::{Deserialize, Serialize};

use super::{Parts, Setting, section};
use crate::value::{Frames, Int};

section! {
    /// Physical memory.
    Memory, "memory.", of Parts:
    frames: Frames = Frames::new(131_072).expect("512 MiB is within the range") => hardware.frames, "frames of 4 KiB",
        "Physical memory. May be written as a size, such as \"512 MiB\".",
        "large enough for small traces";
    min_free: Int<0, 67_108_864> as kernel.pages_min, "frames",
        "Frames that ordinary allocations leave free (pages_min). kswapd begins below a quarter more and ends above a half more. With 0 it is computed.",
        "the root of 16 times the memory in KiB, from 128 KiB to 64 MiB: init_per_zone_pages_min of Linux 2.6.27 mm/page_alloc.c";
    group_limit: Int<0, 268_435_456> as kernel.group_limit, "frames",
        "Frames that the processes of one trace may have together, anonymous and of files, as of a memory cgroup: beyond, they reclaim their own. With 0 there is no limit.",
        "no cgroup";
}

section! {
    /// The page-table format.
    Paging, "paging.", of Parts:
    levels: Int<4, 5> as hardware.format, "levels",
        "Levels of the x86-64 page table: 4 for 48-bit addresses, 5 for 57-bit. A walk reads one entry a level.",
        "Intel SDM volume 3, section 4.5";
}

impl Setting<Format> for Int<4, 5> {
    fn from_part(part: Format) -> Self {
        Self::of(part.levels.into())
    }

    fn to_part(&self) -> Format {
        Format::x86_64(self.get() as u8).expect("4 or 5 levels")
    }
}
