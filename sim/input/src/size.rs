//! Sizes of memory as people write them: `512 MiB`, `4 KiB`, `1 TiB`.

use std::fmt;

/// Bytes in a base page, the unit of a frame.
pub const BASE_PAGE_BYTES: u64 = 4096;

const UNITS: [(&str, u32); 5] = [("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SizeError {
    /// The text does not begin with a whole number.
    NoNumber,
    /// The unit is missing or unknown; holds what stood there.
    Unit(String),
    /// The size does not fit in 64 bits.
    TooLarge,
}

impl fmt::Display for SizeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber => out.write_str("a size begins with a whole number, as in `512 MiB`"),
            Self::Unit(unit) if unit.is_empty() => {
                out.write_str("a size needs a unit: B, KiB, MiB, GiB or TiB")
            }
            Self::Unit(unit) => {
                let unit: String = unit.escape_debug().take(20).collect();
                write!(out, "`{unit}` is not a unit of size: B, KiB, MiB, GiB or TiB")
            }
            Self::TooLarge => out.write_str("the size does not fit in 64 bits"),
        }
    }
}

impl std::error::Error for SizeError {}

/// Reads a size in bytes: a whole number, optional spaces, and one of `B`, `KiB`, `MiB`, `GiB`, `TiB`.
///
/// # Errors
/// When the text is not of that form, or the size exceeds 64 bits.
pub fn parse(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: String = number.chars().filter(|c| *c != '_').collect();
    if number.is_empty() {
        return Err(SizeError::NoNumber);
    }
    let unit = unit.trim();
    let shift = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, shift)| *shift);
    let shift = shift.ok_or_else(|| SizeError::Unit(unit.to_owned()))?;
    let number: u64 = number.parse().map_err(|_| SizeError::TooLarge)?;
    number.checked_mul(1 << shift).ok_or(SizeError::TooLarge)
}

/// Writes a size exactly, in the largest unit that divides it: `512 MiB`, `4100 KiB`.
#[must_use]
pub fn exact(bytes: u64) -> String {
    let fits = |shift: u32| bytes != 0 && bytes.trailing_zeros() >= shift;
    let (unit, shift) = UNITS.iter().rev().find(|(_, shift)| fits(*shift)).unwrap_or(&UNITS[0]);
    format!("{} {unit}", bytes >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_written() {
        assert_eq!(parse("512 MiB"), Ok(512 << 20));
        assert_eq!(parse(" 4KiB "), Ok(4096));
        assert_eq!(parse("1_024 B"), Ok(1024));
        assert_eq!(parse("1 TiB"), Ok(1 << 40));
    }

    #[test]
    fn what_is_no_size_is_refused_with_a_reason() {
        assert_eq!(parse(""), Err(SizeError::NoNumber));
        assert_eq!(parse("MiB"), Err(SizeError::NoNumber));
        assert_eq!(parse("-4 KiB"), Err(SizeError::NoNumber));
        assert_eq!(parse("4096"), Err(SizeError::Unit(String::new())));
        assert_eq!(parse("4 MB"), Err(SizeError::Unit("MB".into())));
        assert_eq!(parse("1.5 MiB"), Err(SizeError::Unit(".5 MiB".into())));
        assert_eq!(parse("99999999999999999999 B"), Err(SizeError::TooLarge));
        assert_eq!(parse("16777216 TiB"), Err(SizeError::TooLarge));
    }

    #[test]
    fn exact_sizes_read_back() {
        for bytes in [0, 1, 4095, 4096, 1 << 20, (1 << 30) + 4096, 1 << 40, u64::MAX] {
            assert_eq!(parse(&exact(bytes)), Ok(bytes), "{}", exact(bytes));
        }
        assert_eq!(exact(512 << 20), "512 MiB");
    }
}
