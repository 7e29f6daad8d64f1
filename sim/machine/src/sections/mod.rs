//! The sections of a machine. A parameter is one entry in one of these files; its field, its default, its row in the table of parameters
//! and the way to the part of the simulator that takes it are made from the entry.

mod costs;
mod kernel;
mod memory;
mod storage;
mod tlb;

use pagewalk_engine::EngineConfig;
use pagewalk_kernel::KernelConfig;
use pagewalk_mmu::{HardwareCosts, HardwareSpec};

pub use self::costs::{Costs, Scheduler};
pub use self::kernel::Kernel;
pub use self::memory::{Memory, Paging};
pub use self::storage::{Disk, SwapArea, SwapDevice};
pub use self::tlb::{Tlb, TlbArray, WalkCache, WalkCaches};
use crate::parameters::{Kind, Parameter};
use crate::value::{Frames, Int, PageSizes, Replacement, Text, Ways};

/// What a machine is built from.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The engine's parameters.
    pub engine: EngineConfig,
    /// The hardware's.
    pub hardware: HardwareSpec,
    /// The kernel's.
    pub kernel: KernelConfig,
}

impl Default for Parts {
    fn default() -> Self {
        let hardware = HardwareSpec { costs: HardwareCosts::default(), ..HardwareSpec::minimal(1, 64) };
        Self { engine: EngineConfig::default(), hardware, kernel: KernelConfig::default() }
    }
}

/// The rows of all sections, in the order a description gives them.
pub(crate) const ROWS: &[&[Parameter]] = &[
    Memory::ROWS,
    Paging::ROWS,
    TlbArray::L1I,
    TlbArray::L1D,
    TlbArray::L2,
    Tlb::ROWS,
    WalkCaches::ROWS,
    Costs::ROWS,
    Scheduler::ROWS,
    Disk::ROWS,
    SwapArea::ROWS,
    Kernel::ROWS,
];

/// A section: for each parameter its type, its default, its unit, what it does, and where the default comes from. `as` names the
/// field of the parts that takes the value and has the default; `= VALUE => FIELD` gives another default.
macro_rules! section {
    (
        $(#[$about:meta])* $name:ident, $prefix:literal, of $parts:ty
        $(, lists { $($(#[$list:meta])* $inner:ident: $section:ty = $given:expr),* $(,)? })?:
        $($field:ident: $type:ty $(as $($part:ident).+)? $(= $own:expr $(=> $($taker:ident).+)?)?,
            $unit:literal, $what:literal, $source:expr;)*
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($($(#[$list])* pub $inner: $section,)*)?
            $(#[doc = $what] pub $field: $type,)*
        }

        impl $name {
            /// Its rows of the table of parameters.
            pub(super) const ROWS: &'static [$crate::parameters::Parameter] = &[
                $($crate::parameters::row::<$type>(concat!($prefix, stringify!($field)), $unit, $what, $source),)*
            ];

            /// Hands its values to the parts that take them.
            pub(crate) fn hand_to(&self, parts: &mut $parts) {
                $($(parts.$($part).+ = $crate::sections::Setting::to_part(&self.$field);)?
                  $($(parts.$($taker).+ = $crate::sections::Setting::to_part(&self.$field);)?)?)*
            }
        }

        impl Default for $name {
            fn default() -> Self {
                let parts = <$parts>::default();
                Self {
                    $($($inner: $given,)*)?
                    $($field: $($crate::sections::Setting::from_part(parts.$($part).+))? $($own)?,)*
                }
            }
        }
    };
}
use section;

/// A type of values, and what it accepts.
pub(crate) trait Allowed {
    const KIND: Kind;
}

impl<const MIN: u64, const MAX: u64> Allowed for Int<MIN, MAX> {
    const KIND: Kind = Kind::Int { min: MIN, max: MAX };
}

impl<const MAX: usize> Allowed for Text<MAX> {
    const KIND: Kind = Kind::Text { max: MAX as u64 };
}

impl Allowed for Frames {
    const KIND: Kind = Kind::Frames;
}

impl Allowed for bool {
    const KIND: Kind = Kind::Flag;
}

impl Allowed for Ways {
    const KIND: Kind = Kind::Ways;
}

impl Allowed for PageSizes {
    const KIND: Kind = Kind::PageSizes;
}

impl Allowed for Replacement {
    const KIND: Kind = Kind::Replacement;
}

/// A value that a part of the simulator takes as `T`.
pub(crate) trait Setting<T> {
    /// The part's own value.
    fn from_part(part: T) -> Self;

    /// As the part takes it.
    fn to_part(&self) -> T;
}

/// Whole numbers as the simulator's types of numbers, which hold the range of every parameter that they stand for.
macro_rules! settings {
    ($($number:ty),*) => {
        $(impl<const MIN: u64, const MAX: u64> Setting<$number> for Int<MIN, MAX> {
            fn from_part(part: $number) -> Self {
                Self::of(u64::try_from(part).expect("a size"))
            }

            fn to_part(&self) -> $number {
                <$number>::try_from(self.get()).expect("the range of the parameter is the part's")
            }
        })*
    };
}
settings!(u64, u32, u16, i16, usize);

/// 0 stands for none.
impl<const MIN: u64, const MAX: u64> Setting<Option<u32>> for Int<MIN, MAX> {
    fn from_part(part: Option<u32>) -> Self {
        Self::from_part(part.unwrap_or(0))
    }

    fn to_part(&self) -> Option<u32> {
        Some(self.to_part()).filter(|&number| number > 0)
    }
}

impl Setting<bool> for bool {
    fn from_part(part: bool) -> Self {
        part
    }

    fn to_part(&self) -> bool {
        *self
    }
}

impl Setting<u32> for Frames {
    fn from_part(part: u32) -> Self {
        Self::new(part.into()).expect("a number of frames that a machine can have")
    }

    fn to_part(&self) -> u32 {
        u32::try_from(self.get()).expect("at most 2^28 frames")
    }
}
