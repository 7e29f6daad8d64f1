//! Limits of time as people write them: `30s`, `10m`, `1h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The units, in seconds.
const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// The longest limit: a year of 365 days, in seconds.
const MOST: u64 = 365 * 24 * 3600;

/// A limit of time, 1 s to 365 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit {
    number: u64,
    unit: usize,
}

impl TimeLimit {
    /// How long it is.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.number * UNITS[self.unit].1)
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.number, UNITS[self.unit].0)
    }
}

/// Why a text is no limit of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeLimitError {
    /// It does not begin with a whole number.
    NoNumber,
    /// The unit is missing or unknown; holds what stood there.
    Unit(String),
    /// It is 0, or longer than a year.
    Range,
}

impl fmt::Display for TimeLimitError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber => out.write_str("a time begins with a whole number, as in `10m`"),
            Self::Unit(unit) if unit.is_empty() => out.write_str("a time needs a unit: s, m or h"),
            Self::Unit(unit) => {
                let unit: String = unit.escape_debug().take(20).collect();
                write!(out, "`{unit}` is not a unit of time: s, m or h")
            }
            Self::Range => out.write_str("a time limit is 1s to 8760h, a year"),
        }
    }
}

impl std::error::Error for TimeLimitError {}

impl FromStr for TimeLimit {
    type Err = TimeLimitError;

    fn from_str(text: &str) -> Result<Self, TimeLimitError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(TimeLimitError::NoNumber);
        }
        let unit = unit.trim();
        let place = UNITS.iter().position(|(name, _)| *name == unit);
        let place = place.ok_or_else(|| TimeLimitError::Unit(unit.to_owned()))?;
        let number: u64 = number.parse().map_err(|_| TimeLimitError::Range)?;
        let seconds = number.checked_mul(UNITS[place].1).ok_or(TimeLimitError::Range)?;
        if (1..=MOST).contains(&seconds) {
            Ok(Self { number, unit: place })
        } else {
            Err(TimeLimitError::Range)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_numbers_with_a_unit() {
        let seconds = |text: &str| {
            text.parse::<TimeLimit>().map(|limit| (limit.duration().as_secs(), limit.to_string()))
        };
        assert_eq!(seconds("30s"), Ok((30, "30s".into())));
        assert_eq!(seconds(" 10 m"), Ok((600, "10m".into())));
        assert_eq!(seconds("8760h"), Ok((MOST, "8760h".into())));
        assert_eq!(seconds("soon"), Err(TimeLimitError::NoNumber));
        assert_eq!(seconds("10"), Err(TimeLimitError::Unit(String::new())));
        assert_eq!(seconds("10 days"), Err(TimeLimitError::Unit("days".into())));
        for text in ["0s", "8761h", "99999999999999999999h", "18446744073709551615h"] {
            assert_eq!(seconds(text), Err(TimeLimitError::Range), "{text}");
        }
    }
}
