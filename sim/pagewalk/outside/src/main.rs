//! A program outside the workspace: replays a trace on a preset, then explores a scenario, with the packaged library alone.

use pagewalk::{Explore, Machine, Mutant, Replay};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(trace), Some(scenario)) = (arguments.next(), arguments.next()) else {
        return Err("usage: outside TRACE SCENARIO".into());
    };
    replay(&trace).and_then(|()| explore(&scenario)).map_err(|refusal| format!("{refusal:?}").into())
}

fn replay(trace: &str) -> pagewalk::Result<()> {
    let machine = Machine::load("skylake")?;
    let report = Replay::of(trace).on(machine).accesses(500_000).run()?;
    println!("{trace}: {} page faults in {} cycles", report.faults.pgfault, report.time.cycles);
    assert!(report.faults.pgfault > 0, "a program touches pages");
    Ok(())
}

fn explore(scenario: &str) -> pagewalk::Result<()> {
    let case = Explore::file(scenario)?;
    assert!(case.clone().run().proves_clean(), "the kernel keeps its promises");
    let found = case.mutant(Mutant::SkipRecheck).run();
    let ids: Vec<_> = found.broken.keys().map(ToString::to_string).collect();
    println!("{scenario}: clean; broken if a lookup does not look twice: {}", ids.join(" and "));
    assert!(!ids.is_empty(), "the mutant is found");
    Ok(())
}
