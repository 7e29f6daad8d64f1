//! The lines of accesses, `I  HEX,DEC` and the like: almost all lines of a log, so they are read eight bytes at a time.

use crate::record::{ADDRESS_LIMIT, MAX_ACCESS_LEN, Op, RawAccess};

/// Bytes that a line in the usual form takes at most, rounded up.
const WINDOW: usize = 24;
const ONES: u64 = 0x0101_0101_0101_0101;

/// The access at the start of `text`, and the length of its line, if the line has the usual form: 8 to 10 or 12 lower-case
/// digits, a length of at most three digits, and LF. Any other line is for [`slow`].
#[inline]
pub(crate) fn fast(text: &[u8]) -> Option<(RawAccess, usize)> {
    let window: &[u8; WINDOW] = text.first_chunk()?;
    let op = match &[window[0], window[1], window[2]] {
        b"I  " => Op::Fetch,
        b" L " => Op::Load,
        b" S " => Op::Store,
        b" M " => Op::Modify,
        _ => return None,
    };
    let first = hex8(window.first_chunk::<11>()?.last_chunk()?)?;
    let (addr, comma) = if window[11] == b',' {
        (first, 11)
    } else if window[13] == b',' {
        (first << 8 | pair(window[11], window[12])?, 13)
    } else if window[12] == b',' {
        (first << 4 | pair(b'0', window[11])?, 12)
    } else if window[15] == b',' {
        (first << 16 | pair(window[11], window[12])? << 8 | pair(window[13], window[14])?, 15)
    } else {
        return None;
    };
    let digit = |at: usize| {
        let value = window[at].wrapping_sub(b'0');
        (value < 10).then_some(u16::from(value))
    };
    let mut len = digit(comma + 1)?;
    let mut end = comma + 2;
    if window[end] != b'\n' {
        len = len * 10 + digit(end)?;
        end += 1;
        if window[end] != b'\n' {
            len = len * 10 + digit(end)?;
            end += 1;
        }
    }
    (len > 0 && window[end] == b'\n').then_some((RawAccess { addr, len, op }, end + 1))
}

/// Eight lower-case hexadecimal digits at once.
#[inline]
fn hex8(digits: &[u8; 8]) -> Option<u64> {
    let text = u64::from_be_bytes(*digits);
    // A letter has bit 6 set, and its low four bits are 9 less than its value.
    let letters = (text >> 6) & ONES;
    let values = (text & (ONES * 0x0f)) + letters * 9;
    // What these values look like in text: 10 and above have bit 4 set after adding 6.
    let tens = ((values + ONES * 6) >> 4) & ONES;
    let spelt = values + ONES * u64::from(b'0') + tens * u64::from(b'a' - b'0' - 10);
    if spelt != text || values & (ONES * 0xf0) != 0 {
        return None;
    }
    let pairs = (values | values >> 4) & 0x00ff_00ff_00ff_00ff;
    let words = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((words | words >> 16) & 0xffff_ffff)
}

/// Two hexadecimal digits.
#[inline]
fn pair(high: u8, low: u8) -> Option<u64> {
    Some(hex_digit(high)? << 4 | hex_digit(low)?)
}

fn hex_digit(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a' + 10)),
        b'A'..=b'F' => Some(u64::from(byte - b'A' + 10)),
        _ => None,
    }
}

const HEX: &str = "an address in hexadecimal digits, then a comma";
const DEC: &str = "a length of 1 to 4096 in decimal digits, then the end of the line";

/// What a line that may be an access says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// An access in range.
    Access(RawAccess),
    /// An access at 2^56 or above.
    High,
    /// A line of another kind.
    Other,
    /// A column, from 1, and what is expected there.
    Wrong(usize, &'static str),
}

/// A line without its end, digit by digit.
pub(crate) fn slow(line: &[u8]) -> Slow {
    let op = match line {
        [b'I', b' ', b' ', ..] => Op::Fetch,
        [b' ', b'L', b' ', ..] => Op::Load,
        [b' ', b'S', b' ', ..] => Op::Store,
        [b' ', b'M', b' ', ..] => Op::Modify,
        _ => return Slow::Other,
    };
    let mut at = 3;
    let mut addr = 0u64;
    let mut high = false;
    while let Some(digit) = line.get(at).and_then(|b| hex_digit(*b)) {
        high |= addr >> 52 != 0;
        addr = addr << 4 | digit;
        at += 1;
    }
    if at == 3 || line.get(at) != Some(&b',') {
        return Slow::Wrong(at + 1, HEX);
    }
    let digits = at + 1;
    let mut len = 0u16;
    at = digits;
    while let Some(digit @ b'0'..=b'9') = line.get(at) {
        len = (len * 10 + u16::from(digit - b'0')).min(MAX_ACCESS_LEN + 1);
        at += 1;
    }
    if at != line.len() || at == digits {
        return Slow::Wrong(at + 1, DEC);
    }
    if !(1..=MAX_ACCESS_LEN).contains(&len) {
        return Slow::Wrong(digits + 1, DEC);
    }
    if high || addr + u64::from(len) >= ADDRESS_LIMIT {
        return Slow::High;
    }
    Slow::Access(RawAccess { addr, len, op })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn the_fast_way_says_what_the_slow_way_says(
            line in "(I  | L | S | M |[IL M]{3})([0-9a-f]{6,13}|[0-9a-gA-G/:@`]{6,12})[,;]?[0-9]{0,4}[ ,]?",
            rest in "[\nI 0-9,]{0,24}",
        ) {
            let text = format!("{line}\n{rest}");
            if let Some((access, used)) = fast(text.as_bytes()) {
                prop_assert_eq!(used, line.len() + 1);
                prop_assert_eq!(slow(line.as_bytes()), Slow::Access(access));
            } else if let Slow::Access(access) = slow(line.as_bytes()) {
                let usual = format!("{:08x},{}", access.addr, access.len);
                let short = text.len() < WINDOW || access.len > 999 || line[3..].starts_with("0") && access.addr >> 32 != 0;
                let digits = usual.find(',').unwrap_or(0);
                prop_assert!(line[3..] != *usual || short || ![8, 9, 10, 12].contains(&digits), "{line}");
            }
        }
    }
}
