//! Covering arrays: few combinations of settings, in which every pair of values of two settings occurs.
//!
//! Greedy, as AETG (Cohen, Dalal, Fredman, Patton, "The AETG system", IEEE TSE 23(7), 1997): each row is the best of some candidates, of
//! which each begins with a pair that is not covered yet.

use pagewalk_engine::{Purpose, Random};

/// Candidates of which one becomes a row.
const CANDIDATES: u32 = 20;

/// Pairs still to be covered: of two settings, and a value of each.
struct Open {
    pairs: Vec<(usize, usize, usize, usize)>,
}

impl Open {
    fn all(sizes: &[usize]) -> Self {
        let mut pairs = Vec::new();
        for one in 0..sizes.len() {
            for other in one + 1..sizes.len() {
                let values = (0..sizes[one]).flat_map(|a| (0..sizes[other]).map(move |b| (a, b)));
                pairs.extend(values.map(|(a, b)| (one, other, a, b)));
            }
        }
        Self { pairs }
    }

    fn covered_by(&self, row: &[Option<usize>]) -> usize {
        let inside = |&&(one, other, a, b): &&(usize, usize, usize, usize)| {
            row[one] == Some(a) && row[other] == Some(b)
        };
        self.pairs.iter().filter(inside).count()
    }
}

/// Rows of one value for each setting; setting `n` has values `0..sizes[n]`. Every pair of values of two settings is in some row.
pub(crate) fn pairwise(sizes: &[usize], random: &mut Random) -> Vec<Vec<usize>> {
    let mut open = Open::all(sizes);
    let mut rows = Vec::new();
    while !open.pairs.is_empty() {
        let candidates = (0..CANDIDATES).map(|_| candidate(sizes, &open, random));
        let best = candidates.max_by_key(|row| open.covered_by(row)).expect("there are candidates");
        let row: Vec<usize> =
            best.into_iter().map(|value| value.expect("every setting has a value")).collect();
        open.pairs.retain(|&(one, other, a, b)| row[one] != a || row[other] != b);
        rows.push(row);
    }
    rows
}

fn candidate(sizes: &[usize], open: &Open, random: &mut Random) -> Vec<Option<usize>> {
    let mut row = vec![None; sizes.len()];
    let (one, other, a, b) = open.pairs[random.below(open.pairs.len() as u32) as usize];
    row[one] = Some(a);
    row[other] = Some(b);
    let mut left: Vec<usize> = (0..sizes.len()).filter(|&n| row[n].is_none()).collect();
    while !left.is_empty() {
        let setting = left.swap_remove(random.below(left.len() as u32) as usize);
        let first = random.below(sizes[setting] as u32) as usize;
        let values = (0..sizes[setting]).map(|n| (first + n) % sizes[setting]);
        let gain = |value: &usize| {
            let mut with = row.clone();
            with[setting] = Some(*value);
            open.covered_by(&with)
        };
        row[setting] = values.max_by_key(gain);
    }
    row
}

/// `rows` rows, or more if every pair needs them: rounds of which each covers every pair, the last cut short.
pub(crate) fn rounds(sizes: &[usize], rows: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut random = Random::new(seed, Purpose::Workload);
    let mut all = pairwise(sizes, &mut random);
    let whole = all.len();
    while all.len() < rows {
        all.extend(pairwise(sizes, &mut random));
    }
    all.truncate(rows.max(whole));
    all
}
