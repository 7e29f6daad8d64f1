//! Scenarios of kernel operations on which the search is measured: those that come with Pagewalk, and generated ones.

use std::fs;
use std::path::Path;

use pagewalk_engine::{Purpose, Random};
use pagewalk_explore::{FileSpec, MapSpec, Operation, Pool, Scenario, World, races};
use pagewalk_pages::{KernelPreset, Mutant, Switches};

/// A scenario on a kernel.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) scenario: Scenario,
    pub(crate) switches: Switches,
}

/// Where the search does not end, or not within minutes: fault and truncation can keep each other going for ever.
const ENDLESS: [(&str, &str); 2] =
    [("fault-and-truncate", "linux-2.6.27"), ("fault-and-truncate", "linux-2.6.22")];

impl Subject {
    pub(crate) fn world(&self) -> World {
        World::new(self.scenario.clone(), self.switches)
    }

    /// The same with the CPUs in the opposite order.
    pub(crate) fn mirrored(&self) -> Self {
        let mut other = self.clone();
        let last = other.scenario.cpus.len() as u16 - 1;
        other.scenario.cpus.reverse();
        other.scenario.warm.iter_mut().for_each(|(cpu, _)| *cpu = last - *cpu);
        other
    }
}

pub(crate) fn read(name: &str) -> Scenario {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/scenarios");
    let text = fs::read_to_string(directory.join(format!("{name}.ron"))).expect("a shipped scenario");
    let scenario: Scenario = ron::from_str(&text).expect("a shipped scenario is well formed");
    scenario.check().expect("a shipped scenario can be run");
    scenario
}

/// The names of the scenarios that come with Pagewalk.
pub(crate) fn names() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/scenarios");
    let files = fs::read_dir(directory).expect("the scenarios are there");
    let name =
        |file: fs::DirEntry| file.file_name().into_string().ok()?.strip_suffix(".ron").map(String::from);
    let mut names: Vec<_> = files.filter_map(|file| name(file.expect("an entry of the directory"))).collect();
    names.sort();
    names
}

/// Each scenario that comes with Pagewalk on each preset where its search ends, and each mutant on its scenario.
pub(crate) fn shipped() -> Vec<Subject> {
    let mut subjects = Vec::new();
    for name in names() {
        for KernelPreset { name: preset, switches, .. } in Switches::PRESETS {
            if !ENDLESS.contains(&(name.as_str(), preset)) {
                subjects.push(Subject { name: format!("{name} {preset}"), scenario: read(&name), switches });
            }
        }
    }
    for info in races() {
        let Some(name) = info.scenario else { continue };
        for mutant in info.mutants() {
            let switches = Switches::FIXED.with_mutant(mutant);
            subjects.push(Subject { name: format!("{name} {mutant}"), scenario: read(name), switches });
        }
    }
    subjects
}

/// The generated scenario of this number: 1 to 3 CPUs with 1 or 2 operations each on a file of two pages, of which the first is
/// cached, and mapped or not, and on a file with nothing cached. Three of four are on the kernel `fixed`, the others on mutants and
/// on what Linux was.
pub(crate) fn generated(number: u64) -> Subject {
    let mut random = Random::new(number, Purpose::Workload);
    let file = |name: &str, cached: &[u64]| FileSpec {
        name: name.into(),
        pages: 2,
        cached: cached.to_vec(),
        dirty: Vec::new(),
    };
    let mapped = random.below(3) == 0;
    let mut reclaimed = false;
    let mut cpus = Vec::new();
    for _ in 0..[1, 2, 2, 2, 3][random.below(5) as usize] {
        let program = (0..1 + random.below(2)).map(|_| operation(&mut random, mapped, &mut reclaimed));
        cpus.push(program.collect());
    }
    let map = MapSpec { file: "a".into(), pages: 2, shared: random.below(2) == 0 };
    let pool = if random.below(4) == 0 { Pool::Shared } else { Pool::PerCpu };
    let scenario = Scenario {
        about: String::new(),
        frames: 64,
        pool,
        files: vec![file("a", &[0]), file("b", &[])],
        maps: if mapped { vec![map] } else { Vec::new() },
        // So that the page tables are there when it begins: the locks of new ones are numbered as they come.
        warm: if mapped { vec![(0, 0)] } else { Vec::new() },
        cpus,
    };
    scenario.check().expect("a generated scenario can be run");
    let (kernel, switches) = match random.below(8) {
        0 => {
            let mutant = Mutant::ALL[random.below(Mutant::ALL.len() as u32) as usize];
            (mutant.info().name, Switches::FIXED.with_mutant(mutant))
        }
        1 => ("linux-2.6.27", Switches::LINUX_2_6_27),
        _ => ("fixed", Switches::FIXED),
    };
    let describe =
        |program: &Vec<Operation>| program.iter().map(Operation::describe).collect::<Vec<_>>().join("; ");
    let programs: Vec<_> = scenario.cpus.iter().map(describe).collect();
    let mapped = if mapped { ", a mapped" } else { "" };
    Subject { name: format!("{number} {kernel}{mapped}: {}", programs.join(" | ")), scenario, switches }
}

fn operation(random: &mut Random, mapped: bool, reclaimed: &mut bool) -> Operation {
    let file = || String::from("a");
    let page = u64::from(random.below(8) == 0);
    match random.below(if mapped { 17 } else { 14 }) {
        0 | 1 => Operation::Lookup { file: file(), page },
        2 => Operation::GangLookup { file: file(), page: 0, most: 2 },
        3 => Operation::LookupLocked { file: file(), page },
        4 | 5 if !*reclaimed => {
            *reclaimed = true;
            Operation::Reclaim { file: file(), page: 0 }
        }
        4 | 6 => Operation::Add { file: file(), page: 1 },
        5 | 7 => Operation::Add { file: "b".into(), page },
        8 => Operation::Reinsert { file: file(), page: 0 },
        9 => Operation::Truncate { file: file(), pages: u64::from(random.below(4)) },
        10 => Operation::Invalidate { file: file() },
        11 => Operation::Read { file: file(), page },
        12 => match random.below(4) {
            0 => Operation::DropCaches,
            _ => Operation::Lookup { file: "b".into(), page },
        },
        13 => Operation::Allocate { after_grace_period: random.below(2) == 0, exact: random.below(2) == 0 },
        14 => Operation::Load { page },
        15 => Operation::Store { page },
        _ => Operation::Discard { page },
    }
}
