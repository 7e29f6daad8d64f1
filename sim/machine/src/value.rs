//! The values a machine description is made of: each type accepts exactly what is allowed, and says so.

use std::fmt;

use pagewalk_input::size;
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Int<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Int<MIN, MAX> {
    /// The value, if it is within the range.
    #[must_use]
    pub const fn new(value: u64) -> Option<Self> {
        if MIN <= value && value <= MAX { Some(Self(value)) } else { None }
    }

    /// A value known to be within the range: for constants of this program.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub const fn of(value: u64) -> Self {
        Self::new(value).expect("a constant of this program is within its own range")
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as 32 bits; compiles only for ranges that fit.
    #[must_use]
    pub const fn get_u32(self) -> u32 {
        const { assert!(MAX <= u32::MAX as u64) };
        self.0 as u32
    }
}

/// A cost or a time in cycles of the CPU.
pub type Cycles = Int<0, 1_000_000_000>;
/// A cost that cannot be zero, so that simulated time always advances.
pub type SomeCycles = Int<1, 1_000_000_000>;

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Int<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole<const MIN: u64, const MAX: u64>;
        impl<const MIN: u64, const MAX: u64> Visitor<'_> for Whole<MIN, MAX> {
            type Value = Int<MIN, MAX>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "an integer from {MIN} to {MAX}")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                Int::new(value).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
            }
        }
        deserializer.deserialize_any(Whole)
    }
}

/// Text of at most `MAX` characters, none of them a control character.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text, if it is short enough and holds no control characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (text.chars().count() <= MAX && !text.contains(char::is_control)).then(|| Self(text.to_owned()))
    }

    /// The text, of at most `MAX` characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Short<const MAX: usize>;
        impl<const MAX: usize> Visitor<'_> for Short<MAX> {
            type Value = Text<MAX>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a text of at most {MAX} characters, none of them a control character")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let shown: String = text.chars().take(40).collect();
                Text::new(text).ok_or_else(|| E::invalid_value(Unexpected::Str(&shown), &self))
            }
        }
        deserializer.deserialize_any(Short)
    }
}

/// A number of base-page frames (4 KiB each), from 64 to 2^28 (1 TiB).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Frames(u64);

impl Frames {
    /// The fewest frames a machine may have.
    pub const MIN: u64 = 64;
    /// The most frames a machine may have: 1 TiB.
    pub const MAX: u64 = 1 << 28;

    /// The value, if it is within the range.
    #[must_use]
    pub const fn new(frames: u64) -> Option<Self> {
        if Self::MIN <= frames && frames <= Self::MAX { Some(Self(frames)) } else { None }
    }

    /// Reads a size such as `512 MiB`: a multiple of 4 KiB within the range.
    #[must_use]
    pub fn from_size(text: &str) -> Option<Self> {
        let bytes = size::parse(text).ok()?;
        if bytes.is_multiple_of(size::BASE_PAGE_BYTES) {
            Self::new(bytes / size::BASE_PAGE_BYTES)
        } else {
            None
        }
    }

    /// The number of frames.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Frames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;
        impl Visitor<'_> for Count {
            type Value = Frames;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(
                    "a number of frames from 64 to 268435456, or a size from \"256 KiB\" to \"1 TiB\" \
                     that is a multiple of 4 KiB",
                )
            }

            fn visit_u64<E: de::Error>(self, frames: u64) -> Result<Frames, E> {
                Frames::new(frames).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(frames), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Frames, E> {
                let shown: String = text.chars().take(40).collect();
                Frames::from_size(text).ok_or_else(|| E::invalid_value(Unexpected::Str(&shown), &self))
            }
        }
        deserializer.deserialize_any(Count)
    }
}

/// Ways of a set-associative array: a number, or `"full"` for fully associative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ways {
    /// This many entries a set.
    Count(u32),
    /// One set of all entries.
    Full,
}

impl Ways {
    /// The most ways a set may have, also in a fully associative array.
    pub const MAX: u64 = 1024;

    /// The entries a set of an array of `entries`.
    #[must_use]
    pub fn of_entries(self, entries: u64) -> u64 {
        match self {
            Self::Count(ways) => u64::from(ways),
            Self::Full => entries,
        }
    }
}

impl Serialize for Ways {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(ways) => serializer.serialize_u32(*ways),
            Self::Full => serializer.serialize_str("full"),
        }
    }
}

impl<'de> Deserialize<'de> for Ways {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Associativity;
        impl Visitor<'_> for Associativity {
            type Value = Ways;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "a number of ways from 1 to {}, or \"full\" for fully associative", Ways::MAX)
            }

            fn visit_u64<E: de::Error>(self, ways: u64) -> Result<Ways, E> {
                match u32::try_from(ways) {
                    Ok(count) if (1..=Ways::MAX).contains(&ways) => Ok(Ways::Count(count)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(ways), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ways, E> {
                let shown: String = text.chars().take(40).collect();
                if text == "full" {
                    Ok(Ways::Full)
                } else {
                    Err(E::invalid_value(Unexpected::Str(&shown), &self))
                }
            }
        }
        deserializer.deserialize_any(Associativity)
    }
}

/// A page size of x86-64: Intel SDM volume 3, section 4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageSize {
    /// 4 KiB: a base page, mapped by a level-1 entry.
    Base,
    /// 2 MiB, mapped by a level-2 entry.
    Large,
    /// 1 GiB, mapped by a level-3 entry.
    Huge,
}

impl PageSize {
    /// Every page size, from small to large.
    pub const ALL: [Self; 3] = [Self::Base, Self::Large, Self::Huge];

    /// The size as written in a machine description.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "4 KiB",
            Self::Large => "2 MiB",
            Self::Huge => "1 GiB",
        }
    }

    /// The binary logarithm of the size in bytes: 12, 21 or 30.
    #[must_use]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Base => 12,
            Self::Large => 21,
            Self::Huge => 30,
        }
    }
}

impl Serialize for PageSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The page sizes an array holds: at least one, none twice, kept from small to large.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PageSizes(Vec<PageSize>);

impl PageSizes {
    /// The set, if it is not empty and names no size twice.
    #[must_use]
    pub fn new(mut sizes: Vec<PageSize>) -> Option<Self> {
        sizes.sort_unstable();
        let distinct = sizes.windows(2).all(|pair| pair[0] != pair[1]);
        (distinct && !sizes.is_empty()).then_some(Self(sizes))
    }

    /// The sizes, from small to large.
    #[must_use]
    pub fn as_slice(&self) -> &[PageSize] {
        &self.0
    }
}

impl Default for PageSizes {
    /// Base pages only.
    fn default() -> Self {
        Self(vec![PageSize::Base])
    }
}

impl<'de> Deserialize<'de> for PageSizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = PageSizes;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of page sizes, each once, from \"4 KiB\", \"2 MiB\", \"1 GiB\"")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<PageSizes, A::Error> {
                let refused = |shown: &str| de::Error::invalid_value(Unexpected::Other(shown), &self);
                let mut sizes = Vec::new();
                while let Some(name) = items.next_element::<String>()? {
                    let Some(size) = PageSize::ALL.into_iter().find(|size| size.name() == name) else {
                        let shown: String = name.chars().take(40).collect();
                        return Err(refused(&format!("{shown:?}")));
                    };
                    if sizes.contains(&size) {
                        return Err(refused(&format!("{name:?} twice")));
                    }
                    sizes.push(size);
                }
                PageSizes::new(sizes).ok_or_else(|| refused("an empty list"))
            }
        }
        deserializer.deserialize_any(Sizes)
    }
}

/// How an array chooses the entry to replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// The entry used longest ago.
    #[default]
    Lru,
    /// A binary tree of bits that point away from recent use.
    TreePlru,
}
