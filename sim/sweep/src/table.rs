//! Results as tables: a row a point, and a row an epoch.
//!
//! A table may be larger than memory: its columns are known after one look at every result, its rows are made from one result at a time.

use std::collections::{BTreeMap, BTreeSet};

use pagewalk_machine::parameter_of;
use serde_json::Value;

use super::execute::{PointResult, State};
use super::plan::{Plan, Point};
use super::point::Job;
use super::spec::Metric;

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

/// What the cells of a column hold, if anything. The later ones can show what the earlier ones hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Counts.
    Count,
    /// Ratios.
    Ratio,
    /// Texts.
    Text,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// Its name, unit included.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// What results have to say, by name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    parameters: BTreeMap<String, Kind>,
    values: BTreeSet<String>,
    series: BTreeSet<String>,
}

impl Names {
    /// Adds those of a result.
    pub fn note(&mut self, result: &PointResult) {
        for (name, value) in &result.parameters {
            let kind = of_json(value).kind().unwrap_or(Kind::Count);
            match self.parameters.get_mut(name) {
                Some(known) => *known = kind.max(*known),
                None => drop(self.parameters.insert(name.clone(), kind)),
            }
        }
        note_all(&mut self.values, result.values.keys());
        note_all(&mut self.series, result.series.keys());
    }

    /// The numbers of runs.
    pub fn values(&self) -> &BTreeSet<String> {
        &self.values
    }
}

fn note_all<'a>(known: &mut BTreeSet<String>, names: impl Iterator<Item = &'a String>) {
    for name in names {
        if !known.contains(name) {
            known.insert(name.clone());
        }
    }
}

/// The value of a metric at a point; `None` if it was not measured, or not to the end: half a run is soon over, and no better for it.
#[must_use]
pub(crate) fn measure(metric: &Metric, result: &PointResult) -> Option<f64> {
    if result.state != State::Done {
        return None;
    }
    let value = |path: &str| result.values.get(path).map(|&value| value as f64);
    let scaled = value(&metric.path)? * metric.times.unwrap_or(1) as f64;
    match &metric.per {
        None => Some(scaled),
        Some(per) => value(per).filter(|&per| per > 0.0).map(|per| scaled / per),
    }
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

fn number_or_text(value: &str) -> Cell {
    value.parse().map_or_else(|_| text(value), Cell::Count)
}

/// The length of an epoch among the numbers of a run.
const EPOCH_CYCLES: &str = "timeline.epoch_cycles";

/// What every point is, before what it has.
const ABOUT: [&str; 6] = ["id", "state", "reason", "version", "digest", "command"];

/// One row a point that is finished: what it is, what is asked of it, every parameter, every number.
pub(crate) struct Points<'a> {
    plan: &'a Plan,
    names: &'a Names,
    set: Vec<&'a str>,
}

impl<'a> Points<'a> {
    /// The table of a plan, with the columns that its results have.
    pub(crate) fn new(plan: &'a Plan, names: &'a Names) -> Self {
        let set: BTreeSet<&str> =
            plan.points.iter().flat_map(|point| point.values.keys()).map(|name| &**name).collect();
        Self { plan, names, set: set.into_iter().collect() }
    }

    /// Its columns.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let column = |name: String, kind: Kind| Column { name, kind };
        let about = ABOUT.iter().map(|&name| column(name.to_owned(), Kind::Text));
        let set = self.set.iter().map(|&name| {
            let cells = self.plan.points.iter().filter_map(|point| point.values.get(name));
            let kind = cells.filter_map(|value| number_or_text(value).kind()).max();
            column(format!("set.{name}"), kind.unwrap_or(Kind::Count))
        });
        let metrics = self.plan.metrics.iter();
        let metrics = metrics.map(|metric| column(format!("metric.{}", metric.column()), Kind::Ratio));
        let parameters = self.names.parameters.iter().map(|(path, &kind)| {
            let unit = parameter_of(path).map_or("", |parameter| parameter.unit);
            let unit = if unit.is_empty() { String::new() } else { format!(" [{unit}]") };
            column(format!("machine.{path}{unit}"), kind)
        });
        let values = self.names.values.iter().map(|path| column(format!("run.{path}"), Kind::Count));
        about.chain(set).chain(metrics).chain(parameters).chain(values).collect()
    }

    /// The row of a point.
    pub(crate) fn row(&self, point: &Point, result: &PointResult) -> Vec<Cell> {
        let reason = result.reason.as_deref().map_or(Cell::Empty, text);
        let about = [
            text(&point.id),
            text(result.state.name()),
            reason,
            text(&result.version),
            text(&result.digest),
            text(&Job::command(&point.values)),
        ];
        let set = self.set.iter().map(|&name| point.values.get(name).map(|value| number_or_text(value)));
        let metrics = self.plan.metrics.iter().map(|metric| measure(metric, result).map(Cell::Ratio));
        let parameters = self.names.parameters.keys().map(|path| result.parameters.get(path).map(of_json));
        let values = self.names.values.iter().map(|path| result.values.get(path).copied().map(Cell::Count));
        let rest = set.chain(metrics).chain(parameters).chain(values);
        about.into_iter().chain(rest.map(|cell| cell.unwrap_or(Cell::Empty))).collect()
    }
}

/// One row an epoch of every point that is finished.
pub(crate) struct Series<'a> {
    names: &'a Names,
}

impl<'a> Series<'a> {
    /// The table with the columns that results have.
    pub(crate) fn new(names: &'a Names) -> Self {
        Self { names }
    }

    /// Its columns.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let fixed = [("id", Kind::Text), ("epoch", Kind::Count), ("end [cycles]", Kind::Count)];
        let fixed = fixed.map(|(name, kind)| (name.to_owned(), kind));
        let series = self.names.series.iter().map(|name| (name.clone(), Kind::Count));
        fixed.into_iter().chain(series).map(|(name, kind)| Column { name, kind }).collect()
    }

    /// The rows of a point.
    pub(crate) fn rows(&self, result: &PointResult) -> impl Iterator<Item = Vec<Cell>> {
        let series: Vec<Option<&Vec<u64>>> =
            self.names.series.iter().map(|name| result.series.get(name)).collect();
        let epochs = series.iter().flatten().map(|numbers| numbers.len()).max().unwrap_or(0);
        let id = text(&result.id);
        let length = result.values.get(EPOCH_CYCLES).copied();
        (0..epochs).map(move |epoch| {
            let numbers = series.iter().map(|numbers| numbers.and_then(|numbers| numbers.get(epoch)));
            let cells = numbers.map(|number| number.map_or(Cell::Empty, |&number| Cell::Count(number)));
            let end = length.map_or(Cell::Empty, |length| Cell::Count((epoch as u64 + 1) * length));
            [id.clone(), Cell::Count(epoch as u64), end].into_iter().chain(cells).collect()
        })
    }
}

impl Cell {
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Empty => None,
            Self::Text(_) => Some(Kind::Text),
            Self::Count(_) => Some(Kind::Count),
            Self::Ratio(_) => Some(Kind::Ratio),
        }
    }

    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Ratio(ratio) => ratio.to_string(),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Empty => Value::Null,
            Self::Text(text) => Value::from(text.as_str()),
            Self::Count(count) => Value::from(*count),
            Self::Ratio(ratio) => Value::from(*ratio),
        }
    }
}
