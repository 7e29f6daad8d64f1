//! The events of a run by what they access: which of them a step may have an object in common with.

/// For each 64 events, and each bit of their signatures, which of them have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    rows: Vec<[u64; 64]>,
}

impl Index {
    /// Adds event `event`, which comes after all others.
    pub(crate) fn push(&mut self, event: usize, signature: u64) {
        if event / 64 == self.rows.len() {
            self.rows.push([0; 64]);
        }
        let row = &mut self.rows[event / 64];
        bits(signature).for_each(|bit| row[bit] |= 1 << (event % 64));
    }

    /// Forgets all but the first `kept` events.
    pub(crate) fn truncate(&mut self, kept: usize) {
        self.rows.truncate(kept.div_ceil(64));
        if !kept.is_multiple_of(64) && kept / 64 < self.rows.len() {
            let stay = (1 << (kept % 64)) - 1;
            self.rows[kept / 64].iter_mut().for_each(|events| *events &= stay);
        }
    }

    /// The events that have a bit in common with `signature`, the last one first.
    pub(crate) fn alike(&self, signature: u64) -> impl Iterator<Item = usize> {
        self.rows.iter().enumerate().rev().flat_map(move |(number, row)| {
            let mut left = bits(signature).fold(0, |events, bit| events | row[bit]);
            std::iter::from_fn(move || {
                let last = left.checked_ilog2()?;
                left &= !(1 << last);
                Some(number * 64 + last as usize)
            })
        })
    }
}

/// The bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros())?;
        word &= word - 1;
        Some(bit as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_a_scan_finds() {
        let signature = |event: u64| event.wrapping_mul(0x9E37_79B9_7F4A_7C15) & (event << 40 | 0x1111_0101);
        let mut index = Index::default();
        (0..300).for_each(|event| index.push(event, signature(event as u64)));
        for (kept, wanted) in
            [(300, 1 << 8), (300, u64::MAX), (193, 0x11), (192, 1 << 41), (7, u64::MAX), (0, 1)]
        {
            index.truncate(kept);
            let expected: Vec<_> =
                (0..kept).rev().filter(|&event| signature(event as u64) & wanted != 0).collect();
            assert_eq!(index.alike(wanted).collect::<Vec<_>>(), expected);
        }
        index.push(0, 1);
        assert_eq!(index.alike(1).collect::<Vec<_>>(), [0]);
    }
}
