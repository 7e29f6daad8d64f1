//! The random walk: at every point each enabled actor is as likely as the others.

use std::rc::Rc;

use pagewalk_engine::{Engine, Executed, Explorer, Purpose, Random, Stop};

use crate::model::{Limits, Model, Summary, Verdict};
use crate::strategy::{Ran, Strategy, drive};

/// A seeded uniform choice at every step.
#[derive(Clone, Debug)]
pub struct RandomWalk {
    seed: u64,
    /// Runs begun.
    begun: u64,
    random: Random,
    choices: Vec<usize>,
    most_steps: usize,
}

impl RandomWalk {
    /// Walks begun with `seed`, at most so many steps long.
    pub fn new(seed: u64, most_steps: usize) -> Self {
        let random = Random::new(seed, Purpose::Schedule);
        Self { seed, begun: 0, random, choices: Vec::new(), most_steps }
    }

    /// Who took each step of the present run.
    pub fn choices(&self) -> &[usize] {
        &self.choices
    }

    /// Whether the present run was cut off.
    pub fn was_cut(&self) -> bool {
        self.choices.len() >= self.most_steps
    }
}

impl Explorer for RandomWalk {
    #[inline]
    fn choose(&mut self, _: &Engine, enabled: u64) -> Option<usize> {
        if self.choices.len() >= self.most_steps {
            return None;
        }
        let count = enabled.count_ones();
        let mut left = enabled;
        if count > 1 {
            for _ in 0..self.random.below(count) {
                left &= left - 1;
            }
        }
        Some(left.trailing_zeros() as usize)
    }

    #[inline]
    fn executed(&mut self, _: &Engine, step: &Executed<'_>) {
        self.choices.push(step.actor);
    }
}

/// The seed of run `number` of a walk begun with `seed`: any run is repeated without those before it.
pub(crate) fn seed_of_run(seed: u64, number: u64) -> u64 {
    seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

impl Strategy for RandomWalk {
    fn begin(&mut self) -> u64 {
        let seed = seed_of_run(self.seed, self.begun);
        self.begun += 1;
        self.random = Random::new(seed, Purpose::Schedule);
        self.choices.clear();
        seed
    }

    fn end(&mut self, _: &Rc<Engine>, stop: &Stop) -> Ran {
        if self.was_cut() && matches!(stop, Stop::Stopped(_)) { Ran::Cut } else { Ran::Whole }
    }

    fn steps(&self) -> usize {
        self.choices.len()
    }

    fn advance(&mut self) -> bool {
        true // chance never says that nothing is left
    }
}

/// Runs `model` under `limits.runs` random schedules. `visit` gets each run's choices and verdict, and says whether to go on.
pub fn random_walk(
    model: &mut dyn Model,
    seed: u64,
    limits: Limits,
    visit: &mut dyn FnMut(&[usize], &Verdict) -> bool,
) -> Summary {
    let mut walk = RandomWalk::new(seed, limits.steps);
    drive(model, &mut walk, limits, &mut |walk, verdict| visit(walk.choices(), verdict))
}
