//! Sweeps: many runs that differ in what a file says. A file becomes a plan of points; points run on all cores, on one machine or
//! several; each result is on disk before the next point begins; all of them together become tables and a report.

pub mod estimate;
pub mod execute;
mod inputs;
mod keep;
#[cfg(feature = "parquet")]
mod parquet_file;
mod plan;
pub mod point;
pub mod report;
mod run;
mod shard;
mod spec;
mod store;
pub mod survey;
mod table;
mod write;

use pagewalk_input::{Refusal, write_whole};

pub use self::plan::{Plan, Point};
pub use self::run::{PointProgress, Tally, about, run};
pub use self::shard::{Shard, ShardChoice};
pub use self::spec::{Axis, Metric, SweepSpec};
pub use self::store::Store;
pub use self::survey::Survey;
use self::table::{Points, Series};
use self::write::Writer;

/// Reads a sweep file and yields how many points it has before its conditions; `name` is what messages call it. No text makes it panic.
///
/// # Errors
/// When it is not RON of the form that `docs/sweeps.md` describes, or has more points than a sweep may have.
pub fn parse_sweep_str(name: &str, text: &str) -> Result<usize, Refusal> {
    plan::Outline::parse(name, text).map(|outline| outline.total)
}

/// The formats of tables.
pub const TABLE_FORMATS: &str =
    if cfg!(feature = "parquet") { "{csv,ndjson,parquet}" } else { "{csv,ndjson}" };

/// Writes the results of finished points as tables, in every format. Yields the tables' names and how many rows they have.
///
/// # Errors
/// If a result cannot be read, or a table written.
pub fn write_tables(
    plan: &Plan,
    store: &Store,
    survey: &Survey,
) -> Result<[(&'static str, u64); 2], Refusal> {
    let (points, series) = (Points::new(plan, &survey.names), Series::new(&survey.names));
    let mut of_points = Writer::create(store, "results", points.columns())?;
    let mut of_series = Writer::create(store, "series", series.columns())?;
    survey::each(&plan.points, store, |point, result| {
        let Some(result) = result else { return Ok(()) };
        of_points.row(points.row(point, &result))?;
        series.rows(&result).try_for_each(|row| of_series.row(row))
    })?;
    Ok([("results", of_points.finish()?), ("series", of_series.finish()?)])
}

/// Writes the report of what is finished, a page and its pictures. Yields the page's path and the report.
///
/// # Errors
/// If one of them cannot be written.
pub fn write_report(
    plan: &Plan,
    store: &Store,
    survey: &Survey,
) -> Result<(std::path::PathBuf, report::Report), Refusal> {
    let report = report::report(plan, survey);
    let page = store.file("report.html");
    write_whole(&page, report::page(&report.data).as_bytes())?;
    for chart in &report.charts {
        write_whole(&store.file(&chart.file), chart.svg.as_bytes())?;
    }
    store.keep_pictures(&report.charts.iter().map(|chart| chart.file.as_str()).collect());
    Ok((page, report))
}
