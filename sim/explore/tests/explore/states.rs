//! The search by state: machines that it takes for the same go on alike, and it finds what the search by class finds.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pagewalk_engine::{Digest, Engine, Executed, Explorer, Purpose, Random, Shared, Stop, Violation};
use pagewalk_explore::matrix::SmallWorld;
use pagewalk_explore::{
    CheckpointError, Limits, Model, Operation, StateGraph, StateSummary, Walked, World, disagreement,
    exhaust, walk,
};
use pagewalk_pages::Switches;
use proptest::prelude::*;

use crate::generate::{interrupted, programs, sleeping, stream};
use crate::program::{Program, Programs};
use crate::subjects::{generated, shipped};

/// Longer runs do not occur where a search ends.
const STEPS: usize = 2_000;

/// All states of `model`, and the classes of the words that its retries watch.
fn all_states(model: &mut dyn Model) -> (StateSummary, Vec<u8>) {
    let graph = StateGraph::new();
    assert_eq!(walk(model, &graph, STEPS), Walked::Over);
    (graph.summary(), graph.watched())
}

/// In what both searches of a model differ; `None` if that by class needs more than `most` runs.
fn compare(name: &str, model: &mut dyn Model, most: u64) -> Option<Vec<String>> {
    let found = disagreement(model, Limits { runs: most, steps: STEPS })?;
    Some(found.into_iter().map(|what| format!("{name}: {what}")).collect())
}

#[test]
fn both_searches_of_a_shipped_scenario_agree() {
    let mut wrong = Vec::new();
    for subject in shipped().into_iter().filter(|subject| !subject.name.starts_with("fault-and-truncate")) {
        let compared = compare(&subject.name, &mut subject.world(), 10_000);
        wrong.extend(compared.unwrap_or_else(|| panic!("{}: classes without an end", subject.name)));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn both_searches_of_generated_scenarios_agree() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for subject in (0..400).map(generated).filter(|subject| subject.scenario.cpus.len() < 3) {
        if let Some(found) = compare(&subject.name, &mut subject.world(), 300) {
            wrong.extend(found);
            compared += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(compared >= 200, "{compared} compared");
}

#[test]
fn both_searches_of_generated_programs_agree() {
    let (mut compared, mut wrong) = (0, Vec::new());
    let all = prop_oneof![programs(), interrupted(), sleeping()];
    for program in stream(all).take(700) {
        let mut model = Programs::new(program.clone());
        if let Some(found) = compare(&format!("{program:?}"), &mut model, 20_000) {
            wrong.extend(found);
            compared += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(compared >= 500, "{compared} compared");
}

/// Runs by chance, and what came after each state.
struct Chance {
    random: Random,
    shared: Option<Rc<dyn Shared>>,
    /// Who could go on, and what each was about to do.
    stood: BTreeMap<u128, (u64, Vec<String>)>,
    /// By state and actor: the next state.
    led: BTreeMap<(u128, usize), u128>,
    last: Option<(u128, usize)>,
    unlike: Vec<String>,
}

impl Chance {
    fn stands(&mut self, engine: &Engine, enabled: u64) -> u128 {
        let state = engine.state(self.shared.as_deref().expect("asked for before the run"));
        let ops = (0..64).filter(|actor| enabled >> actor & 1 == 1).map(|actor| {
            let op = engine.pending(actor);
            op.map_or_else(String::new, |op| format!("{:?} {} {}", op.kind, op.object, op.location))
        });
        let now = (enabled, ops.collect::<Vec<_>>());
        let before = self.stood.entry(state).or_insert_with(|| now.clone());
        if *before != now {
            self.unlike.push(format!("one state, {before:?} and {now:?}"));
        }
        if let Some(from) = self.last.take()
            && *self.led.entry(from).or_insert(state) != state
        {
            self.unlike.push(format!("a step of actor {} leads to two states, one at {:?}", from.1, now.1));
        }
        state
    }
}

impl Explorer for Chance {
    fn choose(&mut self, engine: &Engine, enabled: u64) -> Option<usize> {
        let state = self.stands(engine, enabled);
        let nth = self.random.below(enabled.count_ones());
        let actor = (0..64).filter(|actor| enabled >> actor & 1 == 1).nth(nth as usize)?;
        self.last = Some((state, actor));
        Some(actor)
    }

    fn executed(&mut self, _: &Engine, _: &Executed<'_>) {}
}

/// What differs after states that are taken for the same, in `runs` random runs; and in how many states a run was that another
/// had been in.
fn unlike(model: &mut dyn Model, watched: &[u8], runs: u64) -> (Vec<String>, usize) {
    let mut chance = Chance {
        random: Random::new(1, Purpose::Schedule),
        shared: None,
        stood: BTreeMap::new(),
        led: BTreeMap::new(),
        last: None,
        unlike: Vec::new(),
    };
    let mut steps = 0;
    for _ in 0..runs {
        let engine = model.start(0);
        engine.keep_histories(watched);
        chance.shared = model.shared();
        let stop = engine.explore(&mut chance);
        if matches!(stop, Stop::Finished | Stop::Deadlock(_)) {
            chance.stands(&engine, 0);
        }
        chance.last = None;
        steps += engine.cpus().iter().map(|cpu| cpu.steps() as usize).sum::<usize>();
        model.judge(&stop);
    }
    (chance.unlike, steps.saturating_sub(chance.stood.len()))
}

#[test]
fn machines_in_one_state_go_on_alike() {
    let (mut wrong, mut again) = (Vec::new(), 0);
    let fixed = |name: &str| name.ends_with("fixed") || name.ends_with("linux-2.6.27");
    let subjects = shipped().into_iter().filter(|subject| fixed(&subject.name));
    for subject in subjects.chain((0..150).map(generated).filter(|subject| subject.name.contains("fixed"))) {
        let all: Vec<u8> = (0..=255).collect();
        let (unlike, met) = unlike(&mut subject.world(), &all, 60);
        wrong.extend(unlike.into_iter().take(2).map(|what| format!("{}: {what}", subject.name)));
        again += met;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(again > 10_000, "{again} states met again");
}

#[test]
fn a_world_that_is_set_back_has_the_states_of_one_that_is_built_anew() {
    for subject in shipped().into_iter().filter(|subject| subject.name.ends_with("fixed")) {
        let (kept, _) = all_states(&mut subject.world());
        let (anew, _) = all_states(&mut subject.world().built_anew());
        assert_eq!(kept, anew, "{}", subject.name);
    }
}

#[test]
fn a_search_goes_on_from_a_file_to_the_same_answer() {
    let subject = shipped().into_iter().find(|subject| subject.name == "lookup-and-reuse skip-recheck");
    let subject = subject.expect("a mutant of the table");
    let (undisturbed, _) = all_states(&mut subject.world());
    assert!(undisturbed.broken.len() >= 2);
    for runs in [1, 7, 40, 200] {
        let (graph, left) = (StateGraph::new(), Rc::new(Cell::new(runs)));
        let some = Rc::new(move || {
            left.set(left.get() - 1);
            left.get() > 0
        });
        walk(&mut subject.world().asking(some), &graph, STEPS);
        assert!(!graph.summary().complete, "{runs} runs are not enough");
        let mut file = Vec::new();
        graph.write_to(&mut file, 7).expect("memory takes everything");
        assert!(matches!(StateGraph::read_from(&mut &file[..], 8), Err(CheckpointError::Subject)));
        let resumed = StateGraph::read_from(&mut &file[..], 7).expect("just written");
        walk(&mut subject.world(), &resumed, STEPS);
        assert_eq!(resumed.summary(), undisturbed);
    }
}

#[test]
fn a_file_with_a_wrong_byte_or_without_its_end_is_refused() {
    let subject = shipped().into_iter().find(|subject| subject.name == "insertion fixed").expect("shipped");
    let graph = StateGraph::new();
    walk(&mut subject.world(), &graph, STEPS);
    let mut file = Vec::new();
    graph.write_to(&mut file, 1).expect("memory takes everything");
    assert!(StateGraph::read_from(&mut &file[..], 1).is_ok());
    for place in (0..file.len()).step_by(37) {
        let mut other = file.clone();
        other[place] ^= 0x10;
        assert!(StateGraph::read_from(&mut &other[..], 1).is_err(), "byte {place}");
        assert!(StateGraph::read_from(&mut &file[..place], 1).is_err(), "the first {place} bytes");
    }
}

/// Programs in which operations meet often, on a page that is mapped: long ways that differ and come together again.
fn crowded() -> Vec<World> {
    let discard = || Operation::Discard { page: 0 };
    let load = || Operation::Load { page: 0 };
    let store = || Operation::Store { page: 0 };
    let invalidate = || Operation::Invalidate { file: "a".into() };
    let truncate = || Operation::Truncate { file: "a".into(), pages: 0 };
    let mapped = SmallWorld { cached: true, mapped: true };
    [
        vec![vec![discard(), Operation::DropCaches, load()], vec![store()]],
        vec![vec![discard()], vec![discard()], vec![load()]],
        vec![vec![store(), load()], vec![invalidate()]],
        vec![vec![load(), store()], vec![truncate()], vec![load()]],
    ]
    .map(|cpus| World::new(mapped.scenario(cpus), Switches::FIXED))
    .into()
}

#[test]
fn machines_in_one_state_go_on_alike_where_many_ways_meet() {
    let all: Vec<u8> = (0..=255).collect();
    for mut world in crowded() {
        let (unlike, again) = unlike(&mut world, &all, 1_500);
        assert_eq!(unlike, Vec::<String>::new());
        assert!(again > 10_000, "{again} states met again");
    }
}

/// Programs whose outcomes are collected, and what a search by state is told of their words.
struct Told {
    programs: Programs,
    blind: bool,
    outcomes: BTreeSet<String>,
}

/// Nothing.
struct Blind;

impl Shared for Blind {
    fn absorb_into(&self, _: &mut Digest) {}
}

impl Model for Told {
    fn cpus(&self) -> usize {
        self.programs.cpus()
    }

    fn start(&mut self, seed: u64) -> Rc<Engine> {
        self.programs.start(seed)
    }

    fn shared(&self) -> Option<Rc<dyn Shared>> {
        if self.blind { Some(Rc::new(Blind)) } else { self.programs.shared() }
    }

    fn judge(&mut self, stop: &Stop) -> Vec<Violation> {
        let found = self.programs.judge(stop);
        self.outcomes.extend(found.iter().map(|violation| violation.message.clone()));
        if let Stop::Stopped(why) = stop {
            self.outcomes.extend(why.strip_prefix("panic: ").map(str::to_owned));
        }
        found
    }
}

/// Every outcome of a program that a search by state comes to.
fn outcomes(program: &Program, blind: bool) -> BTreeSet<String> {
    let mut told = Told { programs: Programs::new(program.clone()), blind, outcomes: BTreeSet::new() };
    all_states(&mut told);
    told.outcomes
}

#[test]
fn every_outcome_is_found_by_state_and_not_by_who_does_not_see_the_words() {
    let (mut compared, mut missed) = (0, 0);
    for program in stream(prop_oneof![programs(), interrupted(), sleeping()]).take(300) {
        let mut by_class = BTreeSet::new();
        let limits = Limits { runs: 5_000, steps: STEPS };
        let summary = exhaust(&mut Programs::new(program.clone()), limits, &mut |run| {
            by_class.extend(run.verdict.violations.iter().map(|violation| violation.message.clone()));
            true
        });
        if summary.complete {
            assert_eq!(outcomes(&program, false), by_class, "{program:?}");
            missed += usize::from(outcomes(&program, true) != by_class);
            compared += 1;
        }
    }
    assert!(compared >= 200 && missed >= 20, "{missed} of {compared} are told from a blind search");
}
