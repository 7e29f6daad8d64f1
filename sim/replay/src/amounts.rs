//! How much memory, which swap, and which antagonists: as people write them.

use std::fmt;
use std::str::FromStr;

use pagewalk_kernel::{Antagonist, AntagonistSpec};
use pagewalk_machine::{Frames, Int, SwapArea, SwapDevice};

/// How much memory the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryAmount {
    /// So many frames.
    Frames(Frames),
    /// So many percent of what the traces use when there is enough.
    Percent(u32),
}

/// The most percent that can be asked for.
const MOST_PERCENT: u32 = 10_000;

impl FromStr for MemoryAmount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "`{text}` is no amount of memory; expected a size as in 64MiB, a number of frames from {} on, or a percentage of what \
                 the traces use, from 1% to {MOST_PERCENT}%",
                Frames::MIN
            )
        };
        if let Some(number) = text.strip_suffix('%') {
            let percent = number.trim().parse().ok().filter(|percent| (1..=MOST_PERCENT).contains(percent));
            return percent.map(Self::Percent).ok_or_else(expected);
        }
        let frames = match text.parse() {
            Ok(frames) => Frames::new(frames),
            Err(_) => Frames::from_size(text),
        };
        frames.map(Self::Frames).ok_or_else(expected)
    }
}

/// A device and how much it holds, as in `zram` or `hdd:64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwapChoice {
    /// The device.
    pub device: SwapDevice,
    /// Pages; as the default machine's unless given.
    pub pages: Int<1, 134_217_727>,
}

impl FromStr for SwapChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, size) = text.split_once(':').map_or((text, None), |(name, size)| (name, Some(size)));
        let known = SwapDevice::ALL.iter().find(|(known, _)| *known == name);
        let &(_, device) = known.ok_or_else(|| {
            let names: Vec<&str> = SwapDevice::ALL.iter().map(|(name, _)| *name).collect();
            format!("`{name}` is no swap device; expected one of {}", names.join(", "))
        })?;
        let pages = match size {
            None => Some(SwapArea::default().pages),
            Some(size) => {
                size.parse().ok().or_else(|| Frames::from_size(size).map(Frames::get)).and_then(Int::new)
            }
        };
        let wrong = || {
            format!(
                "`{}` is no size of a swap area; expected pages or a size, as in 64MiB",
                size.unwrap_or("")
            )
        };
        Ok(Self { device, pages: pages.ok_or_else(wrong)? })
    }
}

/// Operations in a million accesses of an antagonist that is given none.
const DEFAULT_RATE: u32 = 50;
/// The most of them.
const MOST_RATE: u32 = 100_000;

/// One name of `--antagonist`, and how often each that it stands for acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AntagonistChoice(pub Vec<AntagonistSpec>);

impl FromStr for AntagonistChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rate) = match text.split_once(':') {
            None => (text, DEFAULT_RATE),
            Some((name, rate)) => {
                let known = rate.parse().ok().filter(|rate| (1..=MOST_RATE).contains(rate));
                let wrong = || {
                    format!(
                        "`{rate}` is no rate; expected operations in a million accesses, from 1 to {MOST_RATE}"
                    )
                };
                (name, known.ok_or_else(wrong)?)
            }
        };
        let kinds = match name {
            "all" => Antagonist::ALL.to_vec(),
            name => vec![Antagonist::from_name(name).ok_or_else(|| {
                let names: Vec<&str> = Antagonist::ALL.iter().map(|kind| kind.name()).collect();
                format!("`{name}` is no antagonist; expected all, or some of {}", names.join(", "))
            })?],
        };
        Ok(Self(kinds.into_iter().map(|kind| AntagonistSpec { kind, rate }).collect()))
    }
}

impl fmt::Display for AntagonistChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(|spec| format!("{}:{}", spec.kind, spec.rate)).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_size_or_frames_or_a_percentage() {
        assert_eq!("50%".parse(), Ok(MemoryAmount::Percent(50)));
        assert_eq!("512".parse(), Ok(MemoryAmount::Frames(Frames::new(512).expect("enough"))));
        assert_eq!("2 MiB".parse(), Ok(MemoryAmount::Frames(Frames::new(512).expect("enough"))));
        for wrong in ["0%", "%", "-5%", "10001%", "63", "12 parsecs", "", "5 KiB"] {
            assert!(wrong.parse::<MemoryAmount>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn swap_is_a_device_and_a_size() {
        let pages = |text: &str| text.parse::<SwapChoice>().map(|swap| (swap.device, swap.pages.get()));
        assert_eq!(pages("zram"), Ok((SwapDevice::Zram, 131_072)));
        assert_eq!(pages("hdd:64MiB"), Ok((SwapDevice::Hdd, 16_384)));
        assert_eq!(pages("none:10"), Ok((SwapDevice::None, 10)));
        for wrong in ["", "tape", "zram:", "zram:0", "zram:5 KiB", "nvme:200000000"] {
            assert!(pages(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn antagonists_have_names_and_rates() {
        let one = "reclaim:40".parse::<AntagonistChoice>().expect("right");
        assert_eq!(one.0, [AntagonistSpec { kind: Antagonist::Reclaim, rate: 40 }]);
        assert_eq!("all".parse::<AntagonistChoice>().expect("right").0.len(), Antagonist::ALL.len());
        assert_eq!(one.to_string(), "reclaim:40");
        for wrong in ["", "reclaims", "reclaim:", "reclaim:0", "reclaim:100001", "all:x"] {
            assert!(wrong.parse::<AntagonistChoice>().is_err(), "{wrong}");
        }
    }
}
