//! The report of a sweep: one page that opens from disk, its pictures as files, and tables as text.

mod cells;
mod chart;
mod scale;
mod text;

use std::fmt::Write;
use std::sync::Arc;

use pagewalk_input::{group, shell};
use serde::Serialize;
use serde_json::{Value, json};

use self::cells::{Panel, Surprise, panels};
use self::chart::Chart;
use self::scale::Scale;
use super::plan::Plan;
use super::point::Job;
use super::survey::{Outcome, Survey, unwell};

/// Everything that a report says.
#[derive(Clone, Debug)]
pub struct Report {
    /// The data of the page.
    pub data: Value,
    /// The pictures.
    pub charts: Vec<Chart>,
    /// For the terminal.
    pub text: String,
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
pub fn report(plan: &Plan, survey: &Survey) -> Report {
    let mut panels = panels(plan, &survey.outcomes);
    let left_out = panels.len().saturating_sub(MOST_PANELS);
    panels.truncate(MOST_PANELS);
    let scale = |panel: &Panel| Scale::of(panels.iter().filter(|other| other.is_like(panel)));
    let charts: Vec<(&'static str, Chart)> = panels
        .iter()
        .enumerate()
        .flat_map(|(number, panel)| chart::charts(plan, panel, &scale(panel), number + 1))
        .collect();
    let surprises: Vec<Surprise> = panels.iter().flat_map(|panel| panel.surprises(plan)).collect();
    let shown: Vec<PageChart<'_>> = charts
        .iter()
        .map(|(kind, chart)| PageChart { title: &chart.title, kind, file: &chart.file, svg: &chart.svg })
        .collect();
    let axes: Vec<Value> =
        plan.axes.iter().map(|axis| json!({"name": &*axis.path, "values": texts(&axis.values)})).collect();
    let metric = |metric: &super::spec::Metric| json!({"name": metric.path, "label": metric.name(), "unit": metric.unit, "better": metric.better});
    let metrics: Vec<Value> = plan.metrics.iter().map(metric).collect();
    let machine = plan.points.first().and_then(|point| point.values.get("machine"));
    let data = json!({
        "schema": "pagewalk.sweep-report/1",
        "title": plan.title,
        "question": plan.question,
        "sweep": plan.file,
        "plan": plan.id,
        "version": env!("CARGO_PKG_VERSION"),
        "machine": machine.map_or("default", |name| name),
        "command": format!("pagewalk sweep run {}", shell::word(&plan.file)),
        "axes": axes,
        "metrics": metrics,
        "points": points(plan, &survey.outcomes),
        "left_out": left_out,
        "surprises": surprises,
        "charts": shown,
    });
    let mut text = told(plan, survey, &panels, &surprises);
    if left_out > 0 {
        let _ = writeln!(
            text,
            "  left out   {} pictures and tables more: the points are all in the page",
            group(left_out as u64)
        );
    }
    Report { data, charts: charts.into_iter().map(|(_, chart)| chart).collect(), text }
}

/// Pictures of a report; a page with more is no help.
const MOST_PANELS: usize = 200;

fn texts(values: &[Arc<str>]) -> Vec<&str> {
    values.iter().map(|value| &**value).collect()
}

fn points(plan: &Plan, outcomes: &[Option<Outcome>]) -> Vec<Value> {
    let point = |(point, outcome): (&super::plan::Point, &Option<Outcome>)| {
        let outcome = outcome.as_ref();
        json!({
            "id": point.id,
            "at": point.at,
            "state": outcome.map_or("missing", |outcome| outcome.state.name()),
            "reason": outcome.and_then(|outcome| outcome.reason.clone()),
            "metrics": outcome.map_or_else(|| vec![None; plan.metrics.len()], |outcome| outcome.metrics.clone()),
            "command": Job::command(&point.values),
        })
    };
    plan.points.iter().zip(outcomes).map(point).collect()
}

/// Surprises that are told as text.
const SURPRISES: usize = 8;

fn told(plan: &Plan, survey: &Survey, panels: &[Panel], surprises: &[Surprise]) -> String {
    let there = survey.outcomes.iter().flatten().count();
    let unwell = unwell(survey.states());
    let mut out = format!(
        "  {}\n  {}\n\n  {} of {} points · {unwell} unfinished · plan {}\n",
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
pub fn number(value: f64) -> String {
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
