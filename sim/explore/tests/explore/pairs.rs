//! The pairs matrix in a smaller form: the pairs of `docs/pairs.md` with few classes are searched again, in both orders of the
//! CPUs, and short sequences on one CPU.

use std::path::Path;

use pagewalk_explore::matrix::{Pair, SmallWorld, outcome, pairs, sequences};
use pagewalk_explore::{Limits, Operation};
use pagewalk_pages::Switches;

/// Pairs with more runs than this are left to the example that prints the tables.
const FEW: Limits = Limits { runs: 40, steps: 2_000 };

/// The cells of one world's table, by row and column.
fn table(text: &str, world: SmallWorld) -> Vec<Vec<String>> {
    let heading = format!("### {}\n", world.describe());
    let (_, after) = text.split_once(&heading).expect("every world has a table");
    let rows = after.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').skip(1).map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn pairs_with_few_classes_are_clean_and_as_documented_whichever_cpu_does_what() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pairs.md");
    let text = std::fs::read_to_string(document).expect("the document is there");
    let mut compared = 0;
    for world in SmallWorld::ALL {
        let (table, operations) = (table(&text, world), world.operations());
        assert_eq!(table.len(), operations.len(), "a row for each operation");
        let place = |wanted: &Operation| {
            operations.iter().position(|operation| operation == wanted).expect("one of them")
        };
        let complete = |pair: &Pair| pair.outcomes.iter().all(|outcome| outcome.summary.complete);
        for pair in pairs(world, Switches::FIXED, FEW).filter(complete) {
            let [one, other] = &pair.operations;
            let told = &table[place(one)][place(other)];
            assert!(pair.is_clean(), "{}: {pair:?}", world.describe());
            assert_eq!(
                *told,
                pair.outcomes[0].summary.classes.to_string(),
                "{}: {one:?}, {other:?}",
                world.describe()
            );
            compared += 1;
        }
        let told: Vec<_> =
            table.iter().flatten().filter(|cell| cell.contains('✘') || cell.contains("or")).collect();
        assert!(told.is_empty(), "{}: the document has {told:?}", world.describe());
    }
    assert!(compared >= 200, "{compared} pairs");
}

#[test]
fn every_sequence_of_two_operations_on_one_cpu_is_clean() {
    for world in SmallWorld::ALL {
        for program in sequences(world, 2) {
            let scenario = world.scenario(vec![program.clone()]);
            let Some(found) = outcome(scenario, Switches::FIXED, Limits::default()) else { continue };
            assert!(
                found.summary.complete && found.broken.is_empty(),
                "{}: {program:?}: {found:?}",
                world.describe()
            );
        }
    }
}
