//! The report of a sweep in a real browser, which must be installed:
//! `cargo test -p pagewalk-cli --features browser-tests --test browser`. With `PAGEWALK_SCREENSHOTS=DIRECTORY` it leaves
//! pictures of the report there.
#![cfg(unix)]

mod browser_driver;

use std::path::Path;

use browser_driver::Browser;
use serde_json::{Value, json};
use tempfile::TempDir;

const ENTRIES: [u64; 12] = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
const POLICIES: [&str; 4] = ["lru", "plru", "random", "fifo"];
const PROGRAMS: [&str; 7] = ["redis", "gcc", "postgres", "xz", "graph500", "sqlite", "node"];
const INPUTS: [&str; 3] = ["small", "with a space", "whole-year-of-requests-2024-01-01-to-2024-12-31"];
const TRACES: usize = PROGRAMS.len() * INPUTS.len();
const POINTS: usize = ENTRIES.len() * POLICIES.len() * TRACES;

/// The rows that are not hidden, in the table's order, as indices into the points.
const SHOWN: &str = "[...document.querySelectorAll('#points tr[data-point]')]
    .filter((row) => !row.hidden).map((row) => Number(row.dataset.point))";

fn traces() -> Vec<String> {
    let of = |program| INPUTS.map(|input| format!("traces/{program}/{input}.pwt"));
    PROGRAMS.into_iter().flat_map(of).collect()
}

/// The point's place on each axis; the first axis varies slowest.
fn place(index: usize) -> [usize; 3] {
    [index / TRACES / POLICIES.len(), index / TRACES % POLICIES.len(), index % TRACES]
}

fn state(index: usize) -> (&'static str, Option<&'static str>) {
    match index % 211 {
        17 => ("failed", Some("the trace's <b>chunk 7</b> does not have the checksum that its index has")),
        63 => ("incomplete", Some("stopped after 600 s")),
        100 if index > 500 => ("broken", Some("invariant I12 does not hold at event 80 112")),
        150 => ("missing", None),
        _ => ("done", None),
    }
}

/// Cycles and the share of hits, made up: they fall and rise with the number of entries.
fn measured(index: usize) -> (u64, f64) {
    let [entries, policy, trace] = place(index);
    let reach = 90 + 1900 * (trace as u64 * 7 % 11) + 260 * policy as u64;
    let missed = reach as f64 / (reach + ENTRIES[entries]) as f64;
    let cycles = 40_000_000.0 * missed * (1.0 + trace as f64 / 9.0 + policy as f64 / 14.0);
    (cycles as u64 + index as u64, 1.0 - missed * 0.31)
}

fn cycles(index: usize) -> Option<u64> {
    (state(index).0 == "done").then(|| measured(index).0)
}

fn point(index: usize) -> Value {
    let (state, reason) = state(index);
    let [entries, policy, trace] = place(index);
    let hits = cycles(index).map(|_| measured(index).1);
    let (trace_file, entry_count, policy_name) = (&traces()[trace], ENTRIES[entries], POLICIES[policy]);
    let command = format!(
        "pagewalk replay '{trace_file}' --machine configs/server.ron --set 'tlb.l2[0].entries={entry_count}' \
         --set 'tlb.l2[0].policy={policy_name}'"
    );
    json!({
        "id": format!("{:016x}", (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        "at": [entries, policy, trace],
        "state": state,
        "reason": reason,
        "metrics": [cycles(index), hits],
        "command": command,
    })
}

/// A report of all points: a chart of lines for each program, and a heat map.
fn report() -> Value {
    let mut charts: Vec<Value> = (0..PROGRAMS.len()).map(lines).collect();
    charts.push(heat());
    json!({
        "schema": "pagewalk.sweep-report/1",
        "title": "Second-level TLB </title> size & policy",
        "question": "How many entries does the second-level TLB need before page walks no longer matter?",
        "sweep": "sweeps/tlb-reach.ron",
        "plan": "5f0c2b7be1a94d08",
        "version": "0.1.0",
        "machine": "configs/server.ron",
        "command": "pagewalk sweep run sweeps/tlb-reach.ron",
        "axes": [
            { "name": "tlb.l2[0].entries", "values": ENTRIES.map(|value| value.to_string()) },
            { "name": "tlb.l2[0].policy", "values": POLICIES },
            { "name": "trace", "values": traces() },
        ],
        "metrics": [
            { "name": "walk_cycles", "label": "cycles in page walks", "unit": "cycles", "better": "less" },
            { "name": "hit_share", "label": "share of TLB hits", "unit": "", "better": "more" },
        ],
        "points": (0..POINTS).map(point).collect::<Vec<_>>(),
        "surprises": [
            {
                "text": "cycles in page walks: 48 620 176 with 32 entries and lru in redis, where its neighbours have 29 508 196",
                "points": [7, 3, 11],
            },
            {
                "text": "what a surprise is called is text, even if it is </script><script>throw 1</script>",
                "points": [0],
            },
        ],
        "charts": charts,
    })
}

/// Where a number of entries and a share from 0 to 1 are in a drawing.
fn spot(entries: usize, share: f64) -> (f64, f64) {
    (56.0 + entries as f64 * 20.5, 186.0 - share * 146.0)
}

/// A drawing's beginning: its title and what stands below it. Its own style is no business of the page.
fn head(title: &str) -> String {
    let mut svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 360 230'>".to_owned();
    svg += "<style>text { fill: red }</style>";
    svg += &format!("<text class='title' x='0' y='14'>{title}</text>");
    svg += "<text class='axis' x='56' y='222'>entries of the second-level TLB</text>";
    for (index, entries) in ENTRIES.into_iter().enumerate().step_by(2) {
        let (x, _) = spot(index, 0.0);
        svg += &format!("<text class='axis' x='{x}' y='203' text-anchor='middle'>{entries}</text>");
    }
    svg
}

/// Cycles against entries for one program's small input, a line for each policy.
fn lines(program: usize) -> Value {
    let first = program * INPUTS.len();
    let most = (0..POLICIES.len()).map(|policy| measured(policy * TRACES + first).0).max();
    let most = most.expect("a policy") as f64;
    let title = format!("{}: cycles in page walks, millions", PROGRAMS[program]);
    let mut svg = head(&title);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let ((x, y), millions) = (spot(0, share), share * most / 1e6);
        svg += &format!("<line class='grid' x1='{x}' x2='290' y1='{y}' y2='{y}'/>");
        svg += &format!("<text class='axis' x='46' y='{}' text-anchor='end'>{millions:.0}</text>", y + 4.0);
    }
    for policy in 0..POLICIES.len() {
        svg += &series(first, policy, most);
    }
    let file = format!("{}.svg", PROGRAMS[program]);
    json!({ "title": title, "kind": "lines", "file": file, "svg": svg + "</svg>" })
}

/// One policy's line with its marks and its name, and for the first policy a band around it.
fn series(first: usize, policy: usize, most: f64) -> String {
    let (mut line, mut upper, mut lower, mut marks) =
        (String::new(), String::new(), String::new(), String::new());
    for (n, entries) in ENTRIES.into_iter().enumerate() {
        let index = (n * POLICIES.len() + policy) * TRACES + first;
        let cycles = measured(index).0;
        let (x, y) = spot(n, cycles as f64 / most);
        line += &format!("{x},{y:.1} ");
        upper += &format!("{x},{:.1} ", y - 6.0);
        lower = format!("{x},{:.1} {lower}", y + 6.0);
        marks += &format!(
            "<circle class='mark' cx='{x}' cy='{y:.1}' r='3' fill='currentColor' data-points='{index}'"
        );
        marks += &format!(" data-tip='{}, {entries} entries\n{cycles} cycles'/>", POLICIES[policy]);
    }
    let band =
        if policy == 0 { format!("<polygon class='band' points='{upper}{lower}'/>") } else { String::new() };
    let line = format!("<polyline fill='none' stroke='currentColor' stroke-width='2' points='{line}'/>");
    let name = format!("<text class='legend s{policy}' x='358' y='{}' text-anchor='end'>", 52 + policy * 16);
    format!("<g class='s{policy}'>{band}{line}{marks}</g>{name}{}</text>", POLICIES[policy])
}

/// The mean cycles of each pair of a policy and a number of entries.
fn heat() -> Value {
    let mean = |points: &[usize]| points.iter().map(|n| measured(*n).0).sum::<u64>() / points.len() as u64;
    let mut svg = head("Mean cycles in page walks over all traces");
    for (policy, name) in POLICIES.into_iter().enumerate() {
        let y = 28 + policy * 39;
        svg += &format!("<text class='label' x='0' y='{}' font-size='10'>{name}</text>", y + 23);
        for (n, entries) in ENTRIES.into_iter().enumerate() {
            let points = those(|point| place(point)[..2] == [n, policy]);
            let (mean, x) = (mean(&points), spot(n, 0.0).0 - 10.25);
            let points = json!(points).to_string();
            svg += &format!("<rect class='cell mark' x='{x}' y='{y}' width='20.5' height='39'");
            svg += &format!(
                " style='--v:{:.3}' data-points='{}'",
                mean as f64 / 9e7,
                points.trim_matches(['[', ']'])
            );
            svg += &format!(
                " data-tip='{name}, {entries} entries\n{mean} cycles, the mean of {TRACES} traces'/>"
            );
        }
    }
    json!({ "title": "Mean cycles in page walks", "kind": "heat", "file": "mean.svg", "svg": svg + "</svg>" })
}

/// The report, open in a browser. The directory holds it.
fn open() -> (TempDir, Browser) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("report.html");
    std::fs::write(&file, pagewalk_sweep::report::page(&report())).expect("a file");
    let mut browser = Browser::start();
    browser.open(&file);
    (directory, browser)
}

#[track_caller]
fn assert_silent(browser: &mut Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[track_caller]
fn assert_shown(browser: &mut Browser, expected: &[usize]) {
    let shown = browser.evaluate(SHOWN);
    assert_eq!(shown, json!(expected));
    let count = format!("{} of {} points shown", expected.len(), POINTS).replace("1008", "1\u{202f}008");
    assert_eq!(browser.text("#count"), count);
}

fn those(wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    (0..POINTS).filter(|index| wanted(*index)).collect()
}

#[test]
fn a_header_sorts_its_column_both_ways_with_missing_values_last() {
    let (_directory, mut browser) = open();
    let header = "#points th:nth-child(4)";
    let sorted = |browser: &mut Browser| {
        browser.evaluate(&format!("document.querySelector({}).getAttribute('aria-sort')", json!(header)))
    };
    assert_eq!(sorted(&mut browser), "none");
    let mut order = those(|_| true);
    assert_shown(&mut browser, &order);
    order.sort_by_key(|index| (cycles(*index).is_none(), cycles(*index)));
    browser.click(header);
    assert_eq!(sorted(&mut browser), "ascending");
    assert_shown(&mut browser, &order);
    // The header keeps the focus, and the keyboard does what the mouse does.
    order.sort_by_key(|index| (cycles(*index).is_none(), cycles(*index).map(std::cmp::Reverse)));
    browser.press("Enter");
    assert_eq!(sorted(&mut browser), "descending");
    assert_shown(&mut browser, &order);
    let most = cycles(order[0]).unwrap();
    let grouped = format!("{}\u{202f}{:03}\u{202f}{:03}", most / 1_000_000, most / 1000 % 1000, most % 1000);
    assert_eq!(browser.text("#points tbody td:nth-child(4)"), grouped);
    // Numbers of an axis are sorted as numbers: 64 before 128.
    browser.click("#points th:nth-child(1)");
    assert_eq!(sorted(&mut browser), "none");
    assert_shown(&mut browser, &those(|_| true));
    assert_silent(&mut browser);
}

#[test]
fn words_of_the_filter_must_all_match() {
    let (_directory, mut browser) = open();
    let traces = traces();
    let mut check = |filter: &str, expected: &[usize]| {
        browser.fill("#filter", filter);
        assert_shown(&mut browser, expected);
        assert_silent(&mut browser);
    };
    check("tlb.l2[0].entries=64", &those(|n| place(n)[0] == 1));
    check("entries=64 Policy=LRU", &those(|n| place(n)[..2] == [1, 0]));
    check("policy!=lru redis", &those(|n| place(n)[1] != 0 && traces[place(n)[2]].contains("redis")));
    check("trace=\"traces/gcc/with a space.pwt\"", &those(|n| place(n)[2] == 4));
    check("walk_cycles<5e6", &those(|n| cycles(n).is_some_and(|cycles| cycles < 5_000_000)));
    check(
        "walk_cycles>20_000_000 entries>=256",
        &those(|n| place(n)[0] > 2 && cycles(n).is_some_and(|cycles| cycles > 20_000_000)),
    );
    check("state=failed checksum", &those(|n| state(n).0 == "failed"));
    check("\"random\" \"a space\"", &those(|n| place(n)[1] == 2 && place(n)[2] % 3 == 1));
    check("nothing-has-this-word", &[]);
    check("", &those(|_| true));
    browser.fill("#filter", "cycles<5");
    assert_eq!(browser.text("#filter-help"), "No axis or metric is called “cycles”.");
    assert_shown(&mut browser, &those(|_| true));
}

#[test]
fn a_mark_tells_what_it_is_and_filters_the_table_to_its_points() {
    let (_directory, mut browser) = open();
    let tip = |browser: &mut Browser| {
        browser.evaluate(
            "document.querySelector('#tip').hidden ? null : document.querySelector('#tip').textContent",
        )
    };
    let second = "[data-tip^='lru, 64 entries']";
    assert_eq!(tip(&mut browser), Value::Null);
    browser.hover(second);
    let index = POLICIES.len() * TRACES;
    assert_eq!(tip(&mut browser), format!("lru, 64 entries\n{} cycles", measured(index).0));
    browser.press("Escape");
    assert_eq!(tip(&mut browser), Value::Null);
    browser.click(second);
    assert_shown(&mut browser, &[index]);
    // The command that repeats the point is shown and selected by its button.
    browser.click(&format!("[data-point='{index}'] .copy"));
    assert_eq!(browser.evaluate("getSelection().toString()"), point(index)["command"]);
    browser.click("#picked-clear");
    assert_shown(&mut browser, &those(|_| true));
    browser.click(".cell");
    assert_shown(&mut browser, &those(|n| place(n)[..2] == [0, 0]));
    browser.click("#surprises button");
    assert_shown(&mut browser, &[3, 7, 11]);
    assert!(
        browser.text("#picked-text").starts_with("Only the 3 points of “cycles in page walks: 48 620 176")
    );
    browser.click("#picked-back");
    assert_eq!(browser.evaluate("document.activeElement.matches('#surprises button')"), true);
    assert_silent(&mut browser);
}

#[test]
fn the_keyboard_reaches_marks_and_does_what_the_mouse_does() {
    let (_directory, mut browser) = open();
    let focused = "document.activeElement.matches('.mark')";
    let mut presses = 0;
    while browser.evaluate(focused) != true {
        browser.press("Tab");
        presses += 1;
        assert!(presses < 20, "no mark is reached");
    }
    let tip = format!("lru, 32 entries\n{} cycles", measured(0).0);
    assert_eq!(browser.text("#tip"), tip);
    assert_eq!(browser.evaluate("document.querySelector('#tip').hidden"), false);
    browser.press("Escape");
    assert_eq!(browser.evaluate("document.querySelector('#tip').hidden"), true);
    browser.press("ArrowRight");
    assert!(browser.text("#tip").starts_with("lru, 64 entries\n"));
    assert_eq!(browser.evaluate("document.querySelector('#tip').hidden"), false);
    browser.press("Enter");
    assert_shown(&mut browser, &[POLICIES.len() * TRACES]);
    assert_silent(&mut browser);
}

#[test]
fn the_page_follows_the_theme_asked_for_and_runs_nothing_from_its_data() {
    let (_directory, mut browser) = open();
    assert_eq!(browser.text("title"), "Second-level TLB </title> size & policy");
    assert!(browser.text("#surprises").contains("</script><script>throw 1"));
    assert_eq!(browser.evaluate("document.querySelectorAll('#points b, figure style').length"), 0);
    let pictures = std::env::var_os("PAGEWALK_SCREENSHOTS");
    let ground = |browser: &mut Browser| browser.evaluate("getComputedStyle(document.body).backgroundColor");
    let light = ground(&mut browser);
    for theme in ["light", "dark"] {
        browser.prefer(theme);
        assert_eq!(ground(&mut browser) == light, theme == "light");
        if let Some(directory) = &pictures {
            browser.screenshot(&Path::new(directory).join(format!("sweep-report-{theme}.png")));
        }
    }
    browser.click("#theme");
    assert_eq!(ground(&mut browser), light, "the button goes from the reader's dark to light");
    assert_eq!(browser.text("#theme"), "Dark theme");
    browser.size(360, 800);
    assert_eq!(
        browser.evaluate("document.documentElement.scrollWidth"),
        360,
        "nothing is wider than a phone"
    );
    assert_silent(&mut browser);
}
