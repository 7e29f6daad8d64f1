//! The picture of the README is what the program says: a race, told step by step, as a terminal shows it.
//!
//! Set `PAGEWALK_UPDATE_DOCS=1` to draw it anew.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Width of a character, in pixels.
const WIDE: f64 = 7.8;
/// Height of a line.
const HIGH: usize = 18;
/// Columns of the terminal.
const COLUMNS: usize = 104;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What the program answers on standard output.
fn answer(directory: &Path, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagewalk"));
    let ran = command.args(words).current_dir(directory).env_remove("CLICOLOR_FORCE").output();
    String::from_utf8(ran.expect("the program starts").stdout).expect("answers are UTF-8")
}

/// The session: a kernel that is wrong by one step is searched, and its shortest failing schedule told.
fn session() -> Vec<String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let scenario = directory.path().join("lookup-and-reuse.ron");
    fs::copy(root().join("configs/scenarios/lookup-and-reuse.ron"), scenario).expect("a shipped scenario");
    let explore = ["explore", "lookup-and-reuse.ron", "--mutant", "skip-recheck", "--save", "race.ron"];
    answer(directory.path(), &explore);
    let told = answer(directory.path(), &["explain", "race.ron"]);
    let verdict = told.lines().position(|line| line.starts_with('✘')).expect("the race is found");
    let mut lines = vec![
        format!("$ pagewalk {}", explore.join(" ")),
        "$ pagewalk explain race.ron".to_owned(),
        String::new(),
    ];
    // Its first line names the case, the next two the mutant.
    lines.extend(told.lines().take(verdict).skip(2).map(str::to_owned));
    lines.extend(told.lines().skip(verdict).take_while(|line| !line.is_empty()).map(str::to_owned));
    lines
}

/// How a line looks: its colour, and whether it is bold.
fn look(line: &str, fatal: bool) -> (&'static str, bool) {
    match line {
        _ if fatal => ("#ff7b72", true),
        _ if line.starts_with('$') => ("#7ee787", false),
        _ if line.trim_start().starts_with("CPU 0:") => ("#79c0ff", true),
        _ => ("#e6edf3", false),
    }
}

/// The lines as a terminal shows them. The step before the verdict is the fatal one.
fn drawn(lines: &[String]) -> String {
    let verdict = lines.iter().position(|line| line.starts_with('✘')).expect("a verdict");
    let fatal = (0..verdict).rev().find(|&at| !lines[at].is_empty()).expect("a step");
    let (width, height) = ((COLUMNS as f64 * WIDE) as usize + 40, (lines.len() + 2) * HIGH);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-size=\"13\"\n     \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let y = (number + 2) * HIGH - 6;
        if number == fatal {
            let _ = writeln!(
                svg,
                "<rect x=\"12\" y=\"{}\" width=\"{}\" height=\"{HIGH}\" rx=\"3\" fill=\"#4a1d1d\"/>",
                y - 13,
                width - 24
            );
        }
        let (colour, bold) = look(line, number == fatal || number >= verdict);
        let weight = if bold { " font-weight=\"bold\"" } else { "" };
        let length = (line.chars().count() as f64 * WIDE) as usize;
        let text = line.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            svg,
            "<text x=\"20\" y=\"{y}\" fill=\"{colour}\"{weight} textLength=\"{length}\" \
             xml:space=\"preserve\">{text}</text>"
        );
    }
    svg + "</svg>\n"
}

#[test]
fn the_picture_is_what_the_program_says() {
    let file = root().join("docs/figures/race.svg");
    let drawn = drawn(&session());
    if std::env::var_os("PAGEWALK_UPDATE_DOCS").is_some() {
        fs::write(&file, &drawn).expect("the picture can be written");
    }
    let known = fs::read_to_string(&file).unwrap_or_default();
    assert!(known == drawn, "docs/figures/race.svg is of another program: PAGEWALK_UPDATE_DOCS=1 draws it");
}
