//! The documents tell the truth: the commands they show are run, and give the output they show.
//!
//! A block that opens with three backticks and `console` and whose commands all begin with `$ pagewalk ` is executed,
//! command by command, in a directory that holds copies of `traces/` and `configs/`; blocks of one document share it.
//!
//! What stands between a comment `<!-- pagewalk ... -->` and `<!-- end -->` is the output of that command, to be shown as it is: a
//! table. Behind `<!-- formats to import -->` it is a table of the library's importers. Behind `<!-- steps of FUNCTION in FILE -->` it is the numbered list in the comment above that function.
//!
//! Set `PAGEWALK_UPDATE_DOCS=1` to write the true output into the documents instead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pagewalk_trace::{IMPORTERS, Importer};

const PROMPT: &str = "$ pagewalk ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<PathBuf> {
    let markdown = |directory: PathBuf| {
        let entries = fs::read_dir(directory).expect("the repository's directories are there");
        entries
            .map(|entry| entry.expect("an entry of the directory").path())
            .filter(|path| path.extension().is_some_and(|e| e == "md"))
    };
    let mut found: Vec<PathBuf> = markdown(root())
        .chain(markdown(root().join("docs")))
        .chain(markdown(root().join("docs/scenarios")))
        .collect();
    found.sort();
    found
}

/// The words of a command: separated by blanks, single quotes protect.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("never empty").push(c),
        }
    }
    assert!(!quoted, "a quote is open in: {command}");
    words.retain(|word| !word.is_empty());
    words
}

/// Standard output and standard error of a command, one after the other. A command may end in ` > FILE`, as for a shell, or in one of
/// the filters `| head -N` and `| grep -A N TEXT`.
fn output(command: &str, directory: &Path) -> String {
    let (command, filter) = command.split_once(" | ").unwrap_or((command, ""));
    let (command, file) = command.split_once(" > ").unwrap_or((command, ""));
    let mut run = Command::new(env!("CARGO_BIN_EXE_pagewalk"))
        .args(words(command))
        .current_dir(directory)
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    if !file.is_empty() {
        fs::write(directory.join(file), std::mem::take(&mut run.stdout))
            .expect("a fresh directory can be written");
    }
    let text =
        [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).expect("answers are UTF-8")).concat();
    let lines = text.lines().map(|line| format!("{}\n", line.trim_end()));
    match *words(filter).iter().map(String::as_str).collect::<Vec<_>>() {
        [""] | [] => lines.collect(),
        ["head", count] => lines.take(number(count.trim_start_matches('-'))).collect(),
        ["grep", "-A", count, text] => {
            lines.skip_while(|line| !line.contains(text)).take(number(count) + 1).collect()
        }
        _ => panic!("no filter: {filter}"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number of lines")
}

/// The numbered list in the comment above a function, a line for each step.
fn steps(function: &str, file: &str) -> String {
    let text = fs::read_to_string(root().join(file)).expect("a document names a source file");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let defines =
        |line: &&str| line.contains(&format!("fn {function}(")) || line.contains(&format!("fn {function}<"));
    let at = lines.iter().position(defines).unwrap_or_else(|| panic!("{file}: no {function}"));
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut comment: Vec<&str> = above.map(|line| line.trim_start_matches('/').trim()).collect();
    comment.reverse();
    let mut found: Vec<String> = Vec::new();
    for line in comment {
        if line.starts_with(&format!("{}. ", found.len() + 1)) {
            found.push(line.to_owned());
        } else if let Some(last) = found.last_mut() {
            if line.is_empty() {
                break;
            }
            *last += &format!(" {line}");
        }
    }
    assert!(found.len() > 1, "{file}: no numbered list above {function}");
    let told = found.join("\n").replace("[`", "`").replace("`]", "`").replace("`crate::", "`");
    format!("{told}\n")
}

/// What a comment in a document asks for, if it asks for anything.
fn produced(comment: &str, directory: &Path) -> Option<String> {
    let asked = comment.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    if let Some(command) = asked.strip_prefix("pagewalk ") {
        return Some(output(command, directory));
    }
    if asked == "formats to import" {
        let row = |format: &&dyn Importer| format!("| `{}` | {} |\n", format.name(), format.about());
        return Some(
            "| format | what it is |\n|---|---|\n".to_owned()
                + &IMPORTERS.iter().map(row).collect::<String>(),
        );
    }
    let (function, file) = asked.strip_prefix("steps of ")?.split_once(" in ")?;
    Some(steps(function, file))
}

/// A directory as a reader of the documents has it: the shipped traces and machines.
fn workshop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for part in ["traces", "configs/machines", "configs/scenarios", "configs/sweeps"] {
        let target = directory.path().join(part);
        fs::create_dir_all(&target).expect("a fresh directory");
        for entry in fs::read_dir(root().join(part)).expect("shipped files") {
            let path = entry.expect("an entry of the directory").path();
            if path.is_dir() {
                continue; // the sources of traced programs
            }
            fs::copy(&path, target.join(path.file_name().expect("a file has a name"))).expect("a copy");
        }
    }
    directory
}

/// The document with the output of every executed block replaced by what the commands say, and how many commands.
fn told_truly(document: &str) -> (String, usize) {
    let directory = workshop();
    let (mut told, mut commands) = (String::new(), 0);
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        told.push_str(line);
        told.push('\n');
        if let Some(output) = produced(line, directory.path()) {
            while lines.next_if(|line| *line != "<!-- end -->").is_some() {}
            assert!(lines.peek().is_some(), "nothing ends {line}");
            told.push_str(&format!("\n{output}\n"));
            commands += 1;
            continue;
        }
        if line != "```console" {
            continue;
        }
        let mut block = Vec::new();
        while let Some(line) = lines.next_if(|line| *line != "```") {
            block.push(line);
        }
        let prompts: Vec<&str> = block.iter().copied().filter(|line| line.starts_with("$ ")).collect();
        if prompts.iter().all(|line| line.starts_with(PROMPT)) {
            for prompt in prompts {
                let output = output(&prompt[PROMPT.len()..], directory.path());
                told.push_str(&format!("{prompt}\n{output}"));
                commands += 1;
            }
        } else {
            block.iter().for_each(|line| told.push_str(&format!("{line}\n")));
        }
    }
    (told, commands)
}

/// The first lines that differ, with their number.
fn difference(shown: &str, truth: &str) -> String {
    let pairs = shown.lines().chain(std::iter::repeat("(end)")).zip(truth.lines().chain(["(end)"]));
    let differs = pairs.enumerate().find(|(_, (shown, truth))| shown != truth);
    differs.map_or_else(String::new, |(n, (shown, truth))| {
        format!("line {}:\n  shown  {shown}\n  true   {truth}", n + 1)
    })
}

#[test]
fn commands_in_the_documents_give_the_output_shown() {
    let update = std::env::var_os("PAGEWALK_UPDATE_DOCS").is_some();
    let (mut total, mut wrong) = (0, Vec::new());
    for path in documents() {
        let shown = fs::read_to_string(&path).expect("a text file of the repository");
        let (truth, commands) = told_truly(&shown);
        total += commands;
        if shown != truth && update {
            fs::write(&path, &truth).expect("documents can be written");
        } else if shown != truth {
            wrong.push(format!("{} {}", path.display(), difference(&shown, &truth)));
        }
    }
    assert!(total >= 10, "only {total} commands were found: is the format of the blocks right?");
    assert!(wrong.is_empty(), "PAGEWALK_UPDATE_DOCS=1 writes what is true.\n{}", wrong.join("\n"));
}

/// The targets of relative links in a document, `](target)`, without fragments.
fn links(document: &str) -> Vec<String> {
    let targets = document.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let targets = targets.map(|target| target.split('#').next().unwrap_or_default());
    targets.filter(|target| !target.is_empty() && !target.contains("://")).map(str::to_owned).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let broken: Vec<String> = documents()
        .iter()
        .flat_map(|path| {
            let here = path.parent().expect("a file has a directory").to_owned();
            let broken = links(&fs::read_to_string(path).expect("a text file of the repository"));
            let broken = broken.into_iter().filter(move |target| !here.join(target).exists());
            broken.map(|target| format!("{}: {target}", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The lines of the README about the library are a program that is built.
#[test]
fn the_library_in_the_readme_is_a_program() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a text file of the repository");
    let (_, shown) = readme.split_once("```rust\n").expect("a block of Rust");
    let (shown, _) = shown.split_once("```").expect("its end");
    let program = fs::read_to_string(root().join("sim/pagewalk/examples/readme.rs")).expect("an example");
    let lines = program.lines().map(|line| format!("{}\n", line.trim()));
    let program: String = lines.skip_while(|line| !line.starts_with("use ")).collect();
    for line in shown.lines().filter(|line| !line.is_empty()) {
        assert!(program.contains(&format!("{}\n", line.trim())), "not in the example: {line}");
    }
}

/// `ARCHITECTURE.md` names files and functions; each must exist, so that a newcomer finds them.
#[test]
fn names_in_the_architecture_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("a text file of the repository");
    let names = text.split('`').skip(1).step_by(2);
    let paths = names.filter(|name| name.contains('/') && !name.contains([' ', '<', '*']));
    let missing: Vec<&str> = paths.filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
