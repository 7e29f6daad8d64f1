//! Sweeps: what is finished stays, whatever happens, and the results are the same however they came about.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::common::{Answer, Scratch, answer, command, pagewalk};

/// A trace, and a sweep of 24 points over it; yields the sweep's path.
fn small(scratch: &Scratch) -> String {
    let trace = scratch.made("pattern: zipf, pages: 600, accesses: 40000, processes: 2");
    let text = format!(
        "(title: \"Small\", question: \"What does memory cost?\", set: {{\"trace\": \"{trace}\", \"cpus\": 2}},
          axes: [(path: \"swap\", values: List([\"zram\", \"nvme\"])), (path: \"memory\", values: List([\"20%\", \"40%\", \"60%\", \"100%\"])),
                 (path: \"seed\", values: Range(1, 3, 1))],
          metrics: [(path: \"time.cycles\", per: Some(\"accesses.total\"), label: \"cycles per access\", unit: \"cycles\", better: less)])"
    );
    scratch.file("small.ron", text.as_bytes())
}

/// Runs a sweep command in a directory of its own, so that two of them have the same paths.
fn sweep(directory: &str, words: &[&str]) -> Answer {
    fs::create_dir_all(directory).expect("a temporary directory");
    let args = [&["sweep"], words].concat();
    answer(command(&args).current_dir(directory).output().expect("the program starts"))
}

/// Every file below a directory with its contents.
fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.insert(
                path.file_name().expect("a name").to_string_lossy().into_owned(),
                fs::read(&path).expect("a file"),
            );
        }
    }
    found
}

fn results(directory: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = tree(&Path::new(directory).join("out"));
    found.retain(|name, _| !name.starts_with(".part-"));
    found
}

/// Kills a run when so many points more are finished than were, or ends it.
fn kill_after(directory: &str, file: &str, more: usize) {
    let points = Path::new(directory).join("out/points");
    let count = || {
        let entries = fs::read_dir(&points).into_iter().flatten().flatten();
        entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count()
    };
    let before = count();
    let args = ["sweep", "run", file, "--out", "out", "--jobs", "2"];
    let mut child: Child = command(&args)
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    while count() < before + more && child.try_wait().expect("it is ours").is_none() {
        std::thread::yield_now();
    }
    // It may have ended meanwhile.
    let _ = child.kill();
    child.wait().expect("it is ours");
}

#[test]
fn killed_at_any_moment_and_resumed_a_sweep_has_the_same_results() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let (whole, killed) = (scratch.path("whole"), scratch.path("killed"));
    sweep(&whole, &["run", &file, "--out", "out"]).expect(0);
    fs::create_dir(&killed).expect("a temporary directory");
    for round in 0..20 {
        kill_after(&killed, &file, round % 3);
    }
    assert!(sweep(&killed, &["run", &file, "--out", "out"]).expect(0).contains("there already"));
    let (expected, found) = (results(&whole), results(&killed));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (name, contents) in &expected {
        assert!(found[name] == *contents, "{name} differs");
    }
    assert_eq!(expected.keys().filter(|name| name.ends_with(".json")).count(), 24);
}

#[test]
fn shards_in_any_order_merge_into_what_one_run_gives() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let (whole, parts) = (scratch.path("whole"), scratch.path("parts"));
    sweep(&whole, &["run", &file, "--out", "out", "--jobs", "1"]).expect(0);
    for shard in ["3/3", "1/3"] {
        let told = sweep(&parts, &["run", &file, "--out", "out", "--shard", shard]).expect(0);
        assert!(told.contains(&format!("shard {shard}: 8 points · 8 run now")), "{told}");
    }
    assert!(sweep(&parts, &["status", &file, "--out", "out"]).expect(5).contains("16 of 24 points"));
    sweep(&parts, &["merge", &file, "--out", "out"]).expect(5);
    let args = ["sweep", "run", &file, "--out", "out", "--shard", "auto"];
    let slurm =
        [("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_MIN", "4"), ("SLURM_ARRAY_TASK_COUNT", "3")];
    answer(command(&args).current_dir(&parts).envs(slurm).output().expect("the program starts")).expect(0);
    assert!(sweep(&parts, &["status", &file, "--out", "out"]).expect(0).contains("24 of 24 points"));
    sweep(&parts, &["merge", &file, "--out", "out"]).expect(0);
    let (whole, parts) = (results(&whole), results(&parts));
    for name in
        ["results.csv", "results.ndjson", "results.parquet", "series.csv", "series.ndjson", "series.parquet"]
    {
        assert!(whole[name] == parts[name], "{name} differs");
    }
}

/// The cells of a line of CSV (RFC 4180).
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut inside = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let cell = cells.last_mut().expect("there is one");
        match c {
            '"' if inside && rest.peek() == Some(&'"') => cell.extend(rest.next()),
            '"' => inside = !inside,
            ',' if !inside => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells
}

#[test]
fn the_tables_hold_the_same_values() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let directory = scratch.path("run");
    sweep(&directory, &["run", &file, "--out", "out"]).expect(0);
    let found = results(&directory);
    let text = |name: &str| String::from_utf8(found[name].clone()).expect("text");
    let csv = text("results.csv");
    let mut lines = csv.lines().map(|line| cells(line.trim_end_matches('\r')));
    let names = lines.next().expect("a line of names");
    assert!(names.iter().any(|name| name == "metric.cycles per access [cycles]"), "{names:?}");
    let ndjson = text("results.ndjson");
    for (cells, line) in lines.by_ref().zip(ndjson.lines()) {
        let object: serde_json::Value = serde_json::from_str(line).expect("an object a line");
        for (name, cell) in names.iter().zip(&cells) {
            let told = match &object[name] {
                serde_json::Value::Null => String::new(),
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(told, *cell, "{name}");
        }
    }
    assert_eq!(ndjson.lines().count(), 24);
    repeats(ndjson.lines().nth(7).expect("an eighth point"));
    for table in ["results.parquet", "results.csv", "results.ndjson"] {
        duckdb_agrees(&format!("{directory}/out/{table}"), &ndjson);
    }
}

/// The command of a point alone gives the point's digest.
fn repeats(line: &str) {
    let point: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let command = point["command"].as_str().expect("a text");
    let words: Vec<&str> = command.split(' ').skip(1).chain(["--format", "json"]).collect();
    assert_eq!(pagewalk(&words).json(0)["digest"], point["digest"], "{command}");
}

/// Where DuckDB is installed it reads the same cycles out of every file.
fn duckdb_agrees(file: &str, ndjson: &str) {
    let cycles = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")["run.time.cycles"].as_u64()
    };
    let expected: u64 = ndjson.lines().filter_map(cycles).sum();
    let query = format!("select sum(\"run.time.cycles\")::bigint from '{file}'");
    let asked = std::process::Command::new("duckdb").args(["-noheader", "-csv", "-c", &query]).output();
    if let Ok(output) = asked {
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected.to_string(), "{file}");
    }
}

#[test]
fn a_point_that_runs_out_of_memory_is_recorded_and_the_rest_go_on() {
    let scratch = Scratch::new();
    let trace = scratch.made("pattern: uniform, pages: 2000, accesses: 8000");
    let text = format!(
        "(title: \"t\", set: {{\"trace\": \"{trace}\", \"swap\": \"none\"}}, axes: [(path: \"memory\", values: List([128, 8192]))],
          metrics: [(path: \"faults.pgfault\")])"
    );
    let file = scratch.file("oom.ron", text.as_bytes());
    let told = sweep(&scratch.path("run"), &["run", &file, "--out", "out"]).expect(5);
    assert!(told.contains("2 points · 2 run now · 0 there already · 1 not to their end"), "{told}");
    let csv = String::from_utf8(results(&scratch.path("run"))["results.csv"].clone()).expect("text");
    assert!(csv.contains(",incomplete,") && csv.contains(",done,"), "{csv}");
}

#[test]
fn what_cannot_be_written_or_read_is_said_and_nothing_is_left_half_done() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let blocked = scratch.file("blocked", b"a file where a directory should be");
    let refused = sweep(&scratch.path("run"), &["run", &file, "--out", &format!("{blocked}/out")]);
    assert!(refused.code == 3 && refused.stderr.contains("cannot be made"), "{}", refused.stderr);
    // Nobody, not even root, makes a directory there.
    let refused = sweep(&scratch.path("run"), &["run", &file, "--out", "/proc/self/out"]);
    assert!(refused.code == 3 && refused.stderr.contains("cannot be made"), "{}", refused.stderr);
    // A full disk, as a limit of the shell: files may have no byte.
    let script = format!("trap '' XFSZ; ulimit -f 0; exec \"$0\" sweep run '{file}' --out out --jobs 1");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_pagewalk")]).current_dir(scratch.path("run"));
    let full = answer(shell.output().expect("a shell"));
    assert!(full.code == 3 && full.stderr.contains("cannot be written"), "{}: {}", full.code, full.stderr);
    assert_eq!(tree(&Path::new(&scratch.path("run")).join("out")).len(), 0, "nothing is left");
    fs::remove_file(scratch.path("made.pwt")).expect("it was there");
    let gone = sweep(&scratch.path("run"), &["run", &file, "--out", "out"]);
    assert!(gone.code == 3 && gone.stderr.contains("made.pwt"), "{}", gone.stderr);
}

#[test]
fn what_is_wrong_with_a_sweep_is_said_with_its_place() {
    let scratch = Scratch::new();
    let right = fs::read_to_string(small(&scratch)).expect("it was written");
    let cases = [
        ("\"20%\"", "\"lots\"", "memory: `lots`"),
        ("\"cpus\": 2", "\"cpus\": 0", "cpus"),
        ("\"cpus\"", "\"cpu\"", "cpu"),
        ("Range(1, 3, 1)", "Range(1, 3, 0)", "step above 0"),
        ("\"seed\"", "\"memory\"", "given twice"),
        ("axes:", "zip: [[\"swap\", \"memory\"]], axes:", "differ in how many values"),
        ("axes:", "zip: [[\"swap\", \"cpus\"]], axes:", "there is no axis `cpus`"),
        ("axes:", "keep: [\"seed\"], axes:", "compares nothing"),
        ("title", "titel", "titel"),
    ];
    for (from, to, why) in cases {
        let file = scratch.file("wrong.ron", right.replacen(from, to, 1).as_bytes());
        let refused = pagewalk(&["sweep", "plan", &file]);
        assert!(refused.code == 3 && refused.stderr.contains(why), "{to}: {}", refused.stderr);
        assert!(refused.stderr.contains("wrong.ron:"), "{to}: {}", refused.stderr);
    }
}

#[test]
fn results_do_not_depend_on_how_much_of_a_trace_is_kept() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let run = |name: &str, words: &[&str]| {
        let directory = scratch.path(name);
        sweep(&directory, &[&["run", &file, "--out", "out"], words].concat()).expect(0);
        let mut found = results(&directory);
        found.remove("report.html"); // which has the command
        found
    };
    let expected = run("usual", &[]);
    // The trace takes 0.7 MiB in four blocks, all of which stayed: now none, or one.
    for (size, jobs) in [("0B", "1"), ("400KiB", "2")] {
        assert!(run(size, &["--decoded", size, "--jobs", jobs]) == expected, "{size}");
    }
    let refused = pagewalk(&["sweep", "run", &file, "--decoded", "much"]);
    assert!(refused.code == 2 && refused.stderr.contains("begins with a whole number"), "{}", refused.stderr);
}

#[test]
fn a_plan_says_how_much_there_is_to_do_and_about_how_long_it_takes() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let plan = pagewalk(&["sweep", "plan", &file]);
    assert!(plan.stderr.contains(" second") && plan.stderr.contains("cores of this host"), "{}", plan.stderr);
    let told = plan.expect(0);
    assert!(told.starts_with("  24 points of Small · 960 000 accesses · plan "), "{told}");
    let again = pagewalk(&["sweep", "plan", &file]);
    assert_eq!(again.expect(0), told);
}

#[test]
fn every_sweep_that_ships_has_a_plan() {
    for entry in fs::read_dir(crate::common::root().join("configs/sweeps")).expect("sweeps ship") {
        let path = entry.expect("an entry").path();
        let told = pagewalk(&["sweep", "plan", path.to_str().expect("a plain path")]).expect(0);
        assert!(told.contains(" points of "), "{told}");
    }
}

#[test]
fn a_job_for_slurm_runs_the_sweep_by_absolute_paths() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let directory = scratch.path("run");
    let words = ["submit", &file, "--out", "out", "--shards", "6", "--concurrent", "2", "--dry-run"];
    sweep(&directory, &words).expect(0);
    let script = fs::read_to_string(format!("{directory}/out/submit.sh")).expect("it was written");
    assert!(script.contains("#SBATCH --array=0-5%2\n#SBATCH --requeue\n"), "{script}");
    assert!(script.contains(&format!("sweep run '{file}' --out '{directory}/out")), "{script}");
    let refused = answer(
        command(&["sweep", "submit", &file, "--out", "out"])
            .current_dir(&directory)
            .env("PATH", "")
            .output()
            .expect("it starts"),
    );
    assert!(refused.code == 3 && refused.stderr.contains("sbatch"), "{}", refused.stderr);
}
