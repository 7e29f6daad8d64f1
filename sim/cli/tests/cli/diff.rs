//! What `diff` says of two runs, and how it ends.

use serde_json::Value;

use crate::common::{Scratch, pagewalk};

/// Writes the account of a short run.
fn account(scratch: &Scratch, name: &str, words: &[&str]) -> String {
    let file = scratch.path(name);
    pagewalk(&[&["replay", "traces/sort.pwt", "--max", "300000", "--json", &file], words].concat()).expect(0);
    file
}

fn changes(a: &str, b: &str) -> Vec<Value> {
    let answer = pagewalk(&["diff", a, b, "--format", "json"]);
    let code = answer.code;
    let answer = answer.json(code);
    assert_eq!(answer["schema"], "pagewalk.diff/1");
    let changes = answer["changes"].as_array().expect("a list").clone();
    assert_eq!((answer["same"] == true, code), (changes.is_empty(), i32::from(!changes.is_empty())));
    changes
}

#[test]
fn equal_runs_are_the_same_whatever_watched_them() {
    let scratch = Scratch::new();
    let a = account(&scratch, "a.json", &[]);
    let b = account(&scratch, "b.json", &["--verify", "--format", "json"]);
    assert_eq!(changes(&a, &b), Vec::<Value>::new());
    assert!(pagewalk(&["diff", &a, &b]).expect(0).contains("the same"));
    assert_eq!(scratch.names(), ["a.json", "b.json"], "nothing else is left");
}

#[test]
fn a_smaller_tlb_shows_in_configuration_counters_and_mappings() {
    let scratch = Scratch::new();
    let a = account(&scratch, "a.json", &[]);
    let b = account(&scratch, "b.json", &["--set", "tlb.l1d[0].entries=4"]);
    let changes = changes(&a, &b);
    let of = |path: &str| changes.iter().find(|change| change["path"] == path);
    let entries = of("parameters.tlb.l1d[0].entries").expect("what was changed");
    assert_eq!(
        (entries["section"].as_str(), entries["difference"].as_i64()),
        (Some("configuration"), Some(-60))
    );
    let hits = of("translation.data.l1_hits").expect("fewer hits");
    assert!(hits["difference"].as_i64() < Some(0) && hits["per_mille"].as_i64() <= Some(0));
    assert!(changes.iter().all(|change| change["a"] != change["b"]));
    let text = pagewalk(&["diff", &a, &b]).expect(1);
    assert!(
        text.contains("tlb.l1d[0].entries") && text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
    let all = pagewalk(&["diff", &a, &b, "--all"]).expect(1);
    assert!(all.lines().count() >= text.lines().count() && !all.contains("(--all)"));
}

#[test]
fn what_is_no_account_is_refused_where_it_is_wrong() {
    let scratch = Scratch::new();
    let good = account(&scratch, "good.json", &[]);
    let cases: [(&[u8], &str); 5] = [
        (b"{\n  \"schema\": oops\n}", ":2:13"),
        (b"[]", ":1:1"),
        (b"{\"schema\": \"pagewalk.machine/1\"}", ":1:2"),
        (b"\xff\xfe", "byte 0"),
        (b"", ":1:1"),
    ];
    for (bytes, place) in cases {
        let bad = scratch.file("bad.json", bytes);
        let answer = pagewalk(&["diff", &good, &bad]);
        assert_eq!((answer.code, answer.stdout.as_str()), (3, ""));
        assert!(answer.stderr.contains(place), "{place}:\n{}", answer.stderr);
    }
    assert_eq!(pagewalk(&["diff", &good, &scratch.path("missing.json")]).code, 3);
    assert_eq!(pagewalk(&["diff", &good]).code, 2);
}

#[test]
fn an_account_that_cannot_be_written_is_an_error_and_leaves_nothing() {
    let scratch = Scratch::new();
    let file = scratch.path("no/such/directory.json");
    let answer = pagewalk(&["replay", "traces/sort.pwt", "--max", "10", "--json", &file]);
    assert_eq!(answer.code, 3);
    assert!(answer.stderr.contains("cannot be written"));
    assert!(scratch.names().is_empty());
}
