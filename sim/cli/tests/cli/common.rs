//! Running the binary, and the traces the tests run it on.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A trace in which threads of two processes, and of those they fork, map, move, protect, discard and unmap.
pub(crate) const STRESS: &str = "pattern: stress, pages: 64, accesses: 3000, processes: 2, threads: 2";

/// What a run of the program left behind.
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Standard output, after a run that must have ended with `code`.
    pub(crate) fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard output as JSON, after a run that must have ended with `code`.
    pub(crate) fn json(self, code: i32) -> Value {
        serde_json::from_str(&self.expect(code)).expect("the answer is JSON")
    }
}

/// The directory that holds `traces/` and `configs/`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The program, to be run from the root of the repository whatever the caller's environment says of colours.
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagewalk"));
    command.args(args).current_dir(root()).env_remove("CLICOLOR_FORCE").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn pagewalk(args: &[&str]) -> Answer {
    answer(command(args).output().expect("the program starts"))
}

pub(crate) fn answer(output: Output) -> Answer {
    let text = |bytes| String::from_utf8(bytes).expect("answers are UTF-8");
    Answer {
        code: output.status.code().expect("the program is not killed"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A directory that vanishes with its traces.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a plain path").to_owned()
    }

    /// Writes a file and yields its path.
    pub(crate) fn file(&self, name: &str, contents: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, contents).expect("a temporary file can be written");
        path
    }

    /// Generates a trace and yields its path.
    pub(crate) fn made(&self, spec: &str) -> String {
        let path = self.path("made.pwt");
        pagewalk(&["trace", "make", spec, "-o", &path]).expect(0);
        path
    }

    /// The names of the files inside.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("the directory is there");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry of the directory").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
