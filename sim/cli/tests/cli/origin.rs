//! Where misses and faults come from: every way of telling them apart adds up to the same sums.

use serde_json::Value;

use crate::common::{STRESS, Scratch, pagewalk};

fn replay(words: &[&str]) -> Value {
    pagewalk(&[&["replay", "--format", "json"], words].concat()).json(0)
}

fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number at {pointer}"))
}

/// The sum of a field over the rows of a list.
fn sum(value: &Value, list: &str, field: &str) -> u64 {
    let rows = value.pointer(list).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {list}"));
    rows.iter().map(|row| count(row, field)).sum()
}

/// The sum of a list of numbers.
fn total(value: &Value, list: &str) -> u64 {
    sum(value, list, "")
}

#[test]
fn rows_of_mappings_threads_and_epochs_add_up_to_the_counters() {
    let scratch = Scratch::new();
    let stress = scratch.made(STRESS);
    let runs: [&[&str]; 4] = [
        &["traces/sort.pwt"],
        &["traces/gzip.pwt", "traces/gzip.pwt", "--max", "200000", "--set", "cpus=2"],
        &[&stress, "--set", "cpus=4"],
        &[&stress, "--set", "cpus=3", "--schedule", "random", "--order", "free"],
    ];
    for words in runs {
        let answer = replay(words);
        let misses =
            count(&answer, "/translation/instruction/misses") + count(&answer, "/translation/data/misses");
        let (faults, accesses) = (count(&answer, "/faults/pgfault"), count(&answer, "/accesses/total"));
        assert!(misses > 0 && faults > 0);
        assert_eq!(sum(&answer, "/origin/mappings", "/tlb_misses"), misses, "{words:?}");
        assert_eq!(sum(&answer, "/origin/threads", "/tlb_misses"), misses, "{words:?}");
        assert_eq!(total(&answer, "/timeline/tlb_misses"), misses, "{words:?}");
        assert_eq!(sum(&answer, "/origin/mappings", "/pgfault"), faults, "{words:?}");
        assert_eq!(sum(&answer, "/origin/threads", "/pgfault"), faults, "{words:?}");
        assert_eq!(total(&answer, "/timeline/pgfault"), faults, "{words:?}");
        assert_eq!(sum(&answer, "/time/fault_latencies", "/count"), faults, "{words:?}");
        assert_eq!(sum(&answer, "/origin/threads", "/accesses"), accesses, "{words:?}");
        assert_eq!(total(&answer, "/timeline/accesses"), accesses, "{words:?}");
        let epochs = answer["timeline"]["accesses"].as_array().map_or(0, Vec::len) as u64;
        assert!(
            epochs <= 200
                && epochs * count(&answer, "/timeline/epoch_cycles") > count(&answer, "/time/cycles")
        );
        let held = answer["timeline"]["nr_anon_pages"]
            .as_array()
            .and_then(|held| held.iter().max_by_key(|n| n.as_u64()));
        assert!(held.and_then(Value::as_u64) <= Some(count(&answer, "/memory/peak_nr_anon_pages")));
    }
}

#[test]
fn the_hottest_page_is_the_one_that_misses_most() {
    let scratch = Scratch::new();
    // Rounds over 256 pages, more than the TLBs hold, with one page visited four times a round.
    let visits = (0..4 * 256_u64).flat_map(|n| {
        let page = 0x4000 + n % 256;
        [Some(page), (n % 64 == 0).then_some(0x9000)].into_iter().flatten()
    });
    let log: String = visits.map(|page| format!(" L {page:x}010,8\n")).collect();
    let log = scratch.file("rounds.log", log.as_bytes());
    let trace = scratch.path("rounds.pwt");
    pagewalk(&["trace", "import", &log, "-o", &trace]).expect(0);
    let answer = replay(&[&trace, "--machine", "tiny", "--set", "memory.frames=1024"]);
    let pages = answer["origin"]["hot_pages"].as_array().expect("a list");
    assert_eq!(pages.len(), 100);
    assert_eq!(pages[0]["address"], "0x9000000");
    // The lookup after a fault misses once more.
    assert_eq!((count(&pages[0], "/tlb_misses"), count(&pages[0], "/pgfault")), (17, 1));
    assert!(pages[1..].iter().all(|page| count(page, "/tlb_misses") == 5 && count(page, "/unseen") == 0));
}

#[test]
fn what_is_not_counted_is_left_out_and_changes_nothing_else() {
    let words = ["traces/sort.pwt", "--max", "300000"];
    let (with, without) = (replay(&words), replay(&[&words[..], &["--no-origin"]].concat()));
    assert_eq!(with["digest"], without["digest"]);
    assert_eq!(with["faults"], without["faults"]);
    let mappings =
        |answer: &Value| answer.pointer("/origin/mappings").and_then(Value::as_array).map(Vec::len);
    assert!(mappings(&with) > Some(0) && mappings(&without) == Some(0));
    assert_eq!(total(&without, "/timeline/accesses"), 0);
    let text = pagewalk(&[&["replay", "--no-origin"], &words[..]].concat()).expect(0);
    assert!(
        text.contains("TLB hit, level 1") && !text.contains("Where it went") && !text.contains("Timeline")
    );
}
