//! The invariants as `config explain I9` tells them: what each says, what breaks it, and what shows that.

use pagewalk_kernel::{INVARIANTS, InvariantInfo};
use pagewalk_pages::Mutant;
use serde_json::{Value, json};

use crate::style::{Paint, WIDTH, wrap};

/// The invariants that a path names: all by `invariants`, one by its name, alone or after `invariants.`.
#[must_use]
pub(crate) fn find(path: &str) -> Vec<&'static InvariantInfo> {
    let path = path.trim().trim_end_matches('.');
    if path == "invariants" {
        return INVARIANTS.iter().collect();
    }
    let name = path.strip_prefix("invariants.").unwrap_or(path);
    pagewalk_kernel::invariant(name).into_iter().collect()
}

/// The mutants that break it.
fn mutants(info: &InvariantInfo) -> Vec<&'static str> {
    let infos = Mutant::ALL.into_iter().map(Mutant::info);
    infos.filter(|mutant| mutant.invariants.contains(&info.name)).map(|mutant| mutant.name).collect()
}

/// The command that shows it broken, if a shipped scenario does; for the mutants that only a replay reaches, that replay.
fn shown_by(info: &InvariantInfo) -> Option<String> {
    let by_replay = || {
        let mutant = mutants(info).first().copied()?;
        Some(format!("pagewalk replay TRACE --mutant {mutant} --verify"))
    };
    let by_scenario = info.shown.map(|(scenario, mutant)| {
        let mutant = mutant.map(|mutant| format!(" --mutant {mutant}")).unwrap_or_default();
        format!("pagewalk explore configs/scenarios/{scenario}.ron{mutant}")
    });
    by_scenario.or_else(by_replay).filter(|_| info.observed)
}

const UNOBSERVED: &str = "not observed by this version";

/// For people.
pub(crate) fn block(info: &InvariantInfo, paint: Paint) -> String {
    let kind = if info.observed { "   invariant".to_owned() } else { format!("   invariant, {UNOBSERVED}") };
    let mut text = format!("{}{}\n", paint.accent(info.name), paint.dim(&kind));
    let mut add = |lead: &str, words: &str| {
        let separator = format!("\n{}", " ".repeat(lead.len()));
        text += &format!("{lead}{}\n", wrap(words, WIDTH - lead.len()).join(&separator));
    };
    add("  ", info.statement);
    add("  breaks   ", info.breaks);
    let mutants = mutants(info);
    if !mutants.is_empty() {
        add("  mutants  ", &mutants.join(", "));
    }
    if let Some(command) = shown_by(info) {
        add("  see      ", &command);
    }
    text
}

/// For programs.
pub(crate) fn to_json(info: &InvariantInfo) -> Value {
    json!({
        "name": info.name, "about": info.statement, "breaks": info.breaks, "observed": info.observed,
        "mutants": mutants(info), "see": shown_by(info),
    })
}

/// As a table.
pub(crate) fn markdown(infos: &[&InvariantInfo]) -> String {
    let mut text = String::from("| invariant | statement | broken by |\n|---|---|---|\n");
    for info in infos {
        let unobserved = if info.observed { String::new() } else { format!(" ({UNOBSERVED})") };
        text +=
            &format!("| {} | {}{unobserved} | {} |\n", info.name, info.statement, mutants(info).join(", "));
    }
    text
}
