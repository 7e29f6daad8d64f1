//! Patterns of accesses over one region per process, without events in between.

use std::io::Write;
use std::rc::Rc;

use super::actor::{Actor, DATA, Emitter, PAGE};
use super::rng::Rng;
use super::spec::{GeneratorSpec, Pattern};
use crate::error::TraceError;

/// Data accesses that a thread makes before another one is chosen.
const TURN: u64 = 64;

/// A thread's way through its region.
enum Walk {
    /// The next offset, and the distance to the one after.
    Steps {
        next: u64,
        step: u64,
    },
    Uniform,
    /// Cumulative weights by rank, and the page of each rank.
    Zipf(Rc<(Vec<u64>, Vec<u32>)>),
    HotScan {
        scan: u64,
    },
    /// Each page's successor, and the page to come.
    Chase {
        successors: Rc<Vec<u32>>,
        at: u32,
    },
}

pub(super) fn run<W: Write>(emitter: &mut Emitter<'_, W>) -> Result<(), TraceError> {
    let len = emitter.spec.pages * PAGE;
    let processes = emitter.population(|emitter, main| emitter.map(main, DATA, len))?;
    let mut threads: Vec<(Actor, Walk)> = Vec::new();
    let tables = Tables::new(emitter.spec, &mut emitter.rng);
    for process in &processes {
        for (i, actor) in process.iter().enumerate() {
            let share = len / u64::from(emitter.spec.threads) * i as u64;
            threads.push((actor.clone(), tables.walk(emitter.spec, share)));
        }
    }
    while !emitter.done() {
        let (actor, walk) = {
            let chosen = emitter.rng.below(threads.len() as u64) as usize;
            let (actor, walk) = &mut threads[chosen];
            (actor, walk)
        };
        for _ in 0..TURN {
            let offset = walk.next(emitter);
            let op = emitter.op();
            emitter.access(actor, op, DATA + offset)?;
        }
    }
    processes.iter().try_for_each(|process| emitter.exit(process))
}

/// Tables that all threads share.
struct Tables {
    zipf: Rc<(Vec<u64>, Vec<u32>)>,
    cycle: Rc<Vec<u32>>,
}

impl Tables {
    fn new(spec: &GeneratorSpec, rng: &mut Rng) -> Self {
        let pages = spec.pages as u32;
        let mut tables = Self { zipf: Rc::default(), cycle: Rc::default() };
        if spec.pattern == Pattern::Zipf {
            tables.zipf = Rc::new((zipf_weights(pages), shuffled(pages, rng, 1)));
        }
        if spec.pattern == Pattern::PointerChase {
            tables.cycle = Rc::new(shuffled(pages, rng, 0));
        }
        tables
    }

    fn walk(&self, spec: &GeneratorSpec, share: u64) -> Walk {
        match spec.pattern {
            Pattern::Strided => Walk::Steps { next: share, step: spec.stride },
            Pattern::Uniform => Walk::Uniform,
            Pattern::Zipf => Walk::Zipf(Rc::clone(&self.zipf)),
            Pattern::HotScan => Walk::HotScan { scan: share / PAGE },
            Pattern::PointerChase => {
                Walk::Chase { successors: Rc::clone(&self.cycle), at: (share / PAGE) as u32 }
            }
            _ => Walk::Steps { next: share, step: u64::from(spec.length) },
        }
    }
}

/// Cumulative weights 2^40 / rank, so that a draw below the last is a draw of a rank by binary search.
fn zipf_weights(pages: u32) -> Vec<u64> {
    let mut sum = 0;
    let add = |rank| {
        sum += (1 << 40) / u64::from(rank);
        sum
    };
    (1..=pages).map(add).collect()
}

/// A random permutation: with `reach` 1 any (Fisher and Yates), with 0 one that is a single cycle (Sattolo).
fn shuffled(pages: u32, rng: &mut Rng, reach: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..pages).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i as u64 + reach) as usize);
    }
    order
}

impl Walk {
    /// The next offset in the region; an access there stays inside it.
    fn next<W: Write>(&mut self, emitter: &mut Emitter<'_, W>) -> u64 {
        let pages = emitter.spec.pages;
        let page = match self {
            Self::Steps { next, step } => {
                let room = pages * PAGE - u64::from(emitter.spec.length) + 1;
                let offset = *next % room;
                *next = (offset + *step) % room;
                return offset;
            }
            Self::Uniform => emitter.rng.below(pages),
            Self::Zipf(tables) => {
                let (weights, page_of) = &**tables;
                let draw = emitter.rng.below(weights.last().copied().unwrap_or(1));
                let rank = weights.partition_point(|sum| *sum <= draw);
                u64::from(page_of[rank])
            }
            Self::HotScan { scan } => {
                if emitter.rng.below(8) > 0 {
                    emitter.rng.below(pages.div_ceil(16))
                } else {
                    *scan = (*scan + 1) % pages;
                    *scan
                }
            }
            Self::Chase { successors, at } => {
                *at = successors[*at as usize];
                u64::from(*at)
            }
        };
        page * PAGE + emitter.offset()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chase_visits_every_page_before_it_returns() {
        for pages in 1..40 {
            let successors = shuffled(pages, &mut Rng::new(u64::from(pages)), 0);
            let mut at = 0;
            let mut steps = 0;
            loop {
                at = successors[at as usize];
                steps += 1;
                if at == 0 {
                    break;
                }
            }
            assert_eq!(steps, pages);
        }
    }

    #[test]
    fn zipf_weights_fall_as_one_over_the_rank() {
        let weights = zipf_weights(1000);
        assert_eq!(weights[0], 1 << 40);
        assert_eq!(weights[9] - weights[8], (1 << 40) / 10);
        assert!(weights.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
