//! What a second core brings a sweep, and what its points cost in memory: a sweep of 64 points with one at a time, and with two.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Rounds, of which the best counts; the candidates take turns.
const ROUNDS: usize = 3;

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("sweep.ron");
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces/tcc.pwt");
    let text = format!(
        "(title: \"Sixty-four points\", set: {{\"trace\": \"{}\", \"cpus\": 1}}, metrics: [(path: \"time.cycles\")],
          axes: [(path: \"kernel.readahead\", values: List([0, 8, 32, 128])), (path: \"seed\", values: Range(1, 16, 1))])",
        trace.display()
    );
    std::fs::write(&file, text).expect("a file");
    let mut best = [f64::MAX; 2];
    for round in 0..ROUNDS {
        for (number, jobs) in ["1", "2"].into_iter().enumerate() {
            let out = directory.path().join(format!("{round}-{jobs}"));
            let mut command = Command::new(env!("CARGO_BIN_EXE_pagewalk"));
            command
                .args(["sweep", "run"])
                .arg(&file)
                .arg("--out")
                .arg(&out)
                .args(["--jobs", jobs, "--shard", "1/1"]);
            #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
            let begin = Instant::now();
            let status =
                command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the program starts");
            assert!(status.success(), "{status}");
            best[number] = best[number].min(begin.elapsed().as_secs_f64());
        }
    }
    println!(
        "64 points: one at a time {:.2} s, two {:.2} s: {:.2} times as fast",
        best[0],
        best[1],
        best[0] / best[1]
    );
}
