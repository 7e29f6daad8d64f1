//! The control byte of an access: operation, length and width of the address delta in one table lookup.

use crate::record::Op;

/// Delta widths in bytes of fetches and of data accesses, by width code.
pub(crate) const FETCH_WIDTHS: [u8; 6] = [0, 1, 2, 3, 4, 8];
pub(crate) const DATA_WIDTHS: [u8; 7] = [0, 1, 2, 3, 4, 6, 8];
/// Lengths of data accesses by length code; 0 means that the length stands in the column of lengths. A fetch's length
/// code is its length, 1 to 15 (the longest x86 instruction).
pub(crate) const DATA_LENS: [u16; 7] = [0, 1, 2, 4, 8, 16, 32];
const FETCH_LENS: u16 = 16;
/// First control byte of data accesses.
const DATA_BASE: usize = FETCH_LENS as usize * FETCH_WIDTHS.len();
const PER_OP: usize = DATA_LENS.len() * DATA_WIDTHS.len();
/// Control bytes from here on are not used.
pub(crate) const LIMIT: usize = DATA_BASE + 3 * PER_OP;

/// Entries in the table of data predictions.
pub(crate) const SLOTS: usize = 1024;

/// What a control byte means.
#[derive(Clone, Copy)]
pub(crate) struct Meaning {
    /// Selects the delta's bytes from the eight that are read.
    pub(crate) mask: u64,
    /// The delta's highest bit, or 0 if it has no bytes.
    pub(crate) sign: u64,
    /// Bytes, or 0 if the length is explicit.
    pub(crate) len: u16,
    /// The delta's bytes.
    pub(crate) width: u8,
    pub(crate) op: Op,
}

/// The meaning of every control byte.
pub(crate) static MEANINGS: [Meaning; 256] = meanings();

const fn meanings() -> [Meaning; 256] {
    let mut table = [meaning(Op::Fetch, 1, 0); 256];
    let mut code = 0;
    while code < LIMIT {
        table[code] = if code < DATA_BASE {
            let width = FETCH_WIDTHS[code % FETCH_WIDTHS.len()];
            meaning(Op::Fetch, (code / FETCH_WIDTHS.len()) as u16, width)
        } else {
            let data = code - DATA_BASE;
            let op = [Op::Load, Op::Store, Op::Modify][data / PER_OP];
            let len = DATA_LENS[data % PER_OP / DATA_WIDTHS.len()];
            meaning(op, len, DATA_WIDTHS[data % DATA_WIDTHS.len()])
        };
        code += 1;
    }
    table
}

const fn meaning(op: Op, len: u16, width: u8) -> Meaning {
    let (mask, sign) = match width {
        0 => (0, 0),
        8 => (u64::MAX, 1 << 63),
        _ => ((1 << (8 * width)) - 1, 1 << (8 * width - 1)),
    };
    Meaning { mask, sign, len, width, op }
}

/// The control byte for an access with this delta, and the delta's width in bytes.
pub(crate) fn control(op: Op, len: u16, delta: i64) -> (u8, usize) {
    let bits = 64 - (delta ^ (delta >> 63)).leading_zeros() as usize;
    let need = if delta == 0 { 0 } else { bits / 8 + 1 };
    let at_least = |widths: &[u8]| {
        widths.iter().position(|&w| w as usize >= need).expect("the last width holds any delta")
    };
    if op == Op::Fetch {
        let width = at_least(&FETCH_WIDTHS);
        let len = if len < FETCH_LENS { len as usize } else { 0 };
        return ((len * FETCH_WIDTHS.len() + width) as u8, FETCH_WIDTHS[width] as usize);
    }
    let width = at_least(&DATA_WIDTHS);
    let len = DATA_LENS.iter().position(|&l| l == len).unwrap_or(0);
    let code = DATA_BASE + (op as usize - 1) * PER_OP + len * DATA_WIDTHS.len() + width;
    (code as u8, DATA_WIDTHS[width] as usize)
}

/// Where the prediction for a data access of the instruction at `instruction` is kept. A load and a store of one
/// instruction do not disturb each other.
#[inline]
pub(crate) fn slot(instruction: u64, op: Op) -> usize {
    (instruction ^ (instruction >> 10) ^ ((op as u64) << 8)) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_mean_what_was_asked_for() {
        let mut used = std::collections::BTreeSet::new();
        for op in Op::ALL {
            for len in 1..=40 {
                for delta in (0..63).flat_map(|bit| [(1i64 << bit) - 1, -1 << bit, 1 << bit]) {
                    let (code, width) = control(op, len, delta);
                    let meaning = MEANINGS[code as usize];
                    assert!(meaning.op == op && (meaning.len == len || meaning.len == 0));
                    let (mask, sign) = (meaning.mask, meaning.sign);
                    assert_eq!(((delta as u64 & mask) ^ sign).wrapping_sub(sign), delta as u64);
                    assert_eq!(meaning.width as usize, width);
                    used.insert(code);
                }
            }
        }
        assert_eq!(used.len(), LIMIT, "every control byte has a use");
    }
}
