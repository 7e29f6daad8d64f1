//! The events of a run by what they access and by who did: which of them a step may depend on and does not know of.

/// Sets of events, 64 of them to a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// For each row and each bit of signatures: which events have it.
    signed: Vec<[u64; 64]>,
    /// For each row and actor: which events are its.
    acted: Vec<Vec<u64>>,
    /// The events of each actor, in order.
    of_actor: Vec<Vec<usize>>,
}

impl Index {
    /// No events, of so many actors.
    pub(crate) fn new(actors: usize) -> Self {
        Self { of_actor: vec![Vec::new(); actors], ..Self::default() }
    }

    /// Adds event `event`, which comes after all others.
    pub(crate) fn push(&mut self, event: usize, actor: usize, signature: u64) {
        let (row, own) = (event / 64, 1 << (event % 64));
        if row == self.signed.len() {
            self.signed.push([0; 64]);
            self.acted.push(vec![0; self.of_actor.len()]);
        }
        each_bit(signature, |bit| self.signed[row][bit] |= own);
        self.acted[row][actor] |= own;
        self.of_actor[actor].push(event);
    }

    /// Forgets all but the first `kept` events.
    pub(crate) fn truncate(&mut self, kept: usize) {
        self.signed.truncate(kept.div_ceil(64));
        self.acted.truncate(kept.div_ceil(64));
        if let (Some(signed), Some(acted)) = (self.signed.get_mut(kept / 64), self.acted.get_mut(kept / 64)) {
            let stay = (1 << (kept % 64)) - 1;
            signed.iter_mut().chain(acted).for_each(|events| *events &= stay);
        }
        for events in &mut self.of_actor {
            while events.pop_if(|event| *event >= kept).is_some() {}
        }
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.signed.len()
    }

    /// Event `ordinal`, from 1, of `actor`.
    pub(crate) fn nth(&self, actor: usize, ordinal: u16) -> usize {
        self.of_actor[actor][usize::from(ordinal) - 1]
    }

    /// The events of `row` that have a bit in common with `signature` and that who has this clock does not know, the last one first.
    pub(crate) fn unknown(
        &self,
        row: usize,
        signature: u64,
        clock: &[u16],
    ) -> impl Iterator<Item = usize> + use<> {
        let mut left = 0;
        each_bit(signature, |bit| left |= self.signed[row][bit]);
        for (actor, &own) in self.acted[row].iter().enumerate() {
            if left & own != 0 && clock[actor] > 0 {
                left &= !(own & up_to(row, self.nth(actor, clock[actor])));
            }
        }
        std::iter::from_fn(move || {
            let last = left.checked_ilog2()?;
            left &= !(1 << last);
            Some(row * 64 + last as usize)
        })
    }
}

/// The events of `row` up to `event`.
fn up_to(row: usize, event: usize) -> u64 {
    match event.checked_sub(row * 64) {
        None => 0,
        Some(place) if place >= 63 => u64::MAX,
        Some(place) => (2 << place) - 1,
    }
}

fn each_bit(mut word: u64, mut each: impl FnMut(usize)) {
    while word != 0 {
        each(word.trailing_zeros() as usize);
        word &= word - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_a_scan_finds() {
        let signature = |event: usize| {
            (event as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) & ((event as u64) << 40 | 0x1111_0101)
        };
        let actor = |event: usize| (event / 5 + event / 64) % 3;
        let mut index = Index::new(3);
        (0..300).for_each(|event| index.push(event, actor(event), signature(event)));
        let wanted = [1 << 8, u64::MAX, 0x11, 1 << 41];
        for (kept, clock) in
            [(300, [40, 0, 90]), (256, [0; 3]), (193, [50, 1, 2]), (7, [1, 2, 0]), (0, [0; 3])]
        {
            index.truncate(kept);
            let ordinal = |event: usize| (0..=event).filter(|&other| actor(other) == actor(event)).count();
            for wanted in wanted {
                let unknown = |&event: &usize| {
                    signature(event) & wanted != 0 && ordinal(event) > usize::from(clock[actor(event)])
                };
                let expected: Vec<_> = (0..kept).rev().filter(unknown).collect();
                let rows = (0..index.rows()).rev();
                let found: Vec<_> = rows.flat_map(|row| index.unknown(row, wanted, &clock)).collect();
                assert_eq!(found, expected, "{kept} events, {wanted:#x}");
            }
        }
        index.push(0, 2, 1);
        assert_eq!((index.nth(2, 1), index.rows()), (0, 1));
    }
}
