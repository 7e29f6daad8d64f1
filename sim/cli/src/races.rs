//! The races as `config explain R08b` tells them: which step comes between which, what breaks, and what shows it here.

use pagewalk_explore::RaceInfo;
use serde_json::{Value, json};

use crate::style::{Paint, WIDTH, wrap};

/// The races that a path names: all by `races`, one by its number, alone or after `races.`.
#[must_use]
pub(crate) fn find(path: &str) -> Vec<&'static RaceInfo> {
    let path = path.trim().trim_end_matches('.');
    if path == "races" {
        return pagewalk_explore::races().collect();
    }
    let number = path.strip_prefix("races.").unwrap_or(path);
    pagewalk_explore::race(number).into_iter().collect()
}

/// The race of this name. Most mutants have the name of their race, and are asked for first.
#[must_use]
pub(crate) fn named(name: &str) -> Vec<&'static RaceInfo> {
    let name = name.trim();
    let name = name.strip_prefix("races.").unwrap_or(name);
    pagewalk_explore::races().filter(|info| info.name.eq_ignore_ascii_case(name)).collect()
}

fn mutants(info: &RaceInfo) -> Vec<&'static str> {
    info.mutants().map(|mutant| mutant.info().name).collect()
}

fn fixes(info: &RaceInfo) -> Vec<&'static str> {
    info.fixes().map(|fix| fix.info().name).collect()
}

/// The command that shows it: of its scenario, if one does, else a replay; with its mutant or, if it has none, on a kernel
/// without its fix.
fn shown_by(info: &RaceInfo) -> Option<String> {
    let kernel = match (info.mutants().next(), info.fixes().next()) {
        (Some(mutant), _) => format!("--mutant {mutant}"),
        (None, Some(_)) => {
            let brings = info.brought_by.map(|fix| format!(" --fix {fix}")).unwrap_or_default();
            format!("--kernel linux-2.6.27{brings}")
        }
        (None, None) => return None,
    };
    Some(match info.scenario {
        Some(scenario) => format!("pagewalk explore configs/scenarios/{scenario}.ron {kernel}"),
        None => format!("pagewalk replay TRACE {kernel} --verify"),
    })
}

const LATENT: &str = "latent in Linux 2.6.27";

/// For people.
pub(crate) fn block(info: &RaceInfo, paint: Paint) -> String {
    let kind = if info.latent { format!("   race, {LATENT}") } else { "   race".to_owned() };
    let mut text = format!("{} {}{}\n", paint.accent(info.number), info.name, paint.dim(&kind));
    let mut add = |lead: &str, words: &str| {
        let separator = format!("\n{}", " ".repeat(lead.len()));
        text += &format!("{lead}{}\n", wrap(words, WIDTH - lead.len()).join(&separator));
    };
    add("  ", info.what);
    add("  breaks   ", &info.invariants.join(", "));
    add("  source   ", info.source);
    for (lead, names) in [("  mutant   ", mutants(info)), ("  fix      ", fixes(info))] {
        if !names.is_empty() {
            add(lead, &names.join(", "));
        }
    }
    if let Some(command) = shown_by(info) {
        add("  see      ", &command);
    }
    if let Some(reason) = info.missing {
        add("  not shown yet: ", reason);
    }
    text
}

/// For programs.
pub(crate) fn to_json(info: &RaceInfo) -> Value {
    json!({
        "number": info.number, "name": info.name, "about": info.what, "invariants": info.invariants,
        "source": info.source, "latent": info.latent, "mutants": mutants(info), "fixes": fixes(info),
        "scenario": info.scenario, "see": shown_by(info), "missing": info.missing,
    })
}

/// What there is of it here, in a cell of a table.
fn state(info: &RaceInfo) -> String {
    if let Some(reason) = info.missing {
        return format!("not yet: {reason}");
    }
    let quoted = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    if info.mutants().next().is_some() {
        parts.push(format!("mutant {}", quoted(&mutants(info))));
    }
    if info.fixes().next().is_some() {
        let with = info.brought_by.map(|fix| format!(", with `{fix}`")).unwrap_or_default();
        parts.push(format!("without fix {}{with}", quoted(&fixes(info))));
    }
    parts.extend(info.scenario.map(|scenario| format!("scenario {scenario}")));
    parts.join("; ")
}

/// As a table.
pub(crate) fn markdown(infos: &[&RaceInfo]) -> String {
    let mut text = String::from("| race | name | breaks | shown here |\n|---|---|---|---|\n");
    for info in infos {
        let latent = if info.latent { " (2.6.27)" } else { "" };
        let breaks = info.invariants.join(", ");
        text += &format!("| {} | {}{latent} | {breaks} | {} |\n", info.number, info.name, state(info));
    }
    text
}
