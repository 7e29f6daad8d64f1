//! Reading and writing little-endian integers and LEB128 varints without ever trusting a length.

/// Appends `value` as an unsigned LEB128 varint: 7 bits per byte, low bits first, high bit means "more".
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a length-prefixed string.
pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Maps signed to unsigned so that small magnitudes stay small: 0, -1, 1, -2 become 0, 1, 2, 3.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Why a decoder stopped: what it found and what it expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) found: String,
    pub(crate) expected: &'static str,
}

impl Malformed {
    pub(crate) fn new(found: impl Into<String>, expected: &'static str) -> Self {
        Self { found: found.into(), expected }
    }
}

/// A cursor over bytes whose every read can fail.
pub(crate) struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// Bytes not yet read.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, n: u64) -> Result<&'a [u8], Malformed> {
        let split = usize::try_from(n).ok().and_then(|n| self.rest.split_at_checked(n));
        let Some((head, tail)) = split else {
            return Err(Malformed::new(format!("{} bytes left", self.rest.len()), "more data"));
        };
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self.take(N as u64)?.try_into().expect("take returns as many bytes as asked"))
    }

    /// A varint in its shortest form, so that every value has one encoding.
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::new("an overlong varint", "an integer of at most 64 bits in its shortest form"))
    }

    /// A varint that fits 32 bits.
    pub(crate) fn varint32(&mut self) -> Result<u32, Malformed> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| Malformed::new(value.to_string(), "an integer below 2^32"))
    }

    /// A string of at most `max` bytes.
    pub(crate) fn string(&mut self, max: usize) -> Result<String, Malformed> {
        let len = self.varint()?;
        if len > max as u64 {
            return Err(Malformed::new(format!("a string of {len} bytes"), "a shorter string"));
        }
        let bytes = self.take(len)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Malformed::new("bytes that are not UTF-8", "text"))
    }

    /// Fails unless everything was read.
    pub(crate) fn end(&self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            n => Err(Malformed::new(format!("{n} more bytes"), "the end of the block")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_and_zigzag_round_trip(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut bytes = Bytes::new(&out);
            prop_assert_eq!(bytes.varint().unwrap(), value);
            prop_assert!(bytes.end().is_ok());
            prop_assert_eq!(zigzag(unzigzag(value)), value);
        }
    }

    #[test]
    fn a_varint_has_only_one_encoding() {
        for bad in [&[0x80u8, 0][..], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
        {
            assert!(Bytes::new(bad).varint().is_err(), "{bad:?}");
        }
    }
}
