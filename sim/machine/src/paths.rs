//! Parameters by path: listing them, changing one, and knowing where each value came from.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Machine;
use super::parameters::{Kind, PARAMETERS, Parameter};
use crate::leaves::leaves;

/// Where the value of a parameter came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Origin {
    /// The default machine.
    #[default]
    Default,
    /// A description.
    File {
        /// The file as the user named it, or `preset NAME`.
        file: String,
        /// Line, from 1.
        line: usize,
    },
    /// An option of the command line.
    Option {
        /// The option and its text.
        text: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File { file, line } => write!(out, "{file}:{line}"),
            Self::Option { text } => out.write_str(text),
        }
    }
}

/// Origins by path; a path that is absent has the origin of its section, and at last the default.
pub(super) type Origins = BTreeMap<String, Origin>;

/// One parameter of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Path, such as `tlb.l1d[0].entries`.
    pub path: String,
    /// What the table says about it.
    pub parameter: &'static Parameter,
    /// Value, as serialised.
    pub value: Value,
    /// Where the value came from.
    pub origin: Origin,
}

impl Leaf {
    /// The value as RON.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.value {
            // A choice is a bare word in RON, a text is quoted; both are strings in the tree.
            Value::String(word) if self.parameter.kind == Kind::Replacement => word.clone(),
            Value::String(text) => format!("{text:?}"),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                format!("[{}]", items.join(", "))
            }
            other => other.to_string(),
        }
    }
}

impl Machine {
    /// Notes where a value, a list or a section came from; what was known of its parts is forgotten.
    pub(crate) fn note_origin(&mut self, path: &str, origin: &Origin) {
        let inside = |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']));
        self.origins.retain(|known, _| !inside(known));
        self.origins.insert(path.to_owned(), origin.clone());
    }

    /// As a tree of JSON values.
    #[must_use]
    pub fn tree(&self) -> Value {
        serde_json::to_value(self).expect("a machine is plain data with text keys")
    }

    /// Puts a tree in place of all values, keeping the origins.
    pub(crate) fn replace(&mut self, tree: Value) -> Result<(), serde_json::Error> {
        let origins = std::mem::take(&mut self.origins);
        let replaced = serde_json::from_value(tree).map(|machine| *self = machine);
        self.origins = origins;
        replaced
    }

    /// Every parameter with its value, in the order of the table.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf> {
        let mut all: Vec<_> = leaves(self.tree())
            .into_iter()
            .map(|(path, value)| {
                let (order, parameter) = order(&path).expect("every parameter is in the table");
                (order, Leaf { origin: self.origin(&path), path, parameter, value })
            })
            .collect();
        all.sort_by_key(|(order, _)| *order);
        all.into_iter().map(|(_, leaf)| leaf).collect()
    }

    /// Where a value came from: only values written out have an origin other than the default, except in a
    /// list, whose elements come with it.
    fn origin(&self, path: &str) -> Origin {
        let mut at = path;
        loop {
            if let Some(origin) = self.origins.get(at) {
                return origin.clone();
            }
            match at.rfind(['.', '[']) {
                Some(cut) if at.contains('[') => at = &at[..cut],
                _ => return Origin::Default,
            }
        }
    }
}

/// The path with every index left out: `tlb.l1d[].entries`.
pub(crate) fn general(path: &str) -> String {
    let mut general = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        inside &= c != ']';
        if !inside {
            general.push(c);
        }
        inside |= c == '[';
    }
    general
}

/// What the table says about a path.
#[must_use]
pub fn parameter_of(path: &str) -> Option<&'static Parameter> {
    let general = general(path);
    PARAMETERS.iter().find(|parameter| parameter.path == general)
}

/// The place of a path in a listing: lists element by element, fields in the order of the table.
fn order(path: &str) -> Option<((usize, usize, usize), &'static Parameter)> {
    let general = general(path);
    let row = PARAMETERS.iter().position(|parameter| parameter.path == general)?;
    let list = general.find("[]").map(|at| &general[..=at]);
    let first = list.and_then(|list| PARAMETERS.iter().position(|p| p.path.starts_with(list)));
    let index = path.split(['[', ']']).nth(1).and_then(|index| index.parse().ok()).unwrap_or(0);
    Some(((first.unwrap_or(row), index, row), &PARAMETERS[row]))
}
