//! The report of a sweep: one page that opens from disk, its pictures as files, and tables as text.

mod cells;
mod chart;
mod text;

use serde::Serialize;
use serde_json::{Value, json};

use self::cells::{Panel, Surprise, panels};
use self::chart::Chart;
use super::execute::PointResult;
use super::plan::Plan;
use super::point::Job;
use super::table::measure;
use crate::style::group;

/// Everything that a report says.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// The data of the page.
    pub(crate) data: Value,
    /// The pictures.
    pub(crate) charts: Vec<Chart>,
    /// For the terminal.
    pub(crate) text: String,
}

/// A chart in the page's data.
#[derive(Serialize)]
struct PageChart<'a> {
    title: &'a str,
    kind: &'static str,
    file: &'a str,
    svg: &'a str,
}

/// The report of what is finished.
#[must_use]
pub(crate) fn report(plan: &Plan, results: &[Option<PointResult>], command: &str) -> Report {
    let panels = panels(plan, results);
    let charts: Vec<(&'static str, Chart)> = panels
        .iter()
        .enumerate()
        .flat_map(|(number, panel)| chart::charts(plan, panel, number + 1))
        .collect();
    let surprises: Vec<Surprise> = panels.iter().flat_map(|panel| panel.surprises(plan)).collect();
    let shown: Vec<PageChart<'_>> = charts
        .iter()
        .map(|(kind, chart)| PageChart { title: &chart.title, kind, file: &chart.file, svg: &chart.svg })
        .collect();
    let axes: Vec<Value> =
        plan.axes.iter().map(|axis| json!({"name": axis.path, "values": axis.values})).collect();
    let metric = |metric: &super::spec::Metric| json!({"name": metric.path, "label": metric.name(), "unit": metric.unit, "better": metric.better});
    let metrics: Vec<Value> = plan.metrics.iter().map(metric).collect();
    let machine = plan.points.first().and_then(|point| point.values.get("machine").cloned());
    let data = json!({
        "schema": "pagewalk.sweep-report/1",
        "title": plan.title,
        "question": plan.question,
        "sweep": plan.file,
        "plan": plan.id,
        "version": env!("CARGO_PKG_VERSION"),
        "machine": machine.unwrap_or_else(|| "default".into()),
        "command": command,
        "axes": axes,
        "metrics": metrics,
        "points": points(plan, results),
        "surprises": surprises,
        "charts": shown,
    });
    let text = told(plan, results, &panels, &surprises);
    Report { data, charts: charts.into_iter().map(|(_, chart)| chart).collect(), text }
}

fn points(plan: &Plan, results: &[Option<PointResult>]) -> Vec<Value> {
    let point = |(point, result): (&super::plan::Point, &Option<PointResult>)| {
        let result = result.as_ref();
        let metrics: Vec<Option<f64>> = plan.metrics.iter().map(|metric| measure(metric, result?)).collect();
        json!({
            "id": point.id,
            "at": point.at,
            "state": result.map_or("missing", |result| result.state.name()),
            "reason": result.and_then(|result| result.reason.clone()),
            "metrics": metrics,
            "command": Job::command(&point.values),
        })
    };
    plan.points.iter().zip(results).map(point).collect()
}

/// Surprises that are told as text.
const SURPRISES: usize = 8;

fn told(plan: &Plan, results: &[Option<PointResult>], panels: &[Panel], surprises: &[Surprise]) -> String {
    let there = results.iter().flatten().count();
    let unwell = results.iter().flatten().filter(|result| result.reason.is_some()).count();
    let mut out = format!(
        "  {}\n  {}\n\n  {} of {} points · {unwell} not to their end · plan {}\n",
        plan.title,
        plan.question,
        group(there as u64),
        group(plan.points.len() as u64),
        &plan.id[..8]
    );
    panels.iter().for_each(|panel| out.push_str(&text::table(plan, panel)));
    out.push('\n');
    match surprises {
        [] => out.push_str("  surprises  none: no order flips, and no line turns\n"),
        all => {
            all.iter().take(SURPRISES).for_each(|one| out.push_str(&format!("  surprise   {}\n", one.text)));
            if let Some(more) = all.len().checked_sub(SURPRISES).filter(|&more| more > 0) {
                out.push_str(&format!("  … {more} surprises more, in the report\n"));
            }
        }
    }
    out
}

/// A number with at most four digits that matter, grouped.
#[must_use]
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 1000.0 => 0,
        large if large >= 100.0 => 1,
        large if large >= 10.0 => 2,
        0.0 => 0,
        small if small >= 0.01 => 3,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let rest = rest.trim_end_matches('0');
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let grouped = digits.parse().map_or_else(|_| digits.to_owned(), group);
    if rest.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{rest}") }
}

/// The whole page. Its data is text in the page, so that it opens from disk.
#[must_use]
pub fn page(data: &Value) -> String {
    let title = data["title"].as_str().unwrap_or("sweep").replace('&', "&amp;").replace('<', "&lt;");
    let json = data.to_string().replace('<', "\\u003c");
    let mut out = String::new();
    // Piece by piece, so that no piece's text is taken for a placeholder.
    for piece in include_str!("page.html").split("{{") {
        match piece.split_once("}}") {
            Some((name, rest)) => {
                out.push_str(match name {
                    "TITLE" => &title,
                    "STYLE" => include_str!("page.css"),
                    "DATA" => &json,
                    "SCRIPT" => include_str!("page.js"),
                    other => unreachable!("the page has no placeholder {other}"),
                });
                out.push_str(rest);
            }
            None => out.push_str(piece),
        }
    }
    out
}
