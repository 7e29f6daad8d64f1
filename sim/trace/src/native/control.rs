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
    /// Bytes, or 0 if the length is explicit.
    pub(crate) len: u16,
    /// Bytes consumed from the column of fetch deltas, and of data deltas; one of them is 0.
    pub(crate) fetch_width: u8,
    pub(crate) data_width: u8,
    pub(crate) op: Op,
    /// Mixed into the prediction slot, so that a load and a store of one instruction do not disturb each other.
    pub(crate) slot: u16,
    pub(crate) valid: bool,
}

/// The meaning of every control byte.
pub(crate) static MEANINGS: [Meaning; 256] = meanings();

const fn meanings() -> [Meaning; 256] {
    let unused =
        Meaning { mask: 0, len: 1, fetch_width: 0, data_width: 0, op: Op::Fetch, slot: 0, valid: false };
    let mut table = [unused; 256];
    let mut code = 0;
    while code < LIMIT {
        table[code] = if code < DATA_BASE {
            let width = FETCH_WIDTHS[code % FETCH_WIDTHS.len()];
            let len = (code / FETCH_WIDTHS.len()) as u16;
            Meaning { mask: mask(width), len, fetch_width: width, valid: true, ..unused }
        } else {
            let data = code - DATA_BASE;
            let op = [Op::Load, Op::Store, Op::Modify][data / PER_OP];
            let width = DATA_WIDTHS[data % DATA_WIDTHS.len()];
            let len = DATA_LENS[data % PER_OP / DATA_WIDTHS.len()];
            let slot = (op as u16) << 8;
            Meaning { mask: mask(width), len, data_width: width, op, slot, valid: true, ..unused }
        };
        code += 1;
    }
    table
}

const fn mask(width: u8) -> u64 {
    if width == 8 { u64::MAX } else { (1 << (8 * width as u32)) - 1 }
}

/// The control byte for an access with this zigzag delta, and the delta's width in bytes.
pub(crate) fn control(op: Op, len: u16, delta: u64) -> (u8, usize) {
    let need = (71 - delta.leading_zeros() as usize) / 8;
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

/// Where the data predictions of the instruction at `pc` start.
#[inline]
pub(crate) fn context(pc: u64) -> u64 {
    pc ^ (pc >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_mean_what_was_asked_for() {
        let mut used = std::collections::BTreeSet::new();
        for op in Op::ALL {
            for len in 1..=40 {
                for delta in (0..64).map(|bit| (1u64 << bit) - 1).chain([u64::MAX]) {
                    let (code, width) = control(op, len, delta);
                    let meaning = MEANINGS[code as usize];
                    assert!(meaning.valid && meaning.op == op);
                    assert!(meaning.len == len || meaning.len == 0);
                    assert_eq!(delta & meaning.mask, delta);
                    assert_eq!((meaning.fetch_width + meaning.data_width) as usize, width);
                    used.insert(code);
                }
            }
        }
        assert_eq!(used.len(), LIMIT, "every control byte has a use");
    }
}
