//! The README's lines about the library, as a program: `cargo run -p pagewalk --example readme`.

use pagewalk::{Explore, Machine, Mutant, Replay};

fn main() -> pagewalk::Result<()> {
    let mut machine = Machine::load("skylake")?;
    machine.set("memory.frames=512 MiB")?;
    let report = Replay::of("traces/tcc.pwt").on(machine).verify().run()?;
    println!("{} faults in {} cycles", report.faults.pgfault, report.time.cycles);

    let race = Explore::file("configs/scenarios/lookup-and-reuse.ron")?.mutant(Mutant::SkipRecheck).run();
    assert!(race.broken.contains_key("I9"));
    Ok(())
}
