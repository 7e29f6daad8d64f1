//! A sweep file: which runs, and what is asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use pagewalk_input::{Place, Refusal, find, mentions, offset_of};
use ron::extensions::Extensions;
use serde::{Deserialize, Serialize};

/// The longest sweep file accepted, in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// A sweep file, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepSpec {
    /// What the report is called.
    pub title: String,
    /// What the sweep is to answer, in a sentence.
    #[serde(default)]
    pub question: String,
    /// What every point has, by the same names as those of axes.
    #[serde(default)]
    pub set: BTreeMap<String, Setting>,
    /// What differs between points. The first changes slowest.
    pub axes: Vec<Axis>,
    /// Groups of axes that advance together instead of being crossed.
    #[serde(default)]
    pub zip: Vec<Vec<String>>,
    /// Conditions that a point must meet: `tlb.l2[0].ways <= 8`, `memory.frames < swap[0].pages`.
    #[serde(default)]
    pub keep: Vec<String>,
    /// What is asked of every point.
    pub metrics: Vec<Metric>,
    /// The axis along which pictures and tables go, unless the program chooses.
    #[serde(default)]
    pub along: Option<String>,
    /// The axis of which each value is a line of a picture and a column of a table.
    #[serde(default)]
    pub lines: Option<String>,
}

/// What differs between points.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// A parameter of the machine, or one of [`super::point::NAMES`].
    pub path: String,
    /// Its values.
    pub values: Values,
}

/// The values of an axis.
#[derive(Clone, Debug, Deserialize)]
pub enum Values {
    /// One point for each of these settings.
    List(Vec<Setting>),
    /// From, to (included if it is hit) and step.
    Range(i64, i64, i64),
    /// From, to (included if it is hit) and factor: a geometric ladder.
    Ladder(i64, i64, i64),
}

/// A value, as it is written; as text it is what `--set` takes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// `true`.
    Switch(bool),
    /// `512`.
    Number(i64),
    /// `0.5`, which no parameter takes so far.
    Fraction(f64),
    /// `"64 MiB"`.
    Text(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(on) => on.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Fraction(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Something that is asked of every point.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// A number of `replay --format json` by its path, as `time.cycles`; of a scenario, `schedules_to_failure`, `runs` or `failed`.
    pub path: String,
    /// Divided by this one, if given.
    #[serde(default)]
    pub per: Option<String>,
    /// Multiplied by this, if given: a million for parts in a million.
    #[serde(default)]
    pub times: Option<u64>,
    /// What it is called; its path, if nothing else.
    #[serde(default)]
    pub label: String,
    /// Its unit.
    #[serde(default)]
    pub unit: String,
    /// Which is better.
    #[serde(default)]
    pub better: Better,
}

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Neither.
    #[default]
    #[serde(rename(serialize = ""))]
    Neither,
    /// Small ones.
    Less,
    /// Large ones.
    More,
}

impl Metric {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.label.is_empty() { &self.path } else { &self.label }
    }

    /// The name of its column: with its unit.
    #[must_use]
    pub fn column(&self) -> String {
        match self.unit.is_empty() {
            true => self.name().to_owned(),
            false => format!("{} [{}]", self.name(), self.unit),
        }
    }
}

impl SweepSpec {
    /// Reads a sweep; `name` is what messages call it. No text makes it panic.
    ///
    /// # Errors
    /// When it is not RON of this form.
    pub fn parse(name: &str, text: &str) -> Result<Self, Refusal> {
        let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME);
        let spec: Self = options.from_str(text).map_err(|error| {
            let range = offset_of(text, error.span.start)..offset_of(text, error.span.end);
            Refusal::new(Place::in_text(name, text, range), error.code.to_string())
                .help("`set` has texts, numbers, true and false")
                .help("`values` is List([..]), Range(from, to, step) or Ladder(from, to, factor)")
        })?;
        if spec.metrics.is_empty() {
            return Err(spec.wrong(
                name,
                text,
                At::Field("metrics"),
                "no metric is asked for",
                "at least one",
            ));
        }
        let mut columns = BTreeSet::new();
        for metric in &spec.metrics {
            let column = metric.column();
            if !columns.insert(column.clone()) {
                let message = format!("two metrics are called `{column}`");
                return Err(spec.wrong(
                    name,
                    text,
                    At::In("metrics", metric.name()),
                    &message,
                    "a label of its own for each",
                ));
            }
        }
        if let Some(odd) = spec.texts().find(|text| text.chars().any(char::is_control)) {
            return Err(spec.wrong(
                name,
                text,
                At::Name(odd),
                "a control character",
                "text that can be shown",
            ));
        }
        Ok(spec)
    }

    /// Everything that is shown somewhere.
    fn texts(&self) -> impl Iterator<Item = &str> {
        fn of(setting: &Setting) -> Option<&str> {
            if let Setting::Text(text) = setting { Some(text) } else { None }
        }
        let set = self.set.iter().flat_map(|(name, value)| [Some(name.as_str()), of(value)]);
        let axes = self.axes.iter().flat_map(|axis| {
            let values = if let Values::List(list) = &axis.values { list.as_slice() } else { &[] };
            values.iter().map(of).chain([Some(axis.path.as_str())])
        });
        let metrics = self.metrics.iter().flat_map(|metric| {
            let per = metric.per.as_deref().unwrap_or("");
            [&*metric.path, per, &*metric.label, &*metric.unit].map(Some)
        });
        let heads = [Some(self.title.as_str()), Some(self.question.as_str())];
        heads.into_iter().chain(set).chain(axes).chain(metrics).flatten()
    }

    /// A refusal at a place of the text.
    pub(super) fn wrong(&self, name: &str, text: &str, at: At<'_>, message: &str, expected: &str) -> Refusal {
        Refusal::new(Place::in_text(name, text, at.find(text)), message).expected(expected)
    }
}

/// A place in a sweep's text. Of a name that is written with escapes there is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    /// A field.
    Field(&'a str),
    /// The name of an axis, or else of a setting, or else wherever the text stands last.
    Name(&'a str),
    /// A text in a field.
    In(&'a str, &'a str),
}

impl At<'_> {
    fn find(self, text: &str) -> Range<usize> {
        let (Self::Field(word) | Self::Name(word) | Self::In(_, word)) = self;
        let quoted = format!("\"{word}\"");
        let all: Vec<usize> = if word.is_empty() { Vec::new() } else { mentions(text, &quoted).collect() };
        let end = |at: usize| at + quoted.len();
        let found = match self {
            Self::Field(_) => {
                return field(text, word).map_or_else(|| find(text, word), |at| at..at + word.len());
            }
            Self::Name(_) => {
                let (axes, metrics) = (field(text, "axes"), field(text, "metrics"));
                let among_axes =
                    |&&at: &&usize| Some(at) > axes && metrics.is_none_or(|from| at < from || axes > metrics);
                let is_path = |at: &&usize| text[..**at].trim_end().ends_with("path:");
                let axis = all.iter().filter(among_axes).find(is_path);
                let setting = all.iter().find(|&&at| text[end(at)..].trim_start().starts_with(':'));
                axis.or(setting).or(all.last())
            }
            Self::In(of, _) => all.iter().find(|&&at| Some(at) > field(text, of)),
        };
        found.map_or_else(|| find(text, word), |&at| at..end(at))
    }
}

/// Where a field of the sweep stands.
fn field(text: &str, name: &str) -> Option<usize> {
    mentions(text, name).find(|at| text[at + name.len()..].trim_start().starts_with(':'))
}

impl Values {
    /// How many they are, at most; without listing them.
    pub fn count(&self) -> u64 {
        match *self {
            Self::List(ref list) => list.len() as u64,
            Self::Range(from, to, step) => {
                (to.abs_diff(from) / step.max(1).cast_unsigned()).saturating_add(1)
            }
            Self::Ladder(..) => 64,
        }
    }

    /// All of them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn all(&self) -> Result<Vec<Setting>, String> {
        match *self {
            Self::List(ref list) => nonempty(list.clone()),
            Self::Range(from, to, step) if step > 0 => series(from, to, |at| at.checked_add(step)),
            Self::Range(..) => Err("a range needs a step above 0".into()),
            Self::Ladder(from, to, factor) if factor > 1 && from > 0 => {
                series(from, to, |at| at.checked_mul(factor))
            }
            Self::Ladder(..) => Err("a ladder begins above 0 and has a factor above 1".into()),
        }
    }
}

fn nonempty(values: Vec<Setting>) -> Result<Vec<Setting>, String> {
    if values.is_empty() { Err("the axis has no value".into()) } else { Ok(values) }
}

fn series(from: i64, to: i64, next: impl Fn(i64) -> Option<i64>) -> Result<Vec<Setting>, String> {
    let numbers = std::iter::successors(Some(from), |&at| next(at)).take_while(|&at| at <= to);
    nonempty(numbers.map(Setting::Number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: &Values) -> Result<Vec<String>, String> {
        Ok(values.all()?.iter().map(Setting::to_string).collect())
    }

    #[test]
    fn ranges_and_ladders_end_where_they_are_told_to() {
        assert_eq!(numbers(&Values::Range(1, 9, 4)), Ok(vec!["1".into(), "5".into(), "9".into()]));
        assert_eq!(numbers(&Values::Range(-1, 1, 2)), Ok(vec!["-1".into(), "1".into()]));
        assert_eq!(numbers(&Values::Ladder(3, 30, 3)), Ok(vec!["3".into(), "9".into(), "27".into()]));
        assert_eq!(numbers(&Values::Ladder(1 << 62, i64::MAX, 2)), Ok(vec![(1_i64 << 62).to_string()]));
        for wrong in [
            Values::Range(1, 9, 0),
            Values::Range(9, 1, 1),
            Values::Ladder(0, 9, 2),
            Values::Ladder(1, 9, 1),
            Values::List(vec![]),
        ] {
            assert!(wrong.all().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn values_are_switches_numbers_and_texts() {
        let text = "(title: \"t\", set: {\"cpus\": 4}, metrics: [(path: \"time.cycles\")],
            axes: [(path: \"memory\", values: List([\"50%\", 128, true]))])";
        let spec = SweepSpec::parse("t", text).expect("right");
        let values: Vec<String> =
            spec.axes[0].values.all().expect("right").iter().map(ToString::to_string).collect();
        assert_eq!(
            (values, spec.set["cpus"].to_string()),
            (vec!["50%".into(), "128".into(), "true".into()], "4".into())
        );
        for wrong in [
            "",
            "(",
            "(title: \"\")",
            &text.replace("metrics", "metric"),
            &text.replace("time.cycles\")", "x\", y: 1)"),
        ] {
            assert!(SweepSpec::parse("t", wrong).is_err(), "{wrong}");
        }
    }
}
