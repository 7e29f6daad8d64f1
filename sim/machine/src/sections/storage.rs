//! The disk and the swap areas of a machine.

use pagewalk_kernel::SwapAreaSpec;
use serde::{Deserialize, Serialize};

use super::{Parts, section};
use crate::value::{Cycles, Int};

section! {
    /// The disk that files are on.
    Disk, "disk.", of Parts:
    channels: Int<1, 1024> as kernel.disk.channels, "requests",
        "Requests that the disk works on at one time. Others wait.",
        "an NVMe drive; general knowledge, not verified";
    latency: Cycles as kernel.disk.latency, "cycles",
        "From the start of a request to its first byte.",
        "80 µs, an NVMe drive (70 to 100 µs); general knowledge, not verified. A SATA SSD: 150 µs";
    seek: Cycles as kernel.disk.seek, "cycles",
        "Added where a request does not follow the one before it in the same file.",
        "none, flash does not seek. A hard disk: 8 ms, with channels 1; general knowledge, not verified";
    page: Cycles as kernel.disk.page, "cycles",
        "A base page on the link, which all requests share.",
        "3 GB/s; general knowledge, not verified";
}

section! {
    /// One swap area.
    SwapArea, "swap[].", of SwapAreaSpec:
    pages: Int<1, 134_217_727> as pages, "pages",
        "Pages that one swap area holds. Without areas (swap: []) anonymous pages stay in memory until it is out.",
        "as much as memory";
    priority: Int<0, 32_767> as priority, "",
        "Areas of a higher priority are filled first, those of one priority in turn.",
        "one area, so any; swapon(2)";
    channels: Int<1, 1024> as device.channels, "requests",
        "Requests that the area's device works on at one time. A hard disk: 1.",
        "an NVMe drive, as disk.channels";
    latency: Cycles as device.latency, "cycles",
        "From the start of a request to its first byte. A SATA SSD: 450000 (150 µs); zram: 0.",
        "80 µs, as disk.latency";
    seek: Cycles as device.seek, "cycles",
        "Added where a request does not follow the one before it. A hard disk: 24000000 (8 ms).",
        "none, as disk.seek";
    page: Cycles as device.page, "cycles",
        "A base page on the link; for zram, its compression or decompression: 5100 (lz4, 1.7 µs).",
        "3 GB/s, as disk.page; zram from measurements published at notes.xeome.dev";
    synchronous: bool as device.synchronous, "",
        "Whether the CPU that asks does the work itself, as with zram: nothing is queued, and nobody else gets on meanwhile.",
        "no, a drive works beside the CPUs";
}

/// What may be behind a swap area: a name for the latencies that such devices have, at 3 GHz.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapDevice {
    /// None: anonymous pages stay in memory.
    None,
    /// A drive on NVMe: 80 µs, 32 requests at once, 3 GB/s (general knowledge, not verified).
    Nvme,
    /// A drive on SATA: 150 µs, 32 requests at once, 500 MB/s (general knowledge, not verified).
    Ssd,
    /// A hard disk: 8 ms to seek, one request at a time, 150 MB/s (general knowledge, not verified).
    Hdd,
    /// Compressed memory: the CPU that asks compresses, 1.7 µs a page with lz4 (measurements published at notes.xeome.dev). What the
    /// compressed pages take is not taken from memory.
    Zram,
}

impl SwapDevice {
    /// All of them, and their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("nvme", Self::Nvme),
        ("ssd", Self::Ssd),
        ("hdd", Self::Hdd),
        ("zram", Self::Zram),
    ];

    /// The swap areas of a machine with this one device.
    #[must_use]
    pub fn areas(self, pages: Int<1, 134_217_727>) -> Vec<SwapArea> {
        let area = |channels, latency, seek, page| SwapArea {
            pages,
            priority: Int::of(0),
            channels: Int::of(channels),
            latency: Int::of(latency),
            seek: Int::of(seek),
            page: Int::of(page),
            synchronous: self == Self::Zram,
        };
        match self {
            Self::None => Vec::new(),
            Self::Nvme => vec![area(32, 240_000, 0, 4_100)],
            Self::Ssd => vec![area(32, 450_000, 0, 24_600)],
            Self::Hdd => vec![area(1, 0, 24_000_000, 82_000)],
            Self::Zram => vec![area(1, 0, 0, 5_100)],
        }
    }
}
