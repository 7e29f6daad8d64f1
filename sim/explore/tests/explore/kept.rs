//! A world that is set back before each run against one that is built anew: no run may tell which it is on.

use std::cell::Cell;
use std::panic::{set_hook, take_hook};
use std::rc::Rc;

use pagewalk_engine::{CpuId, Engine, Stop, Violation};
use pagewalk_explore::{Limits, Model, Operation, World, exhaust, random_walk};
use pagewalk_pages::{Mutant, Switches};

use crate::subjects::{Subject, generated, read, shipped};

/// Everything that a search and random schedules show, run by run: class or choices, verdict with its messages.
fn story(world: &mut World, runs: u64, steps: usize) -> Vec<String> {
    let mut story = Vec::new();
    let limits = Limits { runs, steps };
    let searched = exhaust(world, limits, &mut |run| {
        story.push(format!("{:032x} {:?}", run.class, run.verdict));
        true
    });
    let walked = random_walk(world, 3, limits, &mut |choices, verdict| {
        story.push(format!("{choices:?} {verdict:?}"));
        true
    });
    story.push(format!("{searched:?} {walked:?} {:?}", world.mutants_not_reached()));
    story
}

/// Two threads write to a private mapping of which nothing has been touched, while the file is shortened.
fn first_private_faults() -> Subject {
    let mut subject = shipped().into_iter().find(|subject| subject.name == "fault-and-truncate fixed");
    let mut subject = subject.take().expect("a shipped scenario");
    let scenario = &mut subject.scenario;
    scenario.maps.iter_mut().for_each(|map| map.shared = false);
    scenario.warm.clear();
    let store = |page| Operation::Store { page };
    scenario.cpus =
        vec![vec![store(1), store(0)], vec![store(0), Operation::Truncate { file: "a".into(), pages: 0 }]];
    scenario.check().expect("it can be run");
    subject
}

/// The first run of `subject` that differs on the two worlds.
fn difference(subject: &Subject, runs: u64, steps: usize) -> Option<String> {
    let kept = story(&mut subject.world(), runs, steps);
    let anew = story(&mut subject.world().built_anew(), runs, steps);
    let pairs = kept.iter().zip(&anew).find(|(kept, anew)| kept != anew);
    let first = pairs.map(|(kept, anew)| format!("{}:\n{kept}\n{anew}", subject.name));
    first.or_else(|| (kept.len() != anew.len()).then(|| format!("{}: another number of runs", subject.name)))
}

fn differences(subjects: impl Iterator<Item = Subject>, runs: u64, steps: usize) -> Vec<String> {
    subjects.filter_map(|subject| difference(&subject, runs, steps)).collect()
}

#[test]
fn a_world_that_is_set_back_is_like_one_that_is_built_anew() {
    let mutants = Mutant::ALL.into_iter().flat_map(|mutant| {
        let switches = Switches::FIXED.with_mutant(mutant);
        ["fault-and-truncate", "discard-and-reuse", "lookup-and-reuse"].map(|name| Subject {
            name: format!("{name} {}", mutant.info().name),
            scenario: read(name),
            switches,
        })
    });
    let all = shipped().into_iter().chain((0..100).map(generated)).chain([first_private_faults()]);
    assert_eq!(differences(all, 40, 2_000), Vec::<String>::new());
    assert_eq!(differences(mutants, 12, 2_000), Vec::<String>::new());
}

#[test]
fn runs_that_were_cut_off_leave_nothing_behind() {
    let all = || shipped().into_iter().step_by(3).chain((100..130).map(generated));
    for steps in [1, 5, 17, 40, 90] {
        assert_eq!(differences(all(), 6, steps), Vec::<String>::new());
    }
}

/// What one context more does at some point of a world's runs.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// It hits a `BUG`.
    Bug,
    /// It makes a mistake, and the engine panics.
    Mistake,
}

/// A world with such a context.
struct Buggy(World, Wrong);

impl Model for Buggy {
    fn cpus(&self) -> usize {
        self.0.cpus()
    }

    fn start(&mut self, seed: u64) -> Rc<Engine> {
        let (engine, wrong) = (self.0.start(seed), self.1);
        let idle = CpuId(self.cpus() as u16 - 1);
        engine.spawn(idle, async move |cx| {
            for _ in 0..8 {
                cx.run_user().await;
            }
            match wrong {
                Wrong::Bug => cx.bug("a world that cannot be").await,
                Wrong::Mistake => cx.cpu().take_offline(), // with a context on it
            }
        });
        engine
    }

    fn judge(&mut self, stop: &Stop) -> Vec<Violation> {
        self.0.judge(stop)
    }
}

thread_local! {
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// From now on the panics of each thread are counted, before anybody else is told of them.
fn count_panics() {
    // The search tells its own first: whoever comes later is asked earlier.
    exhaust(&mut shipped()[0].world(), Limits { runs: 1, steps: 1 }, &mut |_| true);
    let told = take_hook();
    set_hook(Box::new(move |info| {
        PANICS.set(PANICS.get() + 1);
        told(info);
    }));
}

#[test]
fn runs_that_hit_a_bug_leave_nothing_behind() {
    count_panics();
    for (wrong, panics) in [(Wrong::Bug, 0), (Wrong::Mistake, 20)] {
        for subject in shipped().into_iter().step_by(2) {
            let (mut buggy, name) = (Buggy(subject.world(), wrong), &subject.name);
            let mut bugs = 0;
            PANICS.set(0);
            random_walk(&mut buggy, 1, Limits { runs: 20, steps: 2_000 }, &mut |_, verdict| {
                bugs += u64::from(verdict.violations.iter().any(|violation| violation.invariant == "panic"));
                true
            });
            assert_eq!((bugs, PANICS.get()), (20, panics), "{name}, {wrong:?}");
            let mut after = story(&mut buggy.0, 6, 2_000);
            let mut anew = story(&mut subject.world().built_anew(), 6, 2_000);
            // Which mutants were reached is told of all runs.
            after.pop();
            anew.pop();
            assert_eq!(after, anew, "{name}, {wrong:?}");
        }
    }
}
