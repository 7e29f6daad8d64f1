//! The disk and the swap areas of a machine.

use pagewalk_kernel::DeviceSpec;
use serde::{Deserialize, Serialize};

use super::{Cycles, Int};

/// The disk that files are on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Requests that it works on at one time.
    pub channels: Int<1, 1024>,
    /// Cycles from the start of a request to its first byte.
    pub latency: Cycles,
    /// Cycles added where a request does not follow the one before it.
    pub seek: Cycles,
    /// Cycles that a base page takes on the link.
    pub page: Cycles,
}

impl Default for Disk {
    fn default() -> Self {
        let DeviceSpec { channels, latency, seek, page, .. } = DeviceSpec::default();
        let [latency, seek, page] = [latency, seek, page].map(Int::of);
        Self { channels: Int::of(channels.into()), latency, seek, page }
    }
}

/// One swap area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwapArea {
    /// Pages it holds.
    pub pages: Int<1, 134_217_727>,
    /// Areas of a higher priority are filled first, those of one priority in turn.
    pub priority: Int<0, 32_767>,
    /// Requests that its device works on at one time.
    pub channels: Int<1, 1024>,
    /// Cycles from the start of a request to its first byte.
    pub latency: Cycles,
    /// Cycles added where a request does not follow the one before it.
    pub seek: Cycles,
    /// Cycles that a base page takes on the link.
    pub page: Cycles,
    /// Whether the CPU that asks does the work itself.
    pub synchronous: bool,
}

impl Default for SwapArea {
    fn default() -> Self {
        let Disk { channels, latency, seek, page } = Disk::default();
        let (pages, priority) = (Int::of(131_072), Int::of(0));
        Self { pages, priority, channels, latency, seek, page, synchronous: false }
    }
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
