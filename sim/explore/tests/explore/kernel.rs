//! The search against chance, on the kernel's own paths.

use pagewalk_engine::Violation;
use pagewalk_explore::crosscheck::{by_chance, exchange, visit_all};
use pagewalk_explore::{FileSpec, Limits, Operation, Pool, Scenario, exhaust};
use pagewalk_pages::Switches;

use crate::subjects::{Subject, generated, names, shipped};

/// Longer runs do not occur where a search ends.
const STEPS: usize = 2_000;

/// What is wrong when `runs` random schedules are looked for among the classes that the search visits in at most `most` runs;
/// nothing is known if it needs more.
fn compare(subject: &Subject, most: u64, runs: u64) -> Option<Vec<String>> {
    let mut world = subject.world();
    let visited = visit_all(&mut world, Limits { runs: most, steps: STEPS }, None);
    if !visited.summary.complete {
        return None;
    }
    let mut wrong = Vec::new();
    let mut expect_none = |what: &str, count: usize| {
        if count > 0 {
            wrong.push(format!("{}: {count} of {} classes {what}", subject.name, visited.classes.len()));
        }
    };
    let chance = by_chance(&mut world, &visited, Limits { runs, steps: STEPS });
    expect_none("visited again", visited.again as usize);
    expect_none("found by chance only", chance.missed.len());
    expect_none("with another verdict", chance.differing.len());
    assert_eq!(chance.runs, runs, "{}: runs without an end", subject.name);
    Some(wrong)
}

/// Many long runs are for `examples/subset.rs`.
fn is_short(subject: &Subject) -> bool {
    !subject.name.starts_with("fault-and-truncate")
}

#[test]
fn chance_finds_no_class_of_a_shipped_scenario_that_the_search_does_not_visit() {
    assert!(names().len() >= 12);
    let mut wrong = Vec::new();
    for subject in shipped().into_iter().filter(is_short) {
        let compared = compare(&subject, 10_000, 300);
        wrong.extend(compared.unwrap_or_else(|| panic!("{}: the search has no end", subject.name)));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn chance_finds_no_class_of_a_generated_scenario_that_the_search_does_not_visit() {
    let (mut compared, mut wrong) = (Vec::new(), Vec::new());
    for subject in (0..).map(generated) {
        if let Some(found) = compare(&subject, 300, 100) {
            wrong.extend(found);
            compared.push(subject);
        }
        if compared.len() == 200 {
            break;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // Enough of each size are left when those with many classes are passed over.
    let of_size = |cpus| compared.iter().filter(|subject| subject.scenario.cpus.len() == cpus).count();
    assert!(of_size(2) >= 60 && of_size(3) >= 10, "{} and {}", of_size(2), of_size(3));
    let with = |wanted: fn(&Operation) -> bool| {
        compared.iter().filter(|subject| subject.scenario.cpus.iter().flatten().any(wanted)).count()
    };
    assert!(with(|operation| matches!(operation, Operation::Truncate { .. })) >= 10);
    assert!(with(|operation| matches!(operation, Operation::Reclaim { .. })) >= 20);
    assert!(with(|operation| matches!(operation, Operation::Load { .. } | Operation::Discard { .. })) >= 10);
}

#[test]
fn neighbouring_steps_that_do_not_depend_on_each_other_can_be_exchanged() {
    let mut tried = 0;
    for subject in shipped().into_iter().chain((0..60).map(generated)) {
        let exchanges = exchange(&mut subject.world(), Limits { runs: 3, steps: STEPS }, None);
        assert!(exchanges.noticed.is_empty(), "{}: {:#?}", subject.name, exchanges.noticed);
        tried += exchanges.tried;
    }
    assert!(tried >= 1_000, "{tried} exchanges");
}

#[test]
fn the_order_of_the_cpus_changes_neither_the_number_of_classes_nor_what_breaks() {
    let (mut compared, mut wrong) = (0, Vec::new());
    let all = shipped().into_iter().filter(is_short).map(|subject| (subject, 2_500));
    for (subject, most) in all.chain((0..250).map(|number| (generated(number), 150))) {
        if subject.scenario.cpus.len() == 1 {
            continue;
        }
        let search =
            |subject: &Subject| visit_all(&mut subject.world(), Limits { runs: most, steps: STEPS }, None);
        let one = search(&subject);
        if !one.summary.complete {
            continue;
        }
        let other = search(&subject.mirrored());
        compared += 1;
        if (one.classes.len(), one.broken()) != (other.classes.len(), other.broken()) {
            wrong.push(format!(
                "{}: {} classes, {:?}; {} classes, {:?}",
                subject.name,
                one.classes.len(),
                one.broken(),
                other.classes.len(),
                other.broken()
            ));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(compared >= 120, "{compared} compared");
}

/// What breaks, apart from what `allocate` asserts of a count.
fn broken(subject: &Subject, limits: Limits) -> Vec<Violation> {
    let mut broken = Vec::new();
    exhaust(&mut subject.world(), limits, &mut |run| {
        let real = run.verdict.violations.iter().filter(|violation| violation.invariant != "count-is-exact");
        broken.extend(real.cloned());
        broken.is_empty()
    });
    broken
}

#[test]
fn nothing_breaks_on_the_fixed_kernel_whatever_the_programs_do() {
    let fixed = |subject: &Subject| subject.switches == Switches::FIXED;
    for subject in (0..800).map(generated).filter(fixed) {
        assert_eq!(broken(&subject, Limits { runs: 200, steps: STEPS }), [], "{}", subject.name);
    }
}

/// File `a`, page 0 of its `pages` pages cached, and a program for each CPU.
fn file(pages: u64, cpus: [Vec<Operation>; 2]) -> Subject {
    let spec = FileSpec { name: "a".into(), pages, cached: vec![0], dirty: Vec::new() };
    let name = format!("{cpus:?}");
    let scenario = Scenario {
        about: String::new(),
        frames: 64,
        pool: Pool::PerCpu,
        files: vec![spec],
        maps: Vec::new(),
        warm: Vec::new(),
        cpus: cpus.into(),
    };
    Subject { name, scenario, switches: Switches::FIXED }
}

#[test]
fn what_comes_back_beside_a_truncation_is_not_read() {
    let file_a = || String::from("a");
    let (to, lookup) = (
        |pages| Operation::Truncate { file: file_a(), pages },
        |page| Operation::Lookup { file: file_a(), page },
    );
    let (add, reinsert) =
        (Operation::Add { file: file_a(), page: 1 }, Operation::Reinsert { file: file_a(), page: 0 });
    let limits = Limits { runs: 20_000, steps: STEPS };
    for subject in [
        file(1, [vec![reinsert.clone(), reinsert.clone()], vec![to(0), lookup(0)]]),
        file(1, [vec![reinsert, Operation::Read { file: file_a(), page: 0 }], vec![to(0), to(1)]]),
        file(2, [vec![add.clone(), lookup(1)], vec![to(1)]]),
        file(2, [vec![add, lookup(1)], vec![to(1), to(2)]]),
    ] {
        assert_eq!(broken(&subject, limits), [], "{}", subject.name);
    }
}
