//! The table of parameters: what each means, its unit and range, its default and why. `config explain`, the
//! messages about `--set`, and `docs/machines.md` are all made from it.

use std::fmt;

use pagewalk_input::nearest;

use super::Machine;
use super::paths::general;
use super::sections::{Allowed, ROWS};

/// Every parameter of a machine, in the order a description gives them.
pub const PARAMETERS: &[Parameter] = &{
    let mut all = [Machine::ROWS[0]; count()];
    let (mut section, mut at) = (0, 0);
    while section <= ROWS.len() {
        let rows = rows_of(section);
        let mut row = 0;
        while row < rows.len() {
            all[at] = rows[row];
            (row, at) = (row + 1, at + 1);
        }
        section += 1;
    }
    all
};

/// The rows of one section; those of none come first.
const fn rows_of(section: usize) -> &'static [Parameter] {
    if section == 0 { Machine::ROWS } else { ROWS[section - 1] }
}

const fn count() -> usize {
    let (mut section, mut count) = (0, 0);
    while section <= ROWS.len() {
        count += rows_of(section).len();
        section += 1;
    }
    count
}

/// A parameter whose values are of type `T`.
pub(crate) const fn row<T: Allowed>(
    path: &'static str,
    unit: &'static str,
    about: &'static str,
    source: &'static str,
) -> Parameter {
    Parameter { path, unit, kind: T::KIND, about, source }
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers of a range.
    Int {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A number of frames, or a size.
    Frames,
    /// Text.
    Text {
        /// The most characters.
        max: u64,
    },
    /// `true` or `false`.
    Flag,
    /// A number of ways, or `"full"`.
    Ways,
    /// A list of page sizes.
    PageSizes,
    /// A replacement policy.
    Replacement,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int { min, max } => write!(out, "an integer from {min} to {max}"),
            Self::Frames => out.write_str(
                "a number of frames from 64 to 268435456, or a size from \"256 KiB\" to \"1 TiB\" that is a \
                 multiple of 4 KiB",
            ),
            Self::Text { max } => {
                write!(out, "a text of at most {max} characters, none of them a control character")
            }
            Self::Flag => out.write_str("true or false"),
            Self::Ways => out.write_str("a number of ways from 1 to 1024, or \"full\" for fully associative"),
            Self::PageSizes => {
                out.write_str("a list of page sizes, each once, from \"4 KiB\", \"2 MiB\", \"1 GiB\"")
            }
            Self::Replacement => out.write_str("lru or tree_plru"),
        }
    }
}

/// One parameter of a machine description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Path with empty brackets for a list: `tlb.l1d[].entries`.
    pub path: &'static str,
    /// Unit of its number; empty where there is none.
    pub unit: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// What it does.
    pub about: &'static str,
    /// Where the default comes from.
    pub source: &'static str,
}

impl Parameter {
    /// The value in the default machine, as RON; of a list, that of its first element.
    #[must_use]
    pub fn default_text(&self) -> String {
        let leaves = Machine::default().leaves();
        let leaf = leaves.into_iter().find(|leaf| general(&leaf.path) == self.path);
        leaf.map(|leaf| leaf.text()).expect("the default machine has every parameter")
    }
}

/// The parameters a path names: one, all of a section, or all of the list `tlb.l1d` for `tlb.l1d[0]`.
///
/// # Errors
/// The nearest path, if there is one, when the path names nothing.
pub fn find(path: &str) -> Result<Vec<&'static Parameter>, Option<&'static str>> {
    let general = general(path.trim().trim_end_matches('.'));
    let within = |parameter: &&Parameter| {
        let rest = parameter.path.strip_prefix(general.as_str());
        general.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let found: Vec<_> = PARAMETERS.iter().filter(within).collect();
    if found.is_empty() { Err(nearest_path(path)) } else { Ok(found) }
}

/// The path of the table nearest to what was typed, compared whole and by its last name.
#[must_use]
pub fn nearest_path(typed: &str) -> Option<&'static str> {
    let typed = general(typed);
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    nearest(&typed, PARAMETERS.iter().map(|parameter| parameter.path)).or_else(|| {
        let name = typed.rsplit('.').next().unwrap_or(&typed);
        let near = nearest(name, PARAMETERS.iter().map(|parameter| last(parameter.path)))?;
        PARAMETERS.iter().map(|parameter| parameter.path).find(|path| last(path) == near)
    })
}

/// Rows of the table as Markdown.
#[must_use]
pub fn markdown(rows: &[&Parameter]) -> String {
    let mut text = String::from(
        "| parameter | unit | allowed | default | what it does | where the default comes from |\n\
         |---|---|---|---|---|---|\n",
    );
    for p in rows {
        let default = match p.kind {
            // Long texts would make the table unreadable.
            Kind::Text { max } if max > 40 => "(text)".to_owned(),
            _ => format!("`{}`", p.default_text()),
        };
        text +=
            &format!("| `{}` | {} | {} | {default} | {} | {} |\n", p.path, p.unit, p.kind, p.about, p.source);
    }
    text
}
