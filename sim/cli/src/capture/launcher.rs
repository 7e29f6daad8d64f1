//! Starts a command under Valgrind's tool, such that every program of every process writes a log of its own.
//!
//! Valgrind opens its log by the process's number, so a program that a process executes would overwrite what the one before
//! wrote. For each program executed the tool runs the launcher that its environment names. Ours is a script that counts: the
//! log of a process is `PROCESS.NUMBER`, with a higher number for each program.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pagewalk_input::Refusal;
use pagewalk_input::shell::quoted;

use super::refused;

/// The options before the log's name.
const OPTIONS: [&str; 6] = [
    "--tool=lackey",
    "--basic-counts=no",
    "--trace-mem=yes",
    "--trace-syscalls=yes",
    "--trace-sched=yes",
    "--trace-children=yes",
];
/// What Valgrind's own launcher says, with `-d`, before the path of the tool.
const LAUNCHING: &str = "launching ";

/// Runs the command under Valgrind, with its logs in `directory` and what else is needed in `aside`.
pub(super) fn start(command: &[String], directory: &Path, aside: &Path) -> Result<Child, Refusal> {
    let tool = tool(command)?;
    let script = aside.join("launcher");
    write_script(&script, &tool, directory)
        .map_err(|error| refused(&script.display().to_string(), format!("cannot be written: {error}")))?;
    let mut valgrind = Command::new(&tool);
    valgrind.env("VALGRIND_LAUNCHER", &script);
    valgrind.args(OPTIONS).arg(format!("{}.0", log_option(directory))).arg("--").args(command);
    valgrind.spawn().map_err(|error| refused(&tool, format!("cannot be run: {error}")))
}

/// The program that Valgrind's launcher would run: there is one for each kind of machine.
fn tool(command: &[String]) -> Result<String, Refusal> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["-d", "--tool=lackey", "--version", "--"]).args(command).stdin(Stdio::null());
    let output = valgrind.output().map_err(|error| {
        let diagnostic = refused("valgrind", format!("cannot be run: {error}"));
        diagnostic.help("install Valgrind, for example with: apt-get install valgrind")
    })?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let path =
        said.lines().find_map(|line| line.split_once(LAUNCHING).map(|(_, path)| path.trim().to_owned()));
    path.ok_or_else(|| refused("valgrind", "does not say which tool it launches (`valgrind -d`)".to_owned()))
}

/// The option that names the logs, up to the number. A percent sign in the path would be the start of something else.
fn log_option(directory: &Path) -> String {
    format!("--log-file={}/%p", directory.display().to_string().replace('%', "%%"))
}

fn write_script(path: &Path, tool: &str, directory: &Path) -> io::Result<()> {
    let logs = quoted(&directory.display().to_string());
    let option = quoted(&log_option(directory));
    let (tool, launcher) = (quoted(tool), quoted(&path.display().to_string()));
    let script = format!(
        r#"#!/bin/sh
# Starts a program that a traced process executes. Its log gets the next number of the process.
number=0
for log in {logs}/$$.*; do
    log=${{log##*.}}
    case $log in
        *[!0-9]*) ;;
        *) [ "$log" -lt "$number" ] || number=$((log + 1)) ;;
    esac
done
named=no
for argument do
    shift
    case $named$argument in
        no--log-file=*) argument={option}.$number named=yes ;;
    esac
    set -- "$@" "$argument"
done
VALGRIND_LAUNCHER={launcher}
export VALGRIND_LAUNCHER
exec {tool} "$@"
"#
    );
    fs::write(path, script)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        assert_eq!(quoted("/a b"), "'/a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_percent_sign_in_the_path_of_the_logs_is_doubled() {
        assert_eq!(log_option(Path::new("/t%p")), "--log-file=/t%%p/%p");
    }

    #[cfg(unix)]
    #[test]
    fn the_script_numbers_the_logs_of_a_process() {
        let aside = tempfile::tempdir().expect("a directory");
        let logs = aside.path().join("lo'gs %");
        fs::create_dir(&logs).expect("a directory");
        let script = aside.path().join("launcher");
        write_script(&script, "/bin/echo", &logs).expect("a script");
        let run = |before: &str| {
            // The shell becomes the script, and keeps its number.
            let text =
                format!("{before}; exec {} --a '--log-file=x' -- b '--log-file=c d' ''", script.display());
            let output = Command::new("/bin/sh").current_dir(&logs).arg("-c").arg(text).output();
            String::from_utf8(output.expect("a shell").stdout).expect("text")
        };
        let expected = |n: u32| format!("--a {}.{n} -- b --log-file=c d \n", log_option(&logs));
        assert_eq!(run("true"), expected(0));
        assert_eq!(run(": > $$.0"), expected(1));
        assert_eq!(run(": > $$.9; : > $$.10; : > $$.x; : > 1$$.77"), expected(11));
    }
}
