//! Whatever passes the check of scenarios can be run: programs, files and mappings at the ends of what is allowed.

use pagewalk_explore::{FileSpec, Limits, MapSpec, Operation, Pool, Scenario, World, random_walk};
use pagewalk_pages::Switches;
use proptest::prelude::*;

/// Files, each with as many of its pages cached as a file may have.
fn files(count: usize, cached: u64) -> Vec<FileSpec> {
    let file = |n| FileSpec {
        name: format!("f{n}"),
        pages: cached.max(1),
        cached: (0..cached).collect(),
        dirty: (0..cached).filter(|page| page % 3 == 0).collect(),
    };
    (0..count).map(file).collect()
}

fn full(frames: u32, files: Vec<FileSpec>) -> Scenario {
    Scenario {
        about: String::new(),
        frames,
        pool: Pool::PerCpu,
        files,
        maps: Vec::new(),
        warm: Vec::new(),
        cpus: vec![vec![Operation::DropCaches]; 8],
    }
}

fn run(scenario: Scenario) {
    let mut world = World::new(scenario, Switches::FIXED);
    let mut stops = Vec::new();
    random_walk(&mut world, 1, Limits { runs: 2, steps: 20_000 }, &mut |_, verdict| {
        stops.push(format!("{:?} {:?}", verdict.stop, verdict.violations));
        true
    });
    assert!(!stops.iter().any(|stop| stop.contains("memory") || stop.contains("panic")), "{stops:?}");
}

#[test]
fn frames_that_cannot_hold_what_is_cached_are_refused_and_one_more_is_enough() {
    let problem = full(128, files(8, 16)).check().expect_err("128 pages and frame 0");
    assert!(
        problem.word == "frames"
            && problem.message.contains("at least 129, for 128 cached pages and frame 0"),
        "{problem:?}"
    );
    assert_eq!(full(64, files(8, 16)).check().expect_err("too many").word, "cached");
    let enough = full(129, files(8, 16));
    assert_eq!(enough.check(), Ok(()));
    run(enough);
}

#[test]
fn what_the_programs_allocate_counts() {
    let mut scenario = full(64, files(1, 1));
    scenario.cpus = vec![vec![Operation::Add { file: "f0".into(), page: 7 }; 16]; 4];
    assert_eq!(scenario.check().expect_err("64 new pages").word, "cpus");
    scenario.cpus.pop();
    assert_eq!(scenario.check(), Ok(()));
}

/// Any operation on two files and the pages of the process but `Reinsert`, which asks for a page that is clean and not mapped.
fn operation() -> impl Strategy<Value = Operation> {
    let place = || (0..2_u8, prop_oneof![Just(0_u64), Just(1), Just(15), Just(1 << 20)]);
    let mapped = || prop_oneof![Just(0_u64), Just(1), Just(31)];
    let name = |file| format!("f{file}");
    prop_oneof![
        place().prop_map(move |(file, page)| Operation::Lookup { file: name(file), page }),
        place().prop_map(move |(file, page)| Operation::GangLookup { file: name(file), page, most: 14 }),
        place().prop_map(move |(file, page)| Operation::LookupLocked { file: name(file), page }),
        place().prop_map(move |(file, page)| Operation::Add { file: name(file), page }),
        place().prop_map(move |(file, pages)| Operation::Truncate { file: name(file), pages }),
        place().prop_map(move |(file, page)| Operation::Read { file: name(file), page }),
        place().prop_map(move |(file, _)| Operation::Invalidate { file: name(file) }),
        Just(Operation::DropCaches),
        mapped().prop_map(|page| Operation::Load { page }),
        mapped().prop_map(|page| Operation::Store { page }),
        mapped().prop_map(|page| Operation::Discard { page }),
        Just(Operation::Allocate { after_grace_period: true, exact: false }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_passes_the_check_runs(
        frames in prop_oneof![Just(64_u32), Just(100), Just(4096)],
        cached in prop_oneof![Just(0_u64), Just(1), Just(16)],
        shared in any::<(bool, bool)>(),
        pool in prop_oneof![Just(Pool::PerCpu), Just(Pool::Shared)],
        warm in prop::collection::vec((0..8_u16, prop_oneof![Just(0_u64), Just(16), Just(31)]), 0..4),
        cpus in prop::collection::vec(prop::collection::vec(operation(), 0..6), 1..8),
    ) {
        let map = |file: &str, shared| MapSpec { file: file.into(), pages: 16, shared };
        let maps = vec![map("f0", shared.0), map("f1", shared.1)];
        let scenario = Scenario { maps, pool, warm, cpus, ..full(frames, files(2, cached)) };
        if scenario.check().is_ok() {
            run(scenario);
        }
    }
}
