//! `pagewalk config`: what it shows and explains, and its exit codes.

use clap::Parser;
use pagewalk_cli::config_cmd::{Answer, ConfigArgs, answer};
use pagewalk_cli::diagnostic::Diagnostic;
use pagewalk_cli::exit::Exit;
use pagewalk_cli::style::Paint;
use pagewalk_machine::{Machine, PRESETS, parse_machine_str};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    config: ConfigArgs,
}

fn config(args: &[&str]) -> Answer {
    let command = Command::try_parse_from([&["config"], args].concat()).expect("a command line of the tests");
    answer(&command.config, Paint::PLAIN, Paint::PLAIN)
}

#[test]
fn shown_ron_reads_back_as_the_same_machine() {
    for name in PRESETS.iter().map(|preset| preset.name) {
        let shown = config(&["show", name, "--format", "ron"]);
        assert_eq!(shown.exit, Exit::Held);
        let read = parse_machine_str("shown", &shown.stdout);
        let read = read.unwrap_or_else(|problem| panic!("{}", problem.to_text(Paint::PLAIN)));
        assert_eq!(read.tree(), Machine::load(name).expect("a preset").tree());
    }
}

#[test]
fn config_answers_look_as_recorded() {
    let shown = config(&["show", "tiny", "--origin", "--set", "cpus=1"]);
    insta::assert_snapshot!("show_tiny", shown.stdout.replace("preset tiny", "P"));
    insta::assert_snapshot!("explain_one", config(&["explain", "costs.line_transfer"]).stdout);
    insta::assert_snapshot!("explain_list", config(&["explain", "tlb.l1d[0]"]).stdout);
    insta::assert_snapshot!("explain_json", config(&["explain", "scheduler", "--format", "json"]).stdout);
    let json = config(&["show", "--format", "json", "--origin", "--set", "cpus=1"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["machine"]["cpus"], 1);
    assert_eq!(json["origins"]["cpus"]["kind"], "option");
}

#[test]
fn config_exits_as_documented() {
    assert_eq!(config(&["check", "default", "tiny"]).exit, Exit::Held);
    assert_eq!(config(&["check", "default", "no-such-file.ron"]).exit, Exit::BadInput);
    assert_eq!(config(&["show", "--set", "cpus=0"]).exit, Exit::Usage);
    let unknown = config(&["explain", "costs.invlgp"]);
    assert_eq!(unknown.exit, Exit::Usage);
    assert!(unknown.stderr.contains("did you mean `costs.invlpg`?"), "{}", unknown.stderr);
    let json = config(&["check", "no-such-file.ron", "--format", "json"]);
    assert!(json.stderr.is_empty());
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["files"][0]["right"], false);
}
