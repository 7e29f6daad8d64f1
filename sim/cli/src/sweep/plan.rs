//! The points of a sweep: an ordered list, each with a name that follows from what it runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::keep::Condition;
use super::point::{Job, Machines, Values};
use super::spec::{Axis, MAX_BYTES, Metric, Setting, SweepSpec};
use crate::diagnostic::{Diagnostic, Place};
use crate::text_file::read_text;

/// Points that one sweep may have.
pub(super) const MOST_POINTS: usize = 250_000;

/// One run of a sweep.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Its name: a digest of everything that its result follows from.
    pub(crate) id: String,
    /// Its place on every axis.
    pub(crate) at: Vec<usize>,
    /// What it has, by name.
    pub(crate) values: Values,
}

/// An axis with its values.
#[derive(Clone, Debug)]
pub(crate) struct PlanAxis {
    /// What differs.
    pub(crate) path: String,
    /// How, as text.
    pub(crate) values: Vec<String>,
}

/// All points of a sweep.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The sweep's file, as the user named it.
    pub(crate) file: String,
    /// What the report is called.
    pub(crate) title: String,
    /// What the sweep is to answer.
    pub(crate) question: String,
    /// A digest of all points.
    pub(crate) id: String,
    /// The axes.
    pub(crate) axes: Vec<PlanAxis>,
    /// Axes by number, those that advance together in one group.
    pub(crate) groups: Vec<Vec<usize>>,
    /// What is asked of every point.
    pub(crate) metrics: Vec<Metric>,
    /// The points, in order.
    pub(crate) points: Vec<Point>,
    /// Combinations that a condition dropped.
    pub(crate) dropped: usize,
}

/// A sweep file, understood; no file that it names is read yet.
pub(super) struct Outline {
    spec: SweepSpec,
    axes: Vec<PlanAxis>,
    groups: Vec<Vec<usize>>,
    conditions: Vec<Condition>,
    /// Combinations of values on the axes, before conditions.
    pub(super) total: usize,
}

impl Outline {
    /// Reads a sweep; `name` is what messages call it. No text makes it panic.
    ///
    /// # Errors
    /// When it is not RON of this form, or its axes, groups or conditions are not right.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Diagnostic> {
        let spec = SweepSpec::parse(name, text)?;
        let wrong =
            |word: &str, message: &str, expected: &str| spec.wrong(name, text, word, message, expected);
        let axes = axes(&spec)
            .map_err(|(path, why)| wrong(&path, &format!("{path}: {why}"), "a name once, with values"))?;
        let groups = groups(&spec, &axes)
            .map_err(|(path, why)| wrong(&path, &why, "names of axes with as many values each"))?;
        let conditions = spec.keep.iter().map(|text| Condition::parse(text).map_err(|why| (text, why)));
        let conditions = conditions
            .collect::<Result<_, _>>()
            .map_err(|(text, why)| wrong(text, &why, "as in `cpus <= 4`"))?;
        let total =
            groups.iter().try_fold(1_usize, |all, group| all.checked_mul(axes[group[0]].values.len()));
        let total = total.filter(|&total| total <= MOST_POINTS);
        let total = total.ok_or_else(|| {
            wrong("axes", "the axes have too many combinations", &format!("at most {MOST_POINTS}"))
        })?;
        Ok(Self { spec, axes, groups, conditions, total })
    }

    /// The combinations that meet all conditions: the place on every axis, and all values.
    fn kept(&self) -> Vec<(Vec<usize>, Values)> {
        let fixed: Values =
            self.spec.set.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        (0..self.total)
            .map(|number| combination(number, &self.groups, &self.axes, &fixed))
            .filter(|(_, values)| self.conditions.iter().all(|condition| condition.holds(values)))
            .collect()
    }
}

impl Plan {
    /// The plan of the sweep in a file. Every point is checked.
    ///
    /// # Errors
    /// When the file, or a point, is not right.
    pub(crate) fn load(file: &str) -> Result<Self, Diagnostic> {
        let text = read_text(file, "sweep", MAX_BYTES)?;
        let outline = Outline::parse(file, &text)?;
        let kept = outline.kept();
        let inputs = Inputs::read(&kept)?;
        let Outline { spec, axes, groups, total, .. } = outline;
        check(&kept).map_err(|(values, why)| {
            let word = why.split(':').next().unwrap_or("");
            let point = axes
                .iter()
                .map(|axis| format!("{} {}", axis.path, values[&axis.path]))
                .collect::<Vec<_>>()
                .join(", ");
            spec.wrong(file, &text, word, &why, "values that a run can have")
                .help(format!("the point: {point}"))
        })?;
        let point = |(at, values): &(Vec<usize>, Values)| Point {
            id: inputs.id(values),
            at: at.clone(),
            values: values.clone(),
        };
        let points: Vec<Point> = kept.par_iter().map(point).collect();
        let id = digest(points.iter().map(|point| point.id.as_str()));
        let dropped = total - points.len();
        let SweepSpec { title, question, metrics, .. } = spec;
        Ok(Self { file: file.to_owned(), title, question, id, axes, groups, metrics, points, dropped })
    }
}

/// Whether a run can have the values of every point. Of points that differ in seed and trace only one is looked at.
fn check(points: &[(Vec<usize>, Values)]) -> Result<(), (Values, String)> {
    let machines = Machines::default();
    let mut unlike: BTreeMap<Vec<(&str, &str)>, &Values> = BTreeMap::new();
    for (_, values) in points {
        if let Some(Err(_)) = values.get("seed").map(|seed| seed.parse::<u64>()) {
            return Err((values.clone(), format!("seed: `{}` is no whole number from 0 on", values["seed"])));
        }
        let like = |name: &str| ["seed", "trace"].contains(&name) && !values[name].is_empty();
        let key = values
            .iter()
            .filter(|(name, _)| !like(name))
            .map(|(name, value)| (name.as_str(), value.as_str()));
        unlike.entry(key.collect()).or_insert(values);
    }
    let unlike: Vec<&Values> = unlike.into_values().collect();
    // The first in order, however many threads look.
    let wrong = |&values: &&Values| Job::new(values, &machines).err().map(|why| (values.clone(), why));
    unlike.par_iter().find_map_first(wrong).map_or(Ok(()), Err)
}

/// The axes, each once.
fn axes(spec: &SweepSpec) -> Result<Vec<PlanAxis>, (String, String)> {
    let mut known: Vec<&str> = Vec::new();
    let mut axes = Vec::new();
    for Axis { path, values } in &spec.axes {
        if known.contains(&path.as_str()) || spec.set.contains_key(path) {
            return Err((path.clone(), "it is given twice".into()));
        }
        known.push(path);
        let values = values.all().map_err(|why| (path.clone(), why))?;
        axes.push(PlanAxis { path: path.clone(), values: values.iter().map(Setting::to_string).collect() });
    }
    if axes.is_empty() { Err(("axes".into(), "there is none".into())) } else { Ok(axes) }
}

/// Axes by number, those that advance together in one group; by the first of each.
fn groups(spec: &SweepSpec, axes: &[PlanAxis]) -> Result<Vec<Vec<usize>>, (String, String)> {
    let mut group_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, names) in spec.zip.iter().enumerate() {
        for name in names {
            let place = axes.iter().position(|axis| axis.path == *name);
            let place = place.ok_or_else(|| (name.clone(), format!("zip: there is no axis `{name}`")))?;
            if group_of.insert(place, number).is_some() {
                return Err((name.clone(), format!("zip: `{name}` is in two groups")));
            }
        }
        let mut lengths: Vec<usize> = group_of
            .iter()
            .filter(|&(_, &of)| of == number)
            .map(|(&axis, _)| axes[axis].values.len())
            .collect();
        lengths.dedup();
        if lengths.len() > 1 {
            return Err((
                names[0].clone(),
                "zip: the axes of a group differ in how many values they have".into(),
            ));
        }
    }
    let mut groups: Vec<(Option<usize>, Vec<usize>)> = Vec::new();
    for axis in 0..axes.len() {
        let of = group_of.get(&axis).copied();
        match groups.iter_mut().find(|(known, _)| of.is_some() && *known == of) {
            Some((_, members)) => members.push(axis),
            None => groups.push((of, vec![axis])),
        }
    }
    Ok(groups.into_iter().map(|(_, members)| members).collect())
}

/// Combination `number`: the first group changes slowest.
fn combination(
    number: usize,
    groups: &[Vec<usize>],
    axes: &[PlanAxis],
    fixed: &Values,
) -> (Vec<usize>, Values) {
    let mut at = vec![0; axes.len()];
    let mut rest = number;
    for group in groups.iter().rev() {
        let count = axes[group[0]].values.len();
        group.iter().for_each(|&axis| at[axis] = rest % count);
        rest /= count;
    }
    let mut values = fixed.clone();
    for (axis, &place) in axes.iter().zip(&at) {
        values.insert(axis.path.clone(), axis.values[place].clone());
    }
    (at, values)
}

/// Digests of the files that points name.
struct Inputs {
    files: BTreeMap<String, String>,
}

impl Inputs {
    fn read(points: &[(Vec<usize>, Values)]) -> Result<Self, Diagnostic> {
        let mut files = BTreeMap::new();
        for name in points.iter().flat_map(|(_, values)| named_files(values)) {
            if files.contains_key(name) {
                continue;
            }
            let digest = digest_of_file(name).map_err(|error| {
                Diagnostic::new(Place::File { file: name.to_owned() }, format!("cannot read it: {error}"))
                    .expected("a trace, machine or scenario that the sweep names")
            })?;
            files.insert(name.to_owned(), digest);
        }
        Ok(Self { files })
    }

    /// The name of a point: configuration, contents of its files, seed and version.
    fn id(&self, values: &Values) -> String {
        let settings = values.iter().map(|(name, value)| format!("{name}={value}"));
        let files = named_files(values).filter_map(|name| self.files.get(name).cloned());
        let version = std::iter::once(env!("CARGO_PKG_VERSION").to_owned());
        let all: Vec<String> = version.chain(settings).chain(files).collect();
        digest(all.iter().map(String::as_str))
    }
}

/// The files among a point's values.
fn named_files(values: &Values) -> impl Iterator<Item = &str> {
    let traces = values.get("trace").into_iter().flat_map(|traces| traces.split_whitespace());
    let machine = values.get("machine").filter(|name| name.ends_with(".ron"));
    traces.chain(machine.map(String::as_str)).chain(values.get("scenario").map(String::as_str))
}

/// The digest of a file, which may be larger than memory.
fn digest_of_file(name: &str) -> io::Result<String> {
    let mut file = File::open(name)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(hexadecimal(&hash.finalize()));
        }
        hash.update(&piece[..count]);
    }
}

/// 128 bits of the digest of some words, in hexadecimal.
fn digest<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    hexadecimal(&hash.finalize())[..32].to_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Plan {
    /// The value of an axis at a point, as text.
    #[must_use]
    pub(crate) fn value<'a>(&'a self, point: &Point, axis: usize) -> &'a str {
        &self.axes[axis].values[point.at[axis]]
    }

    /// Whether two axes advance together.
    #[must_use]
    pub(crate) fn are_zipped(&self, one: usize, other: usize) -> bool {
        self.groups.iter().any(|group| group.contains(&one) && group.contains(&other))
    }

    /// The axes but the seed: what is compared.
    #[must_use]
    pub(crate) fn compared(&self) -> Vec<usize> {
        (0..self.axes.len()).filter(|&axis| self.axes[axis].path != "seed").collect()
    }
}
