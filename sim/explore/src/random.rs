//! The random walk: at every point each enabled actor is as likely as the others.

use pagewalk_engine::{Engine, Executed, Explorer, Purpose, Random, Stop};

use crate::model::{Limits, Model, Summary, Verdict, run_once, verdict_of};

/// A seeded uniform choice at every step.
#[derive(Clone, Debug)]
pub struct RandomWalk {
    random: Random,
    choices: Vec<usize>,
    most_steps: usize,
}

impl RandomWalk {
    /// The walk of `seed`, at most so many steps long.
    pub fn new(seed: u64, most_steps: usize) -> Self {
        Self { random: Random::new(seed, Purpose::Schedule), choices: Vec::new(), most_steps }
    }

    /// Begins the next run, of another seed.
    pub fn begin(&mut self, seed: u64) {
        self.random = Random::new(seed, Purpose::Schedule);
        self.choices.clear();
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

/// Runs `model` under `limits.runs` random schedules. `visit` gets each run's choices and verdict, and says whether to go on.
pub fn random_walk(
    model: &mut dyn Model,
    seed: u64,
    limits: Limits,
    visit: &mut dyn FnMut(&[usize], &Verdict) -> bool,
) -> Summary {
    let mut summary = Summary::default();
    let mut walk = RandomWalk::new(seed, limits.steps);
    for number in 0..limits.runs {
        let own = seed_of_run(seed, number);
        walk.begin(own);
        let (engine, stop) = run_once(model, own, &mut walk);
        summary.runs += 1;
        summary.steps += walk.choices().len() as u64;
        if walk.was_cut() && matches!(stop, Stop::Stopped(_)) {
            summary.cut += 1;
        } else {
            let verdict = verdict_of(model, &engine, stop);
            summary.failing += u64::from(!verdict.is_clean());
            if !visit(walk.choices(), &verdict) {
                break;
            }
        }
        if !model.goes_on() {
            break;
        }
    }
    summary
}
