//! The points of a sweep: an ordered list, each with a name that follows from what it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pagewalk_input::{Refusal, read_text};
use rayon::prelude::*;

use super::inputs::{Inputs, digest};
use super::keep::Condition;
use super::point::{Job, Values, Wrong};
use super::shard::Shard;
use super::spec::{At, Axis, MAX_BYTES, Metric, SweepSpec};

/// Lines that one picture may have, and columns that one table of the report.
const MOST_LINES: usize = 8;
/// Points that one sweep may have.
pub(super) const MOST_POINTS: usize = 250_000;

/// One run of a sweep.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its name: a digest of everything that its result follows from.
    pub id: String,
    /// Its place on every axis.
    pub at: Vec<usize>,
    /// What it has, by name.
    pub values: Values,
}

/// An axis with its values.
#[derive(Clone, Debug)]
pub struct PlanAxis {
    /// Path of the parameter or option that differs.
    pub path: Arc<str>,
    /// How, as text.
    pub values: Vec<Arc<str>>,
    /// What tells its places apart: its values, or with them those of the axes that advance with it.
    pub shown: Vec<Arc<str>>,
}

/// All points of a sweep.
#[derive(Debug)]
pub struct Plan {
    /// The sweep's file, as the user named it.
    pub file: String,
    /// What the report is called.
    pub title: String,
    /// What the sweep is to answer.
    pub question: String,
    /// A digest of all points.
    pub id: String,
    /// The axes.
    pub axes: Vec<PlanAxis>,
    /// Axes by number, those that advance together in one group.
    pub groups: Vec<Vec<usize>>,
    /// The axis along which pictures go, if the sweep says.
    pub along: Option<usize>,
    /// The axis of their lines, if the sweep says.
    pub lines: Option<usize>,
    /// What is asked of every point.
    pub metrics: Vec<Metric>,
    /// The points, in order.
    pub points: Vec<Point>,
    /// Combinations that a condition dropped.
    pub dropped: usize,
    /// The files that points name.
    pub inputs: Inputs,
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
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Refusal> {
        let spec = SweepSpec::parse(name, text)?;
        let wrong = |at: At<'_>, message: &str, expected: &str| spec.wrong(name, text, at, message, expected);
        let too_many = || {
            let expected = format!("at most {MOST_POINTS}, on all axes together");
            wrong(At::Field("axes"), "the axes have too many values or combinations", &expected)
        };
        let lengths = spec.axes.iter().map(|axis| axis.values.count());
        let sum = lengths.fold(0_u64, u64::saturating_add);
        if sum > MOST_POINTS as u64 {
            return Err(too_many());
        }
        let mut axes =
            axes(&spec).map_err(|(path, why)| wrong(At::Name(&path), &why, "a name once, with values"))?;
        let groups = groups(&spec, &axes).map_err(|(path, why)| {
            wrong(At::In("zip", &path), &why, "names of axes with as many values each")
        })?;
        if let Some(axis) = with_a_value_twice(&axes, &groups) {
            let message = format!("{}: a value comes twice, also with what advances with it", axis.path);
            return Err(wrong(At::Name(&axis.path), &message, "values that differ"));
        }
        show(&mut axes, &groups);
        let varied: BTreeSet<&str> = axes.iter().map(|axis| &*axis.path).collect();
        let is_name = |name: &str| spec.set.contains_key(name) || varied.contains(name);
        let conditions = spec.keep.iter().map(|text| {
            let condition =
                Condition::parse(text).and_then(|condition| condition.check(is_name).map(|()| condition));
            condition.map_err(|why| {
                wrong(At::In("keep", text), &why, "names of the sweep and numbers, as in `cpus <= 4`")
            })
        });
        let conditions = conditions.collect::<Result<_, _>>()?;
        let total =
            groups.iter().try_fold(1_usize, |all, group| all.checked_mul(axes[group[0]].values.len()));
        let total = total.filter(|&total| total <= MOST_POINTS).ok_or_else(too_many)?;
        let outline = Self { spec, axes, groups, conditions, total };
        outline.check_shown().map_err(|(field, shown, expected)| {
            let message = format!("`{shown}` cannot be shown so");
            outline.spec.wrong(name, text, At::In(field, shown), &message, expected)
        })?;
        Ok(outline)
    }

    /// The place of an axis.
    fn axis(&self, name: &str) -> Option<usize> {
        self.axes.iter().position(|axis| *axis.path == *name)
    }

    /// What is wrong with `along` and `lines`: the field, what it names, and what it may name.
    fn check_shown(&self) -> Result<(), (&'static str, &str, &'static str)> {
        for (field, name) in [("along", &self.spec.along), ("lines", &self.spec.lines)] {
            if let Some(name) = name.as_deref().filter(|name| self.axis(name).is_none()) {
                return Err((field, name, "an axis"));
            }
        }
        let Some(name) = self.spec.lines.as_deref() else { return Ok(()) };
        let lines = self.axis(name).expect("it was looked at above");
        if self.axes[lines].values.len() > MOST_LINES {
            return Err(("lines", name, "an axis of at most 8 values"));
        }
        let along = self.spec.along.as_deref().and_then(|name| self.axis(name));
        let group = self.groups.iter().find(|group| group.contains(&lines));
        let together = |axis: usize| group.is_some_and(|group| group.contains(&axis));
        let others = (0..self.axes.len()).filter(|&axis| !together(axis)).count();
        if along.is_some_and(together) || others == 0 {
            return Err(("lines", name, "an axis beside which another can be along the picture"));
        }
        Ok(())
    }

    /// The combinations that meet all conditions: the place on every axis, and all values.
    fn kept(&self) -> Vec<(Vec<usize>, Values)> {
        let shared = |text: String| -> Arc<str> { text.into() };
        let fixed: Values = self
            .spec
            .set
            .iter()
            .map(|(name, value)| (shared(name.clone()), shared(value.to_string())))
            .collect();
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
    pub fn load(file: &str) -> Result<Self, Refusal> {
        let text = read_text(file, "sweep", MAX_BYTES)?;
        let outline = Outline::parse(file, &text)?;
        let kept = outline.kept();
        if kept.is_empty() {
            let spec = &outline.spec;
            let message = "the conditions drop every point";
            return Err(spec.wrong(file, &text, At::Field("keep"), message, "at least one point"));
        }
        let inputs = Inputs::read(kept.iter().map(|(_, values)| values))?;
        let Outline { spec, axes, groups, total, .. } = outline;
        check(&kept, &inputs).map_err(|(values, wrong)| {
            let point = axes
                .iter()
                .map(|axis| format!("{} {}", axis.path, values[&*axis.path]))
                .collect::<Vec<_>>()
                .join(", ");
            spec.wrong(file, &text, At::Name(&wrong.name), &wrong.why, "values that a run can have")
                .help(format!("the point: {point}"))
        })?;
        let point = |(at, values): (Vec<usize>, Values)| Point { id: inputs.id(&values), at, values };
        let points: Vec<Point> = kept.into_par_iter().map(point).collect();
        let id = digest(points.iter().map(|point| point.id.as_str()));
        let dropped = total - points.len();
        let shown = |name: &Option<String>| axes.iter().position(|axis| Some(&*axis.path) == name.as_deref());
        let (along, lines) = (shown(&spec.along), shown(&spec.lines));
        let SweepSpec { title, question, metrics, .. } = spec;
        let file = file.to_owned();
        Ok(Self { file, title, question, id, axes, groups, along, lines, metrics, points, dropped, inputs })
    }
}

/// Whether a run can have the values of every point. Of points that differ in seed and trace only one is looked at.
fn check(points: &[(Vec<usize>, Values)], inputs: &Inputs) -> Result<(), (Values, Wrong)> {
    let mut unlike: BTreeMap<Vec<(&str, &str)>, &Values> = BTreeMap::new();
    for (_, values) in points {
        if let Some(Err(_)) = values.get("seed").map(|seed| seed.parse::<u64>()) {
            let why = format!("seed: `{}` is no whole number from 0 on", values["seed"]);
            return Err((values.clone(), Wrong { name: "seed".into(), why }));
        }
        let like = |name: &str| ["seed", "trace"].contains(&name) && !values[name].trim().is_empty();
        let key = values.iter().filter(|(name, _)| !like(name)).map(|(name, value)| (&**name, &**value));
        unlike.entry(key.collect()).or_insert(values);
    }
    let unlike: Vec<&Values> = unlike.into_values().collect();
    // The first in order, however many threads look.
    let wrong = |&values: &&Values| Job::new(values, inputs).err().map(|why| (values.clone(), why));
    unlike.par_iter().find_map_first(wrong).map_or(Ok(()), Err)
}

/// The axes, each once.
fn axes(spec: &SweepSpec) -> Result<Vec<PlanAxis>, (String, String)> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut axes = Vec::new();
    for Axis { path, values } in &spec.axes {
        if !known.insert(path) || spec.set.contains_key(path) {
            return Err((path.clone(), format!("{path} is given twice")));
        }
        let values = values.all().map_err(|why| (path.clone(), format!("{path}: {why}")))?;
        let values: Vec<Arc<str>> = values.iter().map(|value| value.to_string().into()).collect();
        axes.push(PlanAxis { path: path.as_str().into(), shown: values.clone(), values });
    }
    if axes.is_empty() { Err(("axes".into(), "there is no axis".into())) } else { Ok(axes) }
}

/// Axes by number, those that advance together in one group; by the first of each.
fn groups(spec: &SweepSpec, axes: &[PlanAxis]) -> Result<Vec<Vec<usize>>, (String, String)> {
    let mut group_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, names) in spec.zip.iter().enumerate() {
        for name in names {
            let place = axes.iter().position(|axis| *axis.path == **name);
            let place = place.ok_or_else(|| (name.clone(), format!("zip: there is no axis `{name}`")))?;
            if group_of.insert(place, number).is_some() {
                return Err((name.clone(), format!("zip: `{name}` is in two groups")));
            }
        }
        let places = names.iter().filter_map(|name| axes.iter().position(|axis| *axis.path == **name));
        let lengths: BTreeSet<usize> = places.map(|axis| axes[axis].values.len()).collect();
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

/// Has an axis whose values come several times shown with those that advance with it.
fn show(axes: &mut [PlanAxis], groups: &[Vec<usize>]) {
    for group in groups.iter().filter(|group| group.len() > 1) {
        for &axis in group {
            let unlike: BTreeSet<&Arc<str>> = axes[axis].values.iter().collect();
            if unlike.len() < axes[axis].values.len() {
                let others = || group.iter().filter(|&&other| other != axis);
                let shown = |at: usize| {
                    let words = std::iter::once(&axis).chain(others()).map(|&one| &*axes[one].values[at]);
                    words.collect::<Vec<_>>().join(" ").into()
                };
                axes[axis].shown = (0..axes[axis].values.len()).map(shown).collect();
            }
        }
    }
}

/// The first axis of a group whose axes together have the same values twice.
fn with_a_value_twice<'a>(axes: &'a [PlanAxis], groups: &[Vec<usize>]) -> Option<&'a PlanAxis> {
    let twice = groups.iter().find(|group| {
        let mut known: BTreeSet<Vec<&str>> = BTreeSet::new();
        let values = |at: usize| group.iter().map(|&axis| &*axes[axis].values[at]).collect();
        !(0..axes[group[0]].values.len()).all(|at| known.insert(values(at)))
    });
    twice.map(|group| &axes[group[0]])
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

impl Plan {
    /// The points of a shard, in order.
    pub fn of_shard(&self, shard: Shard) -> impl Iterator<Item = &Point> {
        let numbered = self.points.iter().enumerate();
        numbered.filter(move |&(number, _)| shard.has(number)).map(|(_, point)| point)
    }

    /// The value of an axis at a point, as text.
    #[must_use]
    pub fn value<'a>(&'a self, point: &Point, axis: usize) -> &'a str {
        &self.axes[axis].values[point.at[axis]]
    }

    /// Whether two axes advance together.
    #[must_use]
    pub fn are_zipped(&self, one: usize, other: usize) -> bool {
        self.groups.iter().any(|group| group.contains(&one) && group.contains(&other))
    }

    /// The axes but the seed, unless there is no other: what is compared.
    #[must_use]
    pub fn compared(&self) -> Vec<usize> {
        let all = 0..self.axes.len();
        let but_seeds: Vec<usize> = all.clone().filter(|&axis| &*self.axes[axis].path != "seed").collect();
        if but_seeds.is_empty() { all.collect() } else { but_seeds }
    }
}
