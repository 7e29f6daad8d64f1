//! Too little memory, as options of `replay` make it: limits for each program, swap devices, antagonists.

use serde_json::Value;

use crate::common::{Scratch, pagewalk};

fn replay(code: i32, words: &[&str]) -> Value {
    pagewalk(&[&["replay", "--format", "json", "--set", "cpus=2"], words].concat()).json(code)
}

fn count(answer: &Value, pointer: &str) -> u64 {
    answer.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {pointer}"))
}

/// Page faults, and the most pages, of the process of each trace.
fn processes(answer: &Value) -> Vec<(u64, u64)> {
    let rows = answer["processes"].as_array().expect("a row a process");
    rows.iter().map(|row| (count(row, "/pgfault"), count(row, "/peak_rss"))).collect()
}

#[test]
fn a_program_over_its_limit_reclaims_its_own_pages_and_leaves_those_of_others_alone() {
    let scratch = Scratch::new();
    let made = |name: &str, pages: u64| {
        let trace = scratch.path(name);
        let spec = format!("pattern: uniform, pages: {pages}, accesses: 20000");
        pagewalk(&["trace", "make", &spec, "-o", &trace]).expect(0);
        trace
    };
    let (large, small) = (made("large.pwt", 1000), made("small.pwt", 100));
    let free = processes(&replay(0, &[&large, &small]));
    let limited = replay(0, &[&large, &small, "--verify", "--set", "memory.group_limit=300"]);
    let found = processes(&limited);
    assert!(found[0].0 > 2 * free[0].0, "the large one faults more: {found:?}, and without a limit {free:?}");
    assert!(found[0].1 <= 300, "it never has more than its limit: {found:?}");
    assert_eq!(found[1], free[1], "the small one does not notice");
    assert!(count(&limited, "/pressure/pswpout") > 0);
    assert_eq!(count(&limited, "/pressure/pgscan_kswapd"), 0, "the machine has memory enough");
}

#[test]
fn antagonists_act_beside_a_program_that_cannot_tell() {
    let scratch = Scratch::new();
    let trace = scratch.made("pattern: file_share, pages: 64, accesses: 20000, processes: 2, files: 2");
    let alone = replay(0, &[&trace, "--verify"]);
    assert_eq!(count(&alone, "/pressure/antagonist_operations"), 0);
    let names =
        ["truncate", "punch", "reclaim", "migrate", "swapoff", "dontneed", "drop-caches", "direct-io", "all"];
    for name in names {
        let beside =
            replay(0, &[&trace, "--verify", "--memory", "50%", "--antagonist", &format!("{name}:2000")]);
        assert!(count(&beside, "/pressure/antagonist_operations") >= 10, "{name}");
        for same in ["/accesses/total", "/verify/loads_checked", "/segv/count"] {
            assert_eq!(count(&beside, same), count(&alone, same), "{name}: {same}");
        }
    }
}

#[test]
fn a_slower_swap_device_costs_more_and_none_ends_the_run() {
    let scratch = Scratch::new();
    let trace = scratch.made("pattern: uniform, pages: 600, accesses: 6000");
    let cycles = |device: &str| {
        let answer = replay(0, &[&trace, "--memory", "30%", "--swap", device]);
        assert!(count(&answer, "/pressure/pswpin") > 100, "{device}");
        count(&answer, "/time/cycles")
    };
    let times = ["zram", "nvme", "ssd", "hdd"].map(cycles);
    assert!(times.is_sorted() && times[3] > 10 * times[1], "{times:?}");
    let none = replay(5, &[&trace, "--memory", "30%", "--swap", "none"]);
    assert_eq!(none["incomplete"], "out of memory");
}
