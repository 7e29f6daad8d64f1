//! The tables of docs/locked-vs-lockless.md are what the simulator says.

#[path = "../examples/locked_vs_lockless/study.rs"]
mod study;

use study::{Pattern, Setup, both, row};

#[test]
fn the_page_shows_what_eight_readers_reach() {
    let page = include_str!("../../../docs/locked-vs-lockless.md");
    for pattern in [Pattern::OwnPages, Pattern::SamePages] {
        let now = row(8, &both(Setup::usual(8, pattern)));
        let command = "cargo run --release -p pagewalk-cli --example locked_vs_lockless";
        assert!(page.contains(&now), "{pattern:?} is {now}, which the page does not show: run\n{command}");
    }
}

#[test]
fn lookups_without_the_lock_scale_and_lookups_under_it_do_not() {
    let rates = |cpus| both(Setup::usual(cpus, Pattern::OwnPages)).map(|point| point.rate);
    let [[locked_4, lockless_4], [locked_16, lockless_16]] = [rates(4), rates(16)];
    assert!(lockless_16 > 3.8 * lockless_4, "{lockless_4} and {lockless_16}");
    assert!(locked_16 < 1.5 * locked_4, "{locked_4} and {locked_16}");
}
