//! The difference of two accounts as text.

use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::{Change, Section};
use super::load::Account;
use crate::report::lines::{Lines, plural};
use crate::style::{Paint, WIDTH, duration, fit, group, group_wide, nanoseconds, visible};

/// Rows of a section shown without `--all`.
const SHOWN: usize = 20;

/// The difference for a person: at most 20 rows a section unless `all`.
pub(super) fn text(a: &Account, b: &Account, changes: &[Change], all: bool, paint: Paint) -> String {
    let mut lines = Lines::new(paint);
    lines.line("");
    lines.ends(&format!("{} against {}", visible(&b.file), visible(&a.file)), &verdict(changes));
    lines.rule();
    for (name, account) in [("A", a), ("B", b)] {
        let name = lines.paint.dim(name);
        lines.line(&format!("  {name}   {}", fit(&visible(account.command()), WIDTH - 6)));
    }
    let of = |section: Section| changes.iter().filter(move |change| change.section == section);
    let most = if all { usize::MAX } else { SHOWN };
    configuration(&mut lines, &of(Section::Configuration).collect::<Vec<_>>(), most);
    counters(
        &mut lines,
        &of(Section::Counter).filter(|change| change.path != "digest").collect::<Vec<_>>(),
        most,
    );
    latencies(&mut lines, of(Section::Latency).collect(), [a, b], all);
    origin(&mut lines, of(Section::Origin).collect(), most);
    let details = of(Section::Detail).count();
    if details > 0 {
        lines.line("");
        let said = plural(details as u64, "detail", "details");
        let verb = if details == 1 { "differs" } else { "differ" };
        lines.line(&format!(
            "  {said} of series, histograms, CPUs and pages {verb} too (--format json has all)"
        ));
    }
    lines.finish()
}

fn verdict(changes: &[Change]) -> String {
    match changes {
        [] => "the same".to_owned(),
        changes => {
            let same = changes.iter().all(|change| change.path != "digest");
            let events = if same { " · the same events" } else { "" };
            format!("{}{events}", plural(changes.len() as u64, "difference", "differences"))
        }
    }
}

fn configuration(lines: &mut Lines, changes: &[&Change], most: usize) {
    if changes.is_empty() {
        return;
    }
    lines.section("Configuration", "");
    head(lines, "", "");
    for change in changes.iter().take(most) {
        let path = visible(change.path.trim_start_matches("parameters."));
        let sides = [&change.a, &change.b].map(|value| format!(" {:>21}", fit(&plain(value), 21)));
        lines.line(&format!("    {:<36}{}", fit(&path, 35), sides.concat()));
    }
    more(lines, changes.len(), most);
}

fn counters(lines: &mut Lines, changes: &[&Change], most: usize) {
    if changes.is_empty() {
        return;
    }
    lines.section("Counters", "what changed most first");
    head(lines, "", "change");
    for change in changes.iter().take(most) {
        let (a, b) = (plain(&change.a), plain(&change.b));
        row(lines, &change.path, &a, &b, &relative(change));
    }
    more(lines, changes.len(), most);
}

/// The fields of a latency, in the order shown; without `--all` the first three.
const QUANTILES: [(&str, &str); 5] = [
    ("median", "median"),
    ("p99", "99 of 100"),
    ("max", "longest"),
    ("min", "shortest"),
    ("cycles", "together"),
];

/// Quantiles of every kind of fault of which one differs, as times.
fn latencies(lines: &mut Lines, changes: Vec<&Change>, accounts: [&Account; 2], all: bool) {
    let clock =
        |account: &Account| account.value.get("frequency_mhz").and_then(Value::as_u64).unwrap_or(1000);
    let clocks = accounts.map(clock);
    let mut rows = Vec::new();
    for change in changes {
        let Some((kind, field)) = change.path.rsplit_once('.') else { continue };
        let Some(rank) = QUANTILES.iter().position(|(name, _)| *name == field) else { continue };
        let kind = kind.trim_start_matches("time.fault_latencies[").trim_end_matches(']');
        let kind = if kind.starts_with("time.") { "all faults" } else { kind };
        if all || rank < 3 {
            rows.push((kind.replace('_', " "), rank, change));
        }
    }
    rows.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    if rows.is_empty() {
        return;
    }
    lines.section("Fault latency", "");
    head(lines, "", "change");
    for (kind, rank, change) in rows {
        let Some((a, b)) = change.numbers() else { continue };
        let times = [nanoseconds(a, clocks[0]), nanoseconds(b, clocks[1])];
        let side = |value: &Value, time| if value.is_null() { "–".to_owned() } else { duration(time) };
        let (a, b) = (side(&change.a, times[0]), side(&change.b, times[1]));
        let change = between(times[0], times[1]);
        row(lines, &format!("{kind}, {}", QUANTILES[rank].1), &a, &b, &change);
    }
}

/// One row a mapping, file, thread or page: misses and faults on both sides.
fn origin(lines: &mut Lines, changes: Vec<&Change>, most: usize) {
    let mut rows: BTreeMap<&str, [Option<&Change>; 2]> = BTreeMap::new();
    let mut order = Vec::new();
    for change in changes {
        let Some((row, field)) = change.path.strip_prefix("origin.").and_then(|path| path.rsplit_once("]."))
        else {
            continue;
        };
        let field = match field {
            "tlb_misses" => 0,
            "pgfault" => 1,
            _ => continue,
        };
        let known = rows.entry(row).or_default();
        if known.iter().all(Option::is_none) {
            order.push(row);
        }
        known[field] = Some(change);
    }
    if order.is_empty() {
        return;
    }
    lines.section("Where it went", "what changed most first");
    head(lines, "", "change");
    for name in order.iter().take(most) {
        for (what, change) in ["TLB misses", "faults"].iter().zip(rows[name]) {
            let Some(change) = change else { continue };
            let said = name.split_once('[').map_or(*name, |(_, said)| said);
            // Cut from the left: the end of a path tells more.
            let length = said.chars().count();
            let room = 44 - what.len();
            let said = if length > room {
                format!("…{}", said.chars().skip(length + 1 - room).collect::<String>())
            } else {
                said.to_owned()
            };
            row(lines, &format!("{said} {what}"), &plain(&change.a), &plain(&change.b), &relative(change));
        }
    }
    more(lines, order.len(), most);
}

fn head(lines: &mut Lines, label: &str, last: &str) {
    let head = if last.is_empty() {
        format!("    {label:<36}{:>22}{:>22}", "A", "B")
    } else {
        format!("    {label:<46}{:>18}{:>18}{last:>14}", "A", "B")
    };
    let head = lines.paint.dim(&head);
    lines.line(&head);
}

fn row(lines: &mut Lines, label: &str, a: &str, b: &str, change: &str) {
    let label = fit(&visible(label), 45);
    lines.line(&format!("    {label:<46} {:>17} {:>17} {change:>13}", fit(a, 17), fit(b, 17)));
}

fn more(lines: &mut Lines, rows: usize, most: usize) {
    if rows > most {
        lines.line(&format!("    … {} more (--all)", group((rows - most) as u64)));
    }
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), group),
        Value::String(text) => visible(text),
        other => visible(&other.to_string()),
    }
}

/// How a change reads: `+12.5 %`, `×3.20`, `new`, `gone`.
fn relative(change: &Change) -> String {
    change.numbers().map_or_else(String::new, |(a, b)| between(u128::from(a), u128::from(b)))
}

fn between(a: u128, b: u128) -> String {
    match (a, b) {
        (0, 0) => String::new(),
        (0, _) => "new".to_owned(),
        (_, 0) => "gone".to_owned(),
        _ if b / a >= 2 => {
            let hundredths = b.saturating_mul(100) / a;
            format!("×{}.{:02}", group_wide(hundredths / 100), hundredths % 100)
        }
        _ => {
            let sign = if a > b { '−' } else { '+' };
            match a.abs_diff(b).saturating_mul(1000) / a {
                0 if a == b => "0.0 %".to_owned(),
                0 => format!("{sign}<0.1 %"),
                tenths => format!("{sign}{}.{} %", tenths / 10, tenths % 10),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(a: u64, b: u64) -> String {
        let section = Section::Counter;
        relative(&Change { section, path: String::new(), a: json!(a), b: json!(b) })
    }

    #[test]
    fn changes_read_as_people_say_them() {
        assert_eq!(changed(1000, 1125), "+12.5 %");
        assert_eq!(changed(1000, 875), "−12.5 %");
        assert_eq!(changed(100, 320), "×3.20");
        assert_eq!(changed(0, 5), "new");
        assert_eq!(changed(5, 0), "gone");
        assert_eq!(changed(1_000_000, 1_000_001), "+<0.1 %");
        assert_eq!(changed(1, u64::MAX), "×18 446 744 073 709 551 615.00");
    }
}
