//! What differs between two accounts: leaves by path, rows of lists matched by what they are about.

use std::collections::BTreeMap;

use serde_json::Value;

/// Which part of the answer a difference belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Section {
    /// What the runs were given.
    Configuration,
    /// Counts, times, sizes.
    Counter,
    /// Quantiles of latencies.
    Latency,
    /// Rows of mappings, files, threads and pages.
    Origin,
    /// Series over time, histograms, single CPUs and pages.
    Detail,
}

impl Section {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Counter => "counter",
            Self::Latency => "latency",
            Self::Origin => "origin",
            Self::Detail => "detail",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) section: Section,
    /// Where in the account, as in `time.waits[mmap_sem].cycles`.
    pub(super) path: String,
    /// The value in the first account; `Null` if there is none.
    pub(super) a: Value,
    /// The value in the second.
    pub(super) b: Value,
}

impl Change {
    /// Both as numbers; what is not there counts as 0.
    pub(super) fn numbers(&self) -> Option<(u64, u64)> {
        let number = |value: &Value| if value.is_null() { Some(0) } else { value.as_u64() };
        Some((number(&self.a)?, number(&self.b)?))
    }

    /// The second less the first.
    pub(super) fn difference(&self) -> Option<i128> {
        self.numbers().map(|(a, b)| i128::from(b) - i128::from(a))
    }

    /// The change in tenths of a percent of the first; none from 0.
    pub(super) fn per_mille(&self) -> Option<i128> {
        let (a, _) = self.numbers()?;
        (a > 0).then(|| (self.difference().unwrap_or(0) * 1000) / i128::from(a))
    }

    /// How much it matters: the share of the larger value that changed, times the magnitude of the change. So neither a
    /// counter that went from 1 to 2 nor a thousandth of a large one comes first.
    fn weight(&self) -> u128 {
        let Some((a, b)) = self.numbers() else { return u128::MAX };
        let difference = u128::from(a.abs_diff(b));
        let share = difference * 1000 / u128::from(a.max(b).max(1));
        share * u128::from((difference + 1).ilog2())
    }
}

/// Keys of an account that describe the run and not what happened.
const CONFIGURATION: [&str; 10] = [
    "version",
    "traces",
    "machine",
    "cpus",
    "frames",
    "frequency_mhz",
    "schedule",
    "seed",
    "seeds",
    "parameters",
];

/// Fields by which rows are told apart.
const NAMES: [&str; 6] = ["].name", "].level", "].kind", "].class", "].mapping", "].file"];

/// All differences: the configuration's in its order, then by section, what matters most first.
pub(super) fn compare(a: &Value, b: &Value) -> Vec<Change> {
    let (a, b) = (leaves(a), leaves(b));
    let paths: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let of = |side: &BTreeMap<String, Value>| side.get(path).cloned().unwrap_or(Value::Null);
        let (a, b) = (of(&a), of(&b));
        let top = path.split(['.', '[']).next().unwrap_or_default();
        // Two commands may well describe one run, and checking does not change it. What a row is called differs where there is no such row.
        let name = (a.is_null() || b.is_null()) && (a.is_string() || b.is_string());
        if a == b
            || top == "command"
            || (top == "verify" && !path.starts_with("verify.violations"))
            || (name && NAMES.iter().any(|name| path.ends_with(name)))
        {
            continue;
        }
        changes.push(Change { section: section(top, path), path: path.clone(), a, b });
    }
    let rank = |change: &Change| {
        let top = change.path.split(['.', '[']).next().unwrap_or_default();
        CONFIGURATION.iter().position(|key| *key == top).filter(|_| change.section == Section::Configuration)
    };
    changes.sort_by(|one, other| {
        let weight =
            |change: &Change| if change.section == Section::Configuration { 0 } else { change.weight() };
        let key = |change: &Change| (change.section, rank(change), std::cmp::Reverse(weight(change)));
        key(one).cmp(&key(other)).then_with(|| one.path.cmp(&other.path))
    });
    changes
}

fn section(top: &str, path: &str) -> Section {
    if CONFIGURATION.contains(&top) && !path.ends_with(".accesses") {
        Section::Configuration
    } else if top == "timeline"
        || path.starts_with("origin.hot_pages")
        || path.ends_with(".histogram")
        || path.starts_with("time.per_cpu[")
    {
        Section::Detail
    } else if top == "origin" {
        Section::Origin
    } else if path.starts_with("time.fault_latenc") {
        Section::Latency
    } else {
        Section::Counter
    }
}

/// Every leaf by its path. A list of nothing but numbers, or of lists, is one leaf.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    descend(String::new(), value, &mut found);
    add_cpus(value, &mut found);
    found
}

/// The times of all CPUs together, which are what counts.
fn add_cpus(account: &Value, found: &mut BTreeMap<String, Value>) {
    let cpus = account.pointer("/time/per_cpu").and_then(Value::as_array);
    for spent in cpus.into_iter().flatten().filter_map(Value::as_object) {
        for (name, cycles) in spent {
            let sum = found.entry(format!("time.all_cpus.{name}")).or_insert_with(|| 0.into());
            *sum = sum.as_u64().unwrap_or(0).saturating_add(cycles.as_u64().unwrap_or(0)).into();
        }
    }
}

fn descend(path: String, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                descend(path, field, found);
            }
        }
        Value::Array(rows) if rows.iter().any(Value::is_object) => {
            let mut seen: BTreeMap<String, u32> = BTreeMap::new();
            for (index, row) in rows.iter().enumerate() {
                let name = row_name(row).unwrap_or_else(|| index.to_string());
                let again = seen.entry(name.clone()).or_default();
                *again += 1;
                let name = if *again > 1 { format!("{name} #{again}") } else { name };
                descend(format!("{path}[{name}]"), row, found);
            }
        }
        _ => drop(found.insert(path, value.clone())),
    }
}

/// What a row of a list is about, whatever its place in the list.
fn row_name(row: &Value) -> Option<String> {
    let text = |key: &str| match row.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let process = || {
        let trace = text("trace").filter(|trace| trace != "0");
        let pid = text("pid")?;
        Some(trace.map_or_else(|| pid.clone(), |trace| format!("{pid} of trace {trace}")))
    };
    if let (Some(tid), Some(process)) = (text("tid"), process()) {
        return Some(format!("thread {tid} of {process}"));
    }
    if let Some(mapping) = text("mapping") {
        // The hull of anonymous areas is their name; that of others may move.
        let at = text("address").or_else(|| text("start").filter(|_| mapping == "anonymous"));
        let at = at.map_or_else(String::new, |at| format!(" {at}"));
        return Some(format!("{mapping}{at} of {}", process()?));
    }
    process().or_else(|| {
        ["name", "level", "kind", "class", "file", "invariant", "seed"].into_iter().find_map(text)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_matched_by_what_they_are_about_and_not_by_their_place() {
        let a = json!({"kernel": {"syscalls": [{"name": "brk", "count": 3}, {"name": "mmap", "count": 9}]}});
        let b = json!({"kernel": {"syscalls": [{"name": "mmap", "count": 9}, {"name": "brk", "count": 4}]}});
        let changes = compare(&a, &b);
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].path, "kernel.syscalls[brk].count");
        assert_eq!((changes[0].difference(), changes[0].per_mille()), (Some(1), Some(333)));
        assert_eq!(compare(&b, &b), []);
    }

    #[test]
    fn large_changes_of_large_counters_come_first() {
        let a = json!({"x": {"tiny": 1, "large": 10_000, "steady": 1_000_000_000, "gone": 700}});
        let b = json!({"x": {"tiny": 2, "large": 15_000, "steady": 1_000_100_000, "new": 1}});
        let order: Vec<String> = compare(&a, &b).into_iter().map(|change| change.path).collect();
        assert_eq!(order, ["x.gone", "x.large", "x.new", "x.tiny", "x.steady"]);
    }

    #[test]
    fn what_the_runs_were_given_is_told_apart_from_what_happened() {
        let a = json!({"command": "one", "machine": "tiny", "seed": 1, "digest": "00", "timeline": {"x": [1, 2]}});
        let b = json!({"command": "two", "machine": "zen4", "seed": 2, "digest": "01", "timeline": {"x": [1, 3]}});
        let changes = compare(&a, &b);
        let sections: Vec<_> = changes.iter().map(|change| (change.section, change.path.as_str())).collect();
        let expected = [
            (Section::Configuration, "machine"),
            (Section::Configuration, "seed"),
            (Section::Counter, "digest"),
            (Section::Detail, "timeline.x"),
        ];
        assert_eq!(sections, expected);
    }
}
