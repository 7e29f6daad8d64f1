//! `pagewalk diff`: what changed between two runs.

mod compare;
mod load;
mod text;

use clap::Args;
use pagewalk_input::Refusal;
use serde_json::{Value, json};

use self::compare::{Change, compare};
use self::load::Account;
use crate::answer_format::AnswerFormat;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::replay::write_answer;
use crate::style::ColorChoice;

/// Arguments of `pagewalk diff`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// The account to compare with: JSON, as `replay --json` or `replay --format json` writes it
    #[arg(value_name = "A.json")]
    a: String,
    /// The account to compare
    #[arg(value_name = "B.json")]
    b: String,
    /// Show every difference, not only those that matter most
    #[arg(long)]
    all: bool,
    /// How to answer
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
    format: AnswerFormat,
}

const EXAMPLES: &str = "Exits with 0 if the runs are the same, 1 if they differ.

Examples:
  pagewalk replay traces/gzip.pwt --json a.json
  pagewalk replay traces/gzip.pwt --machine zen4 --json b.json
  pagewalk diff a.json b.json";

/// Runs `pagewalk diff` and writes its answer.
pub fn run(args: &DiffArgs, color: ColorChoice) -> Exit {
    match read(args) {
        Err(refusal) => {
            match args.format {
                AnswerFormat::Text => eprint!("{}", refusal.to_text(color.for_stderr())),
                AnswerFormat::Json => print!("{}", refusal.to_json()),
            }
            refusal.exit()
        }
        Ok((a, b)) => {
            let changes = compare(&a.value, &b.value);
            let answer = match args.format {
                AnswerFormat::Text => text::text(&a, &b, &changes, args.all, color.for_stdout()),
                AnswerFormat::Json => to_json(&a, &b, &changes),
            };
            write_answer(&answer, if changes.is_empty() { Exit::Held } else { Exit::Broken })
        }
    }
}

fn read(args: &DiffArgs) -> Result<(Account, Account), Refusal> {
    let a = Account::read(&args.a)?;
    let b = Account::read(&args.b)?;
    b.comparable_with(&a)?;
    Ok((a, b))
}

fn to_json(a: &Account, b: &Account, changes: &[Change]) -> String {
    let number = |number: i128| i64::try_from(number).map_or(Value::Null, Value::from);
    let change = |change: &Change| {
        json!({
            "section": change.section.name(),
            "path": change.path,
            "a": change.a,
            "b": change.b,
            "difference": change.difference().map_or(Value::Null, number),
            "per_mille": change.per_mille().map_or(Value::Null, number),
        })
    };
    let side = |account: &Account| json!({"file": account.file, "command": account.command()});
    let answer = json!({
        "schema": "pagewalk.diff/1",
        "same": changes.is_empty(),
        "a": side(a),
        "b": side(b),
        "changes": changes.iter().map(change).collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&answer).expect("plain data with text keys");
    text.push('\n');
    text
}
