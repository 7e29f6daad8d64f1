//! What charts and tables show: points gathered over seeds, by what is compared.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::plan::Plan;
use crate::survey::Outcome;

/// The points that differ in their seed only.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// Points, by number.
    pub points: Vec<usize>,
    /// What was measured, in the order of points.
    pub values: Vec<f64>,
    /// Finished points where it was not measured: they did not come to their end, or have no such number.
    pub unmeasured: usize,
}

impl Cell {
    /// Mean of what was measured.
    #[must_use]
    pub(super) fn mean(&self) -> Option<f64> {
        (!self.values.is_empty()).then(|| self.values.iter().sum::<f64>() / self.values.len() as f64)
    }

    /// Smallest and largest.
    #[must_use]
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let least = self.values.iter().copied().reduce(f64::min)?;
        Some((least, self.values.iter().copied().reduce(f64::max)?))
    }
}

/// One picture: along an axis, a line for each value of another, all else the same.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    /// What is the same, in words; empty if nothing else differs.
    pub title: String,
    /// The metric, by number.
    pub metric: usize,
    /// The traces, scenarios and machines of which it is: values by number.
    pub inputs: Vec<usize>,
    /// The axis along which.
    pub along: usize,
    /// The axis of the lines, if there is one more.
    pub lines: Option<usize>,
    /// By value of `lines`, then by value of `along`.
    pub cells: Vec<Vec<Cell>>,
}

/// Something odd, found by a rule.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Surprise {
    /// In words.
    pub text: String,
    /// The points that show it, by number.
    points: Vec<usize>,
}

/// Which axis is along the pictures, and which is that of their lines.
#[derive(Clone, Copy, Debug)]
struct Layout {
    along: usize,
    lines: Option<usize>,
}

/// Along: the axis with the most numbers for values. Lines: of the others, the one with the most values up to eight.
fn layout(plan: &Plan) -> Option<Layout> {
    let compared = plan.compared();
    let numeric =
        |&axis: &usize| plan.axes[axis].values.iter().filter(|value| number(value).is_some()).count();
    let free = |axis: &usize| plan.lines.is_none_or(|lines| *axis != lines && !plan.are_zipped(*axis, lines));
    let along = plan.along.or_else(|| compared.iter().copied().rev().filter(free).max_by_key(numeric));
    // Where nothing else is left, the seed.
    let along = along.or_else(|| (0..plan.axes.len()).find(free))?;
    let count = |axis: usize| plan.axes[axis].values.len();
    if plan.lines.is_some() {
        return Some(Layout { along, lines: plan.lines });
    }
    let others =
        compared.into_iter().filter(|&axis| !plan.are_zipped(axis, along) && (2..=8).contains(&count(axis)));
    // Inputs are pictures of their own rather than lines of one.
    Some(Layout { along, lines: others.rev().max_by_key(|&axis| (!is_input(plan, axis), count(axis))) })
}

fn is_input(plan: &Plan, axis: usize) -> bool {
    ["trace", "scenario", "machine"].contains(&&*plan.axes[axis].path)
}

fn number(text: &str) -> Option<f64> {
    text.trim_end_matches('%').parse().ok()
}

/// Whether values go up from one to the next: then a line along them can turn.
fn is_ladder(values: &[Arc<str>]) -> bool {
    let numbers: Option<Vec<f64>> = values.iter().map(|value| number(value)).collect();
    numbers.is_some_and(|numbers| numbers.is_sorted_by(|one, other| one < other))
}

/// All pictures, by metric, then in the order of the plan.
#[must_use]
pub(super) fn panels(plan: &Plan, outcomes: &[Option<Outcome>]) -> Vec<Panel> {
    let Some(layout) = layout(plan) else { return Vec::new() };
    let shown = |axis: usize| {
        plan.are_zipped(axis, layout.along) || layout.lines.is_some_and(|lines| plan.are_zipped(axis, lines))
    };
    let differs = |&axis: &usize| !shown(axis) && plan.axes[axis].values.len() > 1;
    let rest: Vec<usize> = plan.compared().into_iter().filter(differs).collect();
    let mut panels = Vec::new();
    for metric in 0..plan.metrics.len() {
        let mut by_rest: BTreeMap<Vec<usize>, Panel> = BTreeMap::new();
        for (number, (point, outcome)) in plan.points.iter().zip(outcomes).enumerate() {
            let key: Vec<usize> = rest.iter().map(|&axis| point.at[axis]).collect();
            let panel = by_rest.entry(key).or_insert_with(|| empty(plan, metric, layout, &rest, &point.at));
            let line = layout.lines.map_or(0, |axis| point.at[axis]);
            let cell = &mut panel.cells[line][point.at[layout.along]];
            match outcome.as_ref().map(|outcome| outcome.metrics[metric]) {
                Some(Some(value)) => {
                    cell.points.push(number);
                    cell.values.push(value);
                }
                Some(None) => cell.unmeasured += 1,
                None => {}
            }
        }
        panels.extend(by_rest.into_values());
    }
    panels
}

fn empty(plan: &Plan, metric: usize, layout: Layout, rest: &[usize], at: &[usize]) -> Panel {
    let words =
        rest.iter().map(|&axis| format!("{} {}", plan.axes[axis].path, plan.axes[axis].values[at[axis]]));
    let lines = layout.lines.map_or(1, |axis| plan.axes[axis].values.len());
    let row = vec![Cell::default(); plan.axes[layout.along].values.len()];
    let title = words.collect::<Vec<_>>().join(", ");
    let inputs = rest.iter().filter(|&&axis| is_input(plan, axis)).map(|&axis| at[axis]).collect();
    Panel { title, metric, inputs, along: layout.along, lines: layout.lines, cells: vec![row; lines] }
}

impl Panel {
    /// Whether its values can be compared with another's: of the same metric and the same program.
    #[must_use]
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.metric, &self.inputs) == (other.metric, &other.inputs)
    }

    /// The name of a line; empty if there is only one.
    #[must_use]
    pub(super) fn line<'a>(&self, plan: &'a Plan, line: usize) -> &'a str {
        self.lines.map_or("", |axis| &plan.axes[axis].shown[line])
    }

    /// What is odd about it: orders that flip, and lines that go up and down by more than their seeds differ.
    #[must_use]
    pub(super) fn surprises(&self, plan: &Plan) -> Vec<Surprise> {
        let context = if self.title.is_empty() { String::new() } else { format!(" ({})", self.title) };
        let metric = plan.metrics[self.metric].name();
        let along = &plan.axes[self.along];
        let place = |at: usize| format!("{} {}{context}", along.path, along.shown[at]);
        let turn = |line: usize| {
            let name = self.line(plan, line);
            let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
            let text = format!("{name}{metric} turns at {}", place(self.turn(line)?));
            Some(Surprise { text, points: self.points(&[line]) })
        };
        let flips = self.flips().map(|(lines, at)| {
            let names: Vec<&str> = lines.iter().map(|&line| self.line(plan, line)).collect();
            let text = format!("the order of {} in {metric} changes at {}", names.join(", "), place(at));
            Surprise { text, points: self.points(&lines) }
        });
        let turns = is_ladder(&along.values).then_some(0..self.cells.len()).into_iter().flatten();
        turns.filter_map(turn).chain(flips).collect()
    }

    /// All points of some lines.
    fn points(&self, lines: &[usize]) -> Vec<usize> {
        lines.iter().flat_map(|&line| &self.cells[line]).flat_map(|cell| cell.points.clone()).collect()
    }

    /// The lines of which some change places, and where first.
    fn flips(&self) -> Option<(Vec<usize>, usize)> {
        let (mut lines, mut first): (Vec<usize>, Option<usize>) = (Vec::new(), None);
        for one in 0..self.cells.len() {
            for other in one + 1..self.cells.len() {
                let Some(at) = self.flip(one, other) else { continue };
                lines.extend([one, other]);
                first = Some(first.map_or(at, |first| first.min(at)));
            }
        }
        lines.sort_unstable();
        lines.dedup();
        first.map(|first| (lines, first))
    }

    /// Where a line that went one way goes the other, its ranges over seeds apart.
    fn turn(&self, line: usize) -> Option<usize> {
        let cells = &self.cells[line];
        let mut went = 0;
        for at in 1..cells.len() {
            let Some(way) = direction(&cells[at - 1], &cells[at]) else { continue };
            if way != 0 && went != 0 && way != went {
                return Some(at - 1);
            }
            went = if way == 0 { went } else { way };
        }
        None
    }

    /// Where two lines, apart before by more than their ranges, are apart the other way.
    fn flip(&self, one: usize, other: usize) -> Option<usize> {
        let mut was = 0;
        for at in 0..self.cells[one].len() {
            let Some(way) = direction(&self.cells[one][at], &self.cells[other][at]) else { continue };
            if way != 0 && was != 0 && way != was {
                return Some(at);
            }
            was = if way == 0 { was } else { way };
        }
        None
    }
}

/// So far apart, as a part of the larger, is the same: where seeds say how far values lie apart by themselves, and where nothing does.
const SAME: f64 = 0.01;
const SAME_OF_FEW: f64 = 0.1;
/// Seeds from which on their range says something.
const SEEDS: usize = 3;

/// 1 if the second is above the first in every seed, -1 if below, 0 if they overlap or nearly do. `None` if one was not measured.
fn direction(first: &Cell, second: &Cell) -> Option<i32> {
    let (one, other) = (first.range()?, second.range()?);
    let seeds = first.values.len().min(second.values.len());
    // Where the seed changes nothing its range says nothing.
    let told = seeds >= SEEDS && (one.0 < one.1 || other.0 < other.1);
    let slack = if told { SAME } else { SAME_OF_FEW } * one.1.abs().max(other.1.abs());
    Some(if other.0 > one.1 + slack {
        1
    } else if other.1 < one.0 - slack {
        -1
    } else {
        0
    })
}
