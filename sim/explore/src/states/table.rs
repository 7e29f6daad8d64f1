//! From the digest of a state to its number.

/// Open addressing over the digests that are kept elsewhere, by number.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// A number plus 1, or 0 for none.
    places: Vec<u32>,
    used: usize,
}

impl Table {
    /// The number of `state`, or `None` and it is `number` from now on.
    pub(super) fn find_or_add(&mut self, state: u128, number: u32, states: &[u128]) -> Option<u32> {
        if (self.used + 1) * 4 > self.places.len() * 3 {
            self.grow(states);
        }
        let place = self.place(state, states);
        if self.places[place] != 0 {
            return Some(self.places[place] - 1);
        }
        self.places[place] = number + 1;
        self.used += 1;
        None
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        (self.places.len() * size_of::<u32>()) as u64
    }

    /// Where it is, or would be.
    fn place(&self, state: u128, states: &[u128]) -> usize {
        let mask = self.places.len() - 1;
        let mut place = state as usize & mask;
        while self.places[place] != 0 && states[self.places[place] as usize - 1] != state {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self, states: &[u128]) {
        let kept = std::mem::take(&mut self.places);
        self.places = vec![0; (kept.len() * 2).max(1024)];
        for number in kept.into_iter().filter(|&number| number != 0) {
            let place = self.place(states[number as usize - 1], states);
            self.places[place] = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_the_number_that_it_was_given() {
        // Many begin with the same place.
        let states: Vec<u128> = (0..5_000_u128).map(|n| (n / 7) | (n << 64)).collect();
        let mut table = Table::default();
        for (number, &state) in (0..).zip(&states) {
            assert_eq!(table.find_or_add(state, number, &states), None);
        }
        for (number, &state) in (0..).zip(&states) {
            assert_eq!(table.find_or_add(state, 9_999, &states), Some(number));
        }
    }
}
