//! `--set path=value`: changing single parameters of a machine from the command line.

use std::ops::Range;

use pagewalk_input::{Place, Refusal, nearest};
use serde_json::Value;

use crate::parameters::{Kind, PARAMETERS, nearest_path};
use crate::{Conflict, Machine, Origin, TlbArray, general, parameter_of};

const OPTION: &str = "--set";

/// The longest text accepted, in bytes.
const MAX_OPTION_BYTES: usize = 4096;

impl Machine {
    /// Applies one `path=value`; values are written as in RON, texts and sizes also without quotes.
    ///
    /// # Errors
    /// When the path names no parameter of this machine, the value is not allowed there, or the machine no
    /// longer fits together. The machine is then unchanged.
    pub fn set(&mut self, option: &str) -> Result<(), Refusal> {
        self.set_all(&[option])
    }

    /// Applies several `path=value` in order; rules that bind parameters together are checked after the last.
    ///
    /// # Errors
    /// As [`Machine::set`].
    pub fn set_all<S: AsRef<str>>(&mut self, options: &[S]) -> Result<(), Refusal> {
        let mut changed = self.clone();
        for option in options {
            apply(&mut changed, option.as_ref())?;
        }
        if let (Err(conflict), false) = (changed.check(), options.is_empty()) {
            return Err(blame(&conflict, options));
        }
        *self = changed;
        Ok(())
    }
}

/// The last option that set something of the conflicting part, or else the last of all.
fn blame<S: AsRef<str>>(conflict: &Conflict, options: &[S]) -> Refusal {
    let part = conflict.path.trim_end_matches(".page_sizes").trim_end_matches(".ways");
    let section = part.split('.').next().unwrap_or(part);
    let by = |prefix: &str| options.iter().rev().map(AsRef::as_ref).find(|option| option.starts_with(prefix));
    let option = by(part).or_else(|| by(section)).or_else(|| options.last().map(AsRef::as_ref)).unwrap_or("");
    let value = option.find('=').map_or(0, |at| at + 1)..option.len();
    let message = format!("{}: {}", conflict.path, conflict.reason);
    Refusal::new(Place::in_option(OPTION, option, value), message).expected(conflict.expected.as_str())
}

fn apply(machine: &mut Machine, option: &str) -> Result<(), Refusal> {
    let at = |range: Range<usize>| Place::in_option(OPTION, option, range);
    if option.len() > MAX_OPTION_BYTES {
        let problem = Refusal::new(at(0..0), "the option is too long");
        return Err(problem.expected(format!("at most {MAX_OPTION_BYTES} bytes")));
    }
    let Some(equals) = option.find('=') else {
        let problem = Refusal::new(at(0..option.len()), "there is no `=`");
        return Err(problem.expected("path=value, as in memory.frames=4096"));
    };
    let path = option[..equals].trim();
    let value_start = option.len() - option[equals + 1..].trim_start().len();
    let text = option[equals + 1..].trim();
    let value_range = value_start..value_start + text.len();
    let mut tree = machine.tree();
    let is_list = matches!(path, "tlb.l1i" | "tlb.l1d" | "tlb.l2");
    let parameter = parameter_of(path);
    let slot = descend(&mut tree, path).filter(|_| is_list || parameter.is_some());
    let Some(slot) = slot else {
        let path_start = option.len() - option.trim_start().len();
        return Err(unknown_path(machine, path, at(path_start..path_start + path.len())));
    };
    let refused = |expected: String| {
        Refusal::new(at(value_range.clone()), format!("{path} cannot be `{text}`"))
            .found(text)
            .expected(expected)
    };
    if is_list {
        let arrays = ron::from_str::<Vec<TlbArray>>(text).map_err(|error| {
            refused(format!("a list of arrays, as [(entries: 64, ways: 4)] ({})", error.code))
        })?;
        *slot = serde_json::to_value(arrays).expect("arrays are plain data with text keys");
    } else if let Some(parameter) = parameter {
        *slot = read_value(text, parameter.kind).ok_or_else(|| refused(parameter.kind.to_string()))?;
    }
    // Only the value just put in can be at fault: all others came out of a machine.
    machine.replace(tree).map_err(|_| refused(parameter.map_or(String::new(), |p| p.kind.to_string())))?;
    machine.note_origin(path, &Origin::Option { text: format!("{OPTION} {option}") });
    Ok(())
}

/// The place of a path in the tree.
fn descend<'a>(tree: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    let mut at = tree;
    for step in path.split('.') {
        let (field, index) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
            Some((field, index)) => (field, Some(index.parse::<usize>().ok()?)),
            None => (step, None),
        };
        at = at.as_object_mut()?.get_mut(field)?;
        if let Some(index) = index {
            at = at.as_array_mut()?.get_mut(index)?;
        }
    }
    Some(at)
}

/// The text as a value of that kind, as far as its form goes; the machine's own types judge the rest.
fn read_value(text: &str, kind: Kind) -> Option<Value> {
    let quoted = || if text.starts_with(['"', 'r']) { ron::from_str::<String>(text).ok() } else { None };
    let word = || Value::String(quoted().unwrap_or_else(|| text.to_owned()));
    let whole = || text.replace('_', "").parse::<u64>().ok().map(Value::from);
    match kind {
        Kind::Int { .. } => whole(),
        Kind::Frames | Kind::Ways => whole().or_else(|| Some(word())),
        Kind::Text { .. } | Kind::Replacement => Some(word()),
        Kind::Flag => text.parse::<bool>().ok().map(Value::Bool),
        Kind::PageSizes if text.starts_with('[') => {
            ron::from_str::<Vec<String>>(text).ok().map(Value::from_iter)
        }
        Kind::PageSizes => Some(text.split(',').map(|size| size.trim().trim_matches('"')).collect()),
    }
}

fn unknown_path(machine: &Machine, path: &str, place: Place) -> Refusal {
    let leaves: Vec<String> = machine.leaves().into_iter().map(|leaf| leaf.path).collect();
    let problem = Refusal::new(place, format!("there is no parameter `{path}`")).found(path);
    // The longest beginning that is right says which paths to offer.
    let mut known = path;
    let offered: Vec<&str> = loop {
        known = known.rfind(['.', '[']).map_or("", |cut| &known[..cut]);
        let inside = |leaf: &&String| {
            known.is_empty() || leaf.strip_prefix(known).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let offered: Vec<&str> = leaves.iter().filter(inside).map(String::as_str).collect();
        if !offered.is_empty() || known.is_empty() {
            break offered;
        }
    };
    let expected = if known.is_empty() {
        let mut sections: Vec<&str> = Vec::new();
        for parameter in PARAMETERS {
            let section = parameter.path.split('.').next().unwrap_or(parameter.path);
            if sections.last() != Some(&section) {
                sections.push(section);
            }
        }
        format!("a path that begins with one of {}", sections.join(", "))
    } else {
        match offered.as_slice() {
            [only] => (*only).to_owned(),
            several => format!("one of {}", several.join(", ")),
        }
    };
    let near = nearest(path, leaves.iter().map(String::as_str)).map(str::to_owned);
    let near =
        near.or_else(|| nearest_path(path).filter(|near| general(near) != general(path)).map(str::to_owned));
    let problem = match near {
        Some(near) => problem.help(format!("did you mean `{}`?", near.replace("[]", "[0]"))),
        None => problem,
    };
    problem.expected(expected).help("`pagewalk config explain` lists every parameter")
}
