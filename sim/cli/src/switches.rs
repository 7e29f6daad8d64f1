//! The kernel's switches as `config explain kernel` tells them: each fix with its commit and who has it, each mutant; the
//! invariants that the mutants break, and the races that they are.

use pagewalk_explore::RaceInfo;
use pagewalk_input::nearest;
use pagewalk_kernel::{INVARIANTS, InvariantInfo};
use pagewalk_pages::{Fix, Mutant, Switches};
use serde_json::{Value, json};

use crate::invariants;
use crate::races;
use crate::style::{Paint, WIDTH, wrap};

/// The switches, invariants and races that a path names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    fixes: Vec<Fix>,
    mutants: Vec<Mutant>,
    invariants: Vec<&'static InvariantInfo>,
    races: Vec<&'static RaceInfo>,
}

/// What `kernel`, `kernel.fixes`, `kernel.mutants`, `invariants`, `races` or a name below them names, or such a name alone; nothing
/// for any other path.
#[must_use]
pub fn find(path: &str) -> Rows {
    let (invariants, races) = (invariants::find(path), races::find(path));
    if !invariants.is_empty() || !races.is_empty() {
        return Rows { invariants, races, ..Rows::default() };
    }
    let switches = find_switches(path);
    if switches.is_empty() { Rows { races: races::named(path), ..switches } } else { switches }
}

fn find_switches(path: &str) -> Rows {
    let mut parts = path.trim().trim_end_matches('.').split('.');
    let (section, kind, name) = (parts.next(), parts.next(), parts.next());
    if let (Some(name), None) = (section.filter(|section| *section != "kernel"), kind) {
        let (fixes, mutants) = (Fix::from_name(name).into_iter(), Mutant::from_name(name).into_iter());
        return Rows { fixes: fixes.collect(), mutants: mutants.collect(), ..Rows::default() };
    }
    if section != Some("kernel") || parts.next().is_some() {
        return Rows::default();
    }
    match (kind, name) {
        (None, _) => Rows { fixes: Fix::ALL.to_vec(), mutants: Mutant::ALL.to_vec(), ..Rows::default() },
        (Some("fixes"), None) => Rows { fixes: Fix::ALL.to_vec(), ..Rows::default() },
        (Some("mutants"), None) => Rows { mutants: Mutant::ALL.to_vec(), ..Rows::default() },
        (Some("fixes"), Some(name)) => {
            Rows { fixes: Fix::from_name(name).into_iter().collect(), ..Rows::default() }
        }
        (Some("mutants"), Some(name)) => {
            Rows { mutants: Mutant::from_name(name).into_iter().collect(), ..Rows::default() }
        }
        _ => Rows::default(),
    }
}

/// The fix, mutant, invariant or race whose name is nearest to what was typed, if it is a slip; one that begins alike before others.
#[must_use]
pub fn nearest_name(typed: &str) -> Option<&'static str> {
    let typed = typed.trim();
    let fixes = Fix::ALL.into_iter().map(|fix| fix.info().name);
    let mutants = Mutant::ALL.into_iter().map(|mutant| mutant.info().name);
    let invariants = INVARIANTS.iter().map(|info| info.name);
    let races = pagewalk_explore::races().flat_map(|info| [info.number, info.name]);
    let names: Vec<&str> = fixes.chain(mutants).chain(invariants).chain(races).collect();
    let first = |name: &str| name.bytes().next().map(|byte| byte.to_ascii_lowercase());
    let alike = names.iter().copied().filter(|name| first(name) == first(typed));
    nearest(typed, alike).or_else(|| nearest(typed, names.iter().copied()))
}

/// Which presets have a fix, as `fixed, linux-2.6.27`.
fn presets_with(fix: Fix) -> String {
    let with = Switches::PRESETS.iter().filter(|preset| preset.switches.has(fix));
    with.map(|preset| preset.name).collect::<Vec<_>>().join(", ")
}

impl Rows {
    /// Whether the path named nothing of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fixes.is_empty()
            && self.mutants.is_empty()
            && self.invariants.is_empty()
            && self.races.is_empty()
    }

    /// For people: a block for each.
    #[must_use]
    pub fn blocks(&self, paint: Paint) -> Vec<String> {
        let fixes = self.fixes.iter().map(|&fix| {
            let info = fix.info();
            let mut text = head(paint, "kernel.fixes.", info.name, "fix", info.race);
            text += &wrapped("  ", info.what);
            text += &wrapped("  source   ", &format!("Linux {}, commit {}", info.version, info.commit));
            text + &wrapped("  on in    ", &presets_with(fix))
        });
        let mutants = self.mutants.iter().map(|&mutant| {
            let info = mutant.info();
            let mut text = head(paint, "kernel.mutants.", info.name, "mutant", info.race);
            text += &wrapped("  ", info.what);
            if let Some(fix) = info.without {
                text += &wrapped("  is       ", &format!("the kernel without kernel.fixes.{fix}"));
            }
            text += &wrapped("  breaks   ", &info.invariants.join(", "));
            text + &wrapped("  run with ", &format!("pagewalk replay TRACE --mutant {mutant} --verify"))
        });
        let invariants = self.invariants.iter().map(|info| invariants::block(info, paint));
        let races = self.races.iter().map(|info| races::block(info, paint));
        fixes.chain(mutants).chain(invariants).chain(races).collect()
    }

    /// For programs: fixes, mutants, invariants, races.
    #[must_use]
    pub fn to_json(&self) -> [Vec<Value>; 4] {
        let fix = |&fix: &Fix| {
            let info = fix.info();
            let on: serde_json::Map<String, Value> = Switches::PRESETS
                .iter()
                .map(|preset| (preset.name.to_owned(), json!(preset.switches.has(fix))))
                .collect();
            json!({
                "name": info.name, "commit": info.commit, "version": info.version, "race": info.race,
                "about": info.what, "presets": on,
            })
        };
        let mutant = |&mutant: &Mutant| {
            let info = mutant.info();
            json!({
                "name": info.name, "race": info.race, "invariants": info.invariants,
                "without": info.without.map(|fix| fix.info().name), "about": info.what,
            })
        };
        [
            self.fixes.iter().map(fix).collect(),
            self.mutants.iter().map(mutant).collect(),
            self.invariants.iter().map(|info| invariants::to_json(info)).collect(),
            self.races.iter().map(|info| races::to_json(info)).collect(),
        ]
    }

    /// As a table.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        if !self.fixes.is_empty() {
            text += "| fix | Linux | commit | on in | what it changes |\n|---|---|---|---|---|\n";
        }
        for &fix in &self.fixes {
            let info = fix.info();
            let (version, commit, on) = (info.version, info.commit, presets_with(fix));
            text += &format!("| `{}` | {version} | {commit} | {on} | {} |\n", info.name, info.what);
        }
        if !self.mutants.is_empty() {
            text += "\n| mutant | breaks | what it does |\n|---|---|---|\n";
        }
        for &mutant in &self.mutants {
            let info = mutant.info();
            text += &format!("| `{}` | {} | {} |\n", info.name, info.invariants.join(", "), info.what);
        }
        if !self.invariants.is_empty() {
            text += &invariants::markdown(&self.invariants);
        }
        if !self.races.is_empty() {
            text += &races::markdown(&self.races);
        }
        text
    }
}

fn head(paint: Paint, section: &str, name: &str, kind: &str, race: &str) -> String {
    let race = if race.is_empty() { String::new() } else { format!(" {race}") };
    format!("{}{}\n", paint.accent(&format!("{section}{name}")), paint.dim(&format!("   {kind}{race}")))
}

/// Words after a lead, wrapped to the width under the lead's end.
fn wrapped(lead: &str, words: &str) -> String {
    let indent = lead.chars().count();
    let separator = format!("\n{}", " ".repeat(indent));
    format!("{lead}{}\n", wrap(words, WIDTH - indent).join(&separator))
}
