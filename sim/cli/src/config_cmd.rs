//! `pagewalk config`: checking, showing and explaining machine descriptions.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use pagewalk_input::{Place, Refusal, size};
use pagewalk_machine::parameters::{self, Parameter};
use pagewalk_machine::{Leaf, Machine, PRESETS};
use serde_json::{Value, json};

use crate::answer_format::AnswerFormat;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::style::{ColorChoice, Paint, WIDTH, group, wrap};
use crate::switches::{self, Rows};

/// Arguments of `pagewalk config`.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand, Clone, Debug)]
enum ConfigCommand {
    /// Say whether machine descriptions are right, and exactly where they are not
    Check {
        /// RON files, or names of presets
        #[arg(required = true, value_name = "FILE")]
        files: Vec<String>,
        /// How to answer
        #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
        format: AnswerFormat,
    },
    /// Show every parameter of a machine
    #[command(after_help = preset_help())]
    Show {
        /// A RON file, or the name of a preset
        #[arg(default_value = "default")]
        machine: String,
        /// Say for each value where it came from
        #[arg(long)]
        origin: bool,
        /// Change a parameter, as in memory.frames=4096; may be repeated
        #[arg(long, value_name = "PATH=VALUE")]
        set: Vec<String>,
        /// How to answer
        #[arg(long, value_enum, default_value_t = ShowFormat::Text)]
        format: ShowFormat,
    },
    /// Explain parameters: meaning, unit, range, default and where the default comes from
    Explain {
        /// A parameter (costs.invlpg), a section (tlb.l1d), a switch of the kernel (skip-recheck; kernel.fixes and kernel.mutants list
        /// them), an invariant (I15; invariants lists them), or a race (R08b; races lists them); all parameters when left out
        path: Option<String>,
        /// How to answer
        #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
        format: ExplainFormat,
    },
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum ShowFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// A description that can be edited and read again
    Ron,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum ExplainFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// The table of docs/machines.md
    Markdown,
}

fn preset_help() -> String {
    let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    format!("Presets: {}", names.join(", "))
}

/// What a command has to say, before anything is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub stdout: String,
    /// For standard error.
    pub stderr: String,
    /// How it ended.
    pub exit: Exit,
}

impl Answer {
    fn held(stdout: String) -> Self {
        Self { stdout, stderr: String::new(), exit: Exit::Held }
    }

    /// A refusal: to standard error for people, to standard output for programs.
    fn refused(problem: &Refusal, json: bool, paint: Paint) -> Self {
        let text = if json { format!("{}\n", problem.to_json()) } else { problem.to_text(paint) };
        let (stdout, stderr) = if json { (text, String::new()) } else { (String::new(), text) };
        Self { stdout, stderr, exit: problem.exit() }
    }
}

/// Runs `pagewalk config` and writes its answer.
#[must_use]
pub fn run(args: &ConfigArgs, color: ColorChoice) -> Exit {
    let answer = answer(args, color.for_stdout(), color.for_stderr());
    // A reader that has gone away (`| head`) is no failure.
    let _ = std::io::stdout().write_all(answer.stdout.as_bytes());
    let _ = std::io::stderr().write_all(answer.stderr.as_bytes());
    answer.exit
}

/// The answer of `pagewalk config`, coloured as told.
#[must_use]
pub fn answer(args: &ConfigArgs, stdout: Paint, stderr: Paint) -> Answer {
    match &args.command {
        ConfigCommand::Check { files, format } => check(files, *format, stdout, stderr),
        ConfigCommand::Show { machine, origin, set, format } => {
            let loaded =
                Machine::load(machine).and_then(|mut machine| machine.set_all(set).map(|()| machine));
            match loaded {
                Ok(machine) => Answer::held(show(&machine, *origin, *format, stdout)),
                Err(problem) => Answer::refused(&problem, *format == ShowFormat::Json, stderr),
            }
        }
        ConfigCommand::Explain { path, format } => {
            let path = path.as_deref().unwrap_or_default();
            let rows = switches::find(path);
            match parameters::find(path) {
                Ok(found) => Answer::held(explain(&found, &rows, *format, stdout)),
                Err(_) if !rows.is_empty() => Answer::held(explain(&[], &rows, *format, stdout)),
                Err(near) => {
                    let place = Place::in_option("PATH", path, 0..path.len());
                    let what = if path.contains(['.', '[']) {
                        "parameter"
                    } else {
                        "parameter, switch, invariant or race"
                    };
                    let problem = Refusal::new(place, format!("there is no {what} `{path}`")).found(path);
                    let problem = problem.help(
                        "`pagewalk config explain` lists every parameter; with `kernel`, `invariants` or `races`, those",
                    );
                    let near = switches::nearest_name(path).or(near);
                    let problem = match near {
                        Some(near) => problem.help(format!("did you mean `{near}`?")),
                        None => problem,
                    };
                    Answer::refused(&problem, *format == ExplainFormat::Json, stderr)
                }
            }
        }
    }
}

fn check(files: &[String], format: AnswerFormat, stdout: Paint, stderr: Paint) -> Answer {
    let mut answer = Answer::held(String::new());
    let mut results = Vec::new();
    for file in files {
        match Machine::load(file) {
            Ok(machine) if format == AnswerFormat::Text => {
                let good = stdout.accent("right");
                answer.stdout += &format!("{good}   {file}   {}\n", summary(&machine));
            }
            Ok(machine) => {
                results.push(json!({ "file": file, "right": true, "machine": machine.name.as_str() }));
            }
            Err(problem) => {
                answer.exit = problem.exit();
                match format {
                    AnswerFormat::Text => answer.stderr += &problem.to_text(stderr),
                    AnswerFormat::Json => {
                        results.push(json!({ "file": file, "right": false, "problem": problem }));
                    }
                }
            }
        }
    }
    if format == AnswerFormat::Json {
        answer.stdout = pretty(&json!({ "schema": "pagewalk.config-check/1", "files": results }));
    }
    answer
}

fn summary(machine: &Machine) -> String {
    let memory = size::exact(machine.memory.frames.get() * size::BASE_PAGE_BYTES);
    let cpus = machine.cpus.get();
    let unit = if cpus == 1 { "CPU" } else { "CPUs" };
    let name = machine.name.as_str();
    format!("machine {name} · {cpus} {unit} · {memory} · {} MHz", group(machine.frequency_mhz.get()))
}

fn show(machine: &Machine, origin: bool, format: ShowFormat, paint: Paint) -> String {
    let leaves = machine.leaves();
    match format {
        ShowFormat::Text => show_text(machine, &leaves, origin, paint),
        ShowFormat::Ron => {
            let style = ron::ser::PrettyConfig::new().depth_limit(3);
            let text = ron::ser::to_string_pretty(machine, style).expect("a machine is plain data");
            format!("// {}\n{text}\n", summary(machine))
        }
        ShowFormat::Json => {
            let mut document = json!({ "schema": "pagewalk.machine/1", "machine": machine });
            if origin {
                let origins = leaves.iter().map(|leaf| (leaf.path.clone(), json!(leaf.origin)));
                document["origins"] = Value::Object(origins.collect());
            }
            pretty(&document)
        }
    }
}

fn show_text(machine: &Machine, leaves: &[Leaf], origin: bool, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&summary(machine)));
    let widest =
        |of: fn(&Leaf) -> usize| leaves.iter().map(of).filter(|width| *width <= 40).max().unwrap_or(0);
    let path_width = widest(|leaf| leaf.path.len());
    let value_width = widest(|leaf| leaf.text().chars().count());
    let mut section = "";
    for leaf in leaves {
        let own = leaf.path.split(['.', '[']).next().unwrap_or_default();
        if own != section && leaf.path.contains('.') {
            text.push('\n');
        }
        section = own;
        let value = leaf.text();
        let mut line = format!("  {:<path_width$}  {}", leaf.path, value);
        if origin {
            let gap = value_width.saturating_sub(value.chars().count());
            line += &format!("{}   {}", " ".repeat(gap), paint.dim(&leaf.origin.to_string()));
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn explain(found: &[&Parameter], switches: &Rows, format: ExplainFormat, paint: Paint) -> String {
    match format {
        ExplainFormat::Markdown if found.is_empty() => switches.markdown(),
        ExplainFormat::Markdown if switches.is_empty() => parameters::markdown(found),
        ExplainFormat::Markdown => format!("{}\n{}", parameters::markdown(found), switches.markdown()),
        ExplainFormat::Json => {
            let rows: Vec<Value> = found.iter().map(|parameter| explain_json(parameter)).collect();
            let mut document = json!({ "schema": "pagewalk.parameters/1", "parameters": rows });
            if !switches.is_empty() {
                let named = ["fixes", "mutants", "invariants", "races"].into_iter().zip(switches.to_json());
                let always = ["fixes", "mutants"];
                for (name, rows) in named.filter(|(name, rows)| always.contains(name) || !rows.is_empty()) {
                    document[name] = rows.into();
                }
            }
            pretty(&document)
        }
        ExplainFormat::Text => {
            let mut blocks: Vec<String> =
                found.iter().map(|parameter| explain_text(parameter, paint)).collect();
            blocks.extend(switches.blocks(paint));
            blocks.join("\n")
        }
    }
}

fn explain_json(parameter: &Parameter) -> Value {
    json!({
        "path": parameter.path,
        "unit": parameter.unit,
        "allowed": parameter.kind.to_string(),
        "default": parameter.default_text(),
        "about": parameter.about,
        "source": parameter.source,
    })
}

fn explain_text(parameter: &Parameter, paint: Paint) -> String {
    let unit = if parameter.unit.is_empty() { String::new() } else { format!("   {}", parameter.unit) };
    let mut text = format!("{}{}\n", paint.accent(parameter.path), paint.dim(&unit));
    text += &wrapped("  ", parameter.about);
    text += &wrapped("  allowed  ", &parameter.kind.to_string());
    text += &wrapped("  default  ", &parameter.default_text());
    text += &wrapped("  source   ", parameter.source);
    text
}

/// Words after a lead, wrapped to the width under the lead's end.
fn wrapped(lead: &str, words: &str) -> String {
    let indent = lead.chars().count();
    let separator = format!("\n{}", " ".repeat(indent));
    format!("{lead}{}\n", wrap(words, WIDTH - indent).join(&separator))
}

fn pretty(document: &Value) -> String {
    let text = serde_json::to_string_pretty(document).expect("a document has text keys");
    format!("{text}\n")
}
