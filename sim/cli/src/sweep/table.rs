//! Results as tables: a row a point, and a row an epoch; and these as CSV and NDJSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::execute::PointResult;
use super::plan::{Plan, Point};
use super::point::Job;
use super::spec::Metric;
use crate::machine::parameter_of;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Nothing: it was not measured.
    Empty,
    /// A text.
    Text(String),
    /// A count.
    Count(u64),
    /// A ratio.
    Ratio(f64),
}

/// Columns with names, and rows of as many cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// Names, units included.
    pub(crate) columns: Vec<String>,
    /// Rows.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// The value of a metric at a point; `None` if it was not measured.
#[must_use]
pub(crate) fn measure(metric: &Metric, result: &PointResult) -> Option<f64> {
    let value = |path: &str| result.values.get(path).map(|&value| value as f64);
    let scaled = value(&metric.path)? * metric.times.unwrap_or(1) as f64;
    match &metric.per {
        None => Some(scaled),
        Some(per) => value(per).filter(|&per| per > 0.0).map(|per| scaled / per),
    }
}

fn metric_column(metric: &Metric) -> String {
    match metric.unit.is_empty() {
        true => metric.name().to_owned(),
        false => format!("{} [{}]", metric.name(), metric.unit),
    }
}

fn parameter_column(path: &str) -> String {
    let unit = parameter_of(path).map_or("", |parameter| parameter.unit);
    if unit.is_empty() { path.to_owned() } else { format!("{path} [{unit}]") }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn of_json(value: &Value) -> Cell {
    match value {
        Value::Number(number) => number.as_u64().map_or_else(|| text(&number.to_string()), Cell::Count),
        Value::String(word) => text(word),
        Value::Null => Cell::Empty,
        other => text(&other.to_string()),
    }
}

/// One row a point that is finished, in the order of the plan: what it is, what is asked of it, every parameter, every number.
#[must_use]
pub(crate) fn points(plan: &Plan, results: &[Option<PointResult>]) -> Table {
    let finished: Vec<(&Point, &PointResult)> = plan
        .points
        .iter()
        .zip(results)
        .filter_map(|(point, result)| Some((point, result.as_ref()?)))
        .collect();
    let parameters = names(finished.iter().map(|(_, result)| &result.parameters));
    let values = names(finished.iter().map(|(_, result)| &result.values));
    let fixed = ["id", "state", "reason", "version", "digest", "command"].map(str::to_owned);
    let named: Vec<&String> =
        plan.points.first().map(|point| point.values.keys().collect()).unwrap_or_default();
    let columns = fixed
        .into_iter()
        .chain(named.iter().map(|name| format!("set.{name}")))
        .chain(plan.metrics.iter().map(|metric| format!("metric.{}", metric_column(metric))))
        .chain(parameters.iter().map(|path| format!("machine.{}", parameter_column(path))))
        .chain(values.iter().map(|path| format!("run.{path}")))
        .collect();
    let row = |&(point, result): &(&Point, &PointResult)| {
        let reason = result.reason.as_deref().map_or(Cell::Empty, text);
        let mut row = vec![text(&point.id), text(result.state.name()), reason, text(&result.version)];
        row.extend([text(&result.digest), text(&Job::command(&point.values))]);
        row.extend(
            named
                .iter()
                .map(|&name| point.values.get(name).map_or(Cell::Empty, |value| number_or_text(value))),
        );
        row.extend(
            plan.metrics.iter().map(|metric| measure(metric, result).map_or(Cell::Empty, Cell::Ratio)),
        );
        row.extend(parameters.iter().map(|&path| result.parameters.get(path).map_or(Cell::Empty, of_json)));
        row.extend(
            values
                .iter()
                .map(|&path| result.values.get(path).map_or(Cell::Empty, |&value| Cell::Count(value))),
        );
        row
    };
    Table { columns, rows: finished.iter().map(row).collect() }
}

fn number_or_text(value: &str) -> Cell {
    value.parse().map_or_else(|_| text(value), Cell::Count)
}

fn names<'a, V: 'a>(maps: impl Iterator<Item = &'a BTreeMap<String, V>>) -> Vec<&'a String> {
    let mut names: Vec<&String> = maps.flat_map(BTreeMap::keys).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// One row an epoch of every point that is finished.
#[must_use]
pub(crate) fn series(plan: &Plan, results: &[Option<PointResult>]) -> Table {
    let finished: Vec<&PointResult> = results.iter().take(plan.points.len()).flatten().collect();
    let series = names(finished.iter().map(|result| &result.series));
    let fixed = ["id", "epoch"].map(str::to_owned);
    let columns = fixed.into_iter().chain(series.iter().map(|&name| name.clone())).collect();
    let mut rows = Vec::new();
    for result in finished {
        let epochs = result.series.values().map(Vec::len).max().unwrap_or(0);
        for epoch in 0..epochs {
            let at = |&name: &&String| result.series.get(name).and_then(|numbers| numbers.get(epoch));
            let cells = series.iter().map(|name| at(name).map_or(Cell::Empty, |&number| Cell::Count(number)));
            rows.push([text(&result.id), Cell::Count(epoch as u64)].into_iter().chain(cells).collect());
        }
    }
    Table { columns, rows }
}

impl Table {
    /// As CSV (RFC 4180), with a line of names.
    #[must_use]
    pub(crate) fn to_csv(&self) -> String {
        let mut out = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = String>| {
            out.push_str(&cells.map(|cell| quoted(&cell)).collect::<Vec<_>>().join(","));
            out.push_str("\r\n");
        };
        line(&mut self.columns.iter().cloned());
        for row in &self.rows {
            line(&mut row.iter().map(Cell::to_text));
        }
        out
    }

    /// As NDJSON: an object a line, without the cells that hold nothing.
    #[must_use]
    pub(crate) fn to_ndjson(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let cells = self.columns.iter().zip(row).filter(|(_, cell)| **cell != Cell::Empty);
            let object: serde_json::Map<String, Value> =
                cells.map(|(name, cell)| (name.clone(), cell.to_json())).collect();
            let _ = writeln!(out, "{}", Value::Object(object));
        }
        out
    }
}

impl Cell {
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Ratio(ratio) => ratio.to_string(),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Empty => Value::Null,
            Self::Text(text) => Value::from(text.as_str()),
            Self::Count(count) => Value::from(*count),
            Self::Ratio(ratio) => Value::from(*ratio),
        }
    }
}

fn quoted(cell: &str) -> String {
    let plain = !cell.contains([',', '"', '\n', '\r']);
    if plain { cell.to_owned() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_written_so_that_they_can_be_read() {
        let table = Table {
            columns: vec!["a".into(), "b, c".into()],
            rows: vec![vec![text("x \"y\""), Cell::Count(3)], vec![Cell::Empty, Cell::Ratio(0.5)]],
        };
        assert_eq!(table.to_csv(), "a,\"b, c\"\r\n\"x \"\"y\"\"\",3\r\n,0.5\r\n");
        assert_eq!(table.to_ndjson(), "{\"a\":\"x \\\"y\\\"\",\"b, c\":3}\n{\"b, c\":0.5}\n");
    }
}
