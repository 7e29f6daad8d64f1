//! What a second core brings a sweep, and what decoding a trace once for all points: 64 points with one at a time, with two, and with two
//! that decode for themselves.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Rounds, of which the best counts; the candidates take turns.
const ROUNDS: usize = 3;

/// Points at one time, and memory for decoded traces.
const CANDIDATES: [(&str, &str); 3] = [("1", "1GiB"), ("2", "1GiB"), ("2", "0B")];

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("sweep.ron");
    let trace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces/sqlite.pwt");
    let text = format!(
        "(title: \"Sixty-four points\", set: {{\"trace\": \"{}\", \"cpus\": 1}}, metrics: [(path: \"time.cycles\")],
          axes: [(path: \"memory\", values: List([\"50%\", \"60%\", \"80%\", \"100%\"])), (path: \"seed\", values: Range(1, 16, 1))])",
        trace.display()
    );
    std::fs::write(&file, text).expect("a file");
    let mut best = [f64::MAX; CANDIDATES.len()];
    for round in 0..ROUNDS {
        for (number, (jobs, decoded)) in CANDIDATES.into_iter().enumerate() {
            let out = directory.path().join(format!("{round}-{number}"));
            let mut command = Command::new(env!("CARGO_BIN_EXE_pagewalk"));
            command.args(["sweep", "run"]).arg(&file).arg("--out").arg(&out);
            command.args(["--jobs", jobs, "--decoded", decoded, "--shard", "1/1"]);
            #[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
            let begin = Instant::now();
            let status =
                command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the program starts");
            assert!(status.success(), "{status}");
            best[number] = best[number].min(begin.elapsed().as_secs_f64());
        }
    }
    let [one, two, apart] = best;
    println!("64 points: one at a time {one:.2} s, two {two:.2} s: {:.2} times as fast", one / two);
    println!("           two that decode for themselves {apart:.2} s: {:.2} times as long", apart / two);
}
