//! The report as text: a table for each picture.

use std::fmt::Write;

use super::cells::{Cell, Panel};
use super::number;
use crate::plan::Plan;

/// Columns as wide as this, or as their name.
const COLUMN: usize = 16;

/// A panel as a table: a row for each value along, a column for each line.
#[must_use]
pub(super) fn table(plan: &Plan, panel: &Panel) -> String {
    let metric = &plan.metrics[panel.metric];
    let unit = if metric.unit.is_empty() { String::new() } else { format!(", {}", metric.unit) };
    let title = if panel.title.is_empty() { String::new() } else { format!("  ·  {}", panel.title) };
    let along = &plan.axes[panel.along];
    let first =
        along.shown.iter().map(|value| value.chars().count()).chain([along.path.chars().count()]).max();
    let first = first.unwrap_or(0);
    let across = panel.lines.map(|axis| format!("  ·  across: {}", plan.axes[axis].path)).unwrap_or_default();
    let mut out = format!("\n  {}{unit}{title}{across}\n  {}", metric.name(), pad(&along.path, first));
    for line in 0..panel.cells.len() {
        let name = panel.line(plan, line);
        let _ = write!(out, "  {:>COLUMN$}", if name.is_empty() { metric.name() } else { name });
    }
    out.push('\n');
    for (at, value) in along.shown.iter().enumerate() {
        let _ = write!(out, "  {}", pad(value, first));
        for (line, cells) in panel.cells.iter().enumerate() {
            let name = panel.line(plan, line);
            let width = COLUMN.max(if name.is_empty() { metric.name() } else { name }.chars().count());
            let _ = write!(out, "  {:>width$}", told(&cells[at]));
        }
        out.push('\n');
    }
    out
}

/// `12.3 ± 0.4`: the mean, and half of how far the seeds lie apart; `(2 of 3)` if some points have no value.
fn told(cell: &Cell) -> String {
    let (Some(mean), Some((low, high))) = (cell.mean(), cell.range()) else { return "–".into() };
    let measured = cell.values.len();
    let mut out = number(mean);
    if measured > 1 {
        let _ = write!(out, " ± {}", number((high - low) / 2.0));
    }
    if cell.unmeasured > 0 {
        let _ = write!(out, " ({measured} of {})", measured + cell.unmeasured);
    }
    out
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}
