//! Scenarios searched by state: how many states each has, how long it takes, and how much memory.
//!
//! Usage: `cargo run --release -p pagewalk-explore --example states FILE...`

use pagewalk_explore::{Scenario, World, exhaust_states};
use pagewalk_pages::Switches;

fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let scenario: Scenario = ron::from_str(&text).expect("a scenario");
        #[expect(clippy::disallowed_methods, reason = "time is shown; nothing depends on it")]
        let begin = std::time::Instant::now();
        let found = exhaust_states(&mut World::new(scenario, Switches::FIXED), 20_000);
        let seconds = begin.elapsed().as_secs_f64();
        let bytes = found.bytes as f64 / found.states as f64;
        println!(
            "{path}: {} states, {} transitions, depth {}, {} ends, {} failing, complete {}, {seconds:.1} s, {bytes:.1} bytes a state",
            found.states, found.transitions, found.depth, found.ends, found.failing, found.complete
        );
    }
}
