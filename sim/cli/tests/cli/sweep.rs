//! Sweeps: what is finished stays, whatever happens, and the results are the same however they came about.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use crate::common::{Answer, Scratch, answer, command, pagewalk};

/// A trace, and a sweep of 24 points over it; yields the sweep's path.
pub(crate) fn small(scratch: &Scratch) -> String {
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
pub(crate) fn sweep(directory: &str, words: &[&str]) -> Answer {
    fs::create_dir_all(directory).expect("a temporary directory");
    let args = [&["sweep"], words].concat();
    answer(command(&args).current_dir(directory).output().expect("the program starts"))
}

/// Every file below a directory with its contents.
pub(crate) fn tree(directory: &Path) -> BTreeMap<String, Vec<u8>> {
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

pub(crate) fn results(directory: &str) -> BTreeMap<String, Vec<u8>> {
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
    assert_eq!((csv.lines().count(), ndjson.lines().count()), (25, 24));
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
    assert!(told.contains("2 points · 2 run now · 0 there already · 1 unfinished"), "{told}");
    let csv = String::from_utf8(results(&scratch.path("run"))["results.csv"].clone()).expect("text");
    assert!(csv.contains(",incomplete,") && csv.contains(",done,"), "{csv}");
    // Half a run has no metric: it would look like a good one.
    assert!(told.lines().any(|line| line.starts_with("  128 ") && line.ends_with(" –")), "{told}");
    let mut lines = csv.lines().map(cells);
    let metric = lines.next().expect("names").iter().position(|name| name == "metric.faults.pgfault");
    let metrics: Vec<String> = lines.map(|mut line| line.swap_remove(metric.expect("it is there"))).collect();
    assert!(metrics[0].is_empty() && !metrics[1].is_empty(), "{metrics:?}");
}

#[test]
fn a_report_is_of_the_axes_asked_for_and_leaves_no_picture_of_an_earlier_one() {
    let scratch = Scratch::new();
    let right = fs::read_to_string(small(&scratch)).expect("it was written");
    let directory = scratch.path("run");
    let run = |text: &str| {
        let file = scratch.file("shown.ron", text.as_bytes());
        let told = sweep(&directory, &["run", &file, "--out", "out"]).expect(0);
        let pictures = results(&directory).into_keys().filter(|name| name.ends_with(".svg")).count();
        (told, pictures)
    };
    let (told, pictures) = run(&right);
    assert!(told.contains("across: swap") && told.contains("\n  memory"), "{told}");
    assert_eq!(pictures, 1);
    let other = right.replacen("metrics:", "along: \"swap\", lines: \"memory\", metrics:", 1);
    let (told, pictures) = run(&other);
    assert!(told.contains("24 there already") && told.contains("across: memory"), "{told}");
    assert_eq!(pictures, 1, "two values along make no heat map");
    let (told, pictures) = run(&right
        .replacen("\"swap\", values: List([\"zram\", \"nvme\"])", "\"cpus\", values: Range(1, 3, 1)", 1)
        .replacen(", \"cpus\": 2", "", 1));
    assert!(told.contains("across: cpus") && pictures == 2, "{told}");
    // Axes that advance together may repeat a value: then both are told.
    let from = right.find("axes:").expect("it has axes");
    let to = right.find("\n          metrics").expect("it has metrics");
    let zipped = format!(
        "{}axes: [(path: \"cpus\", values: List([1, 1, 2])), (path: \"swap\", values: List([\"zram\", \"nvme\", \"zram\"]))], zip: [[\"cpus\", \"swap\"]],{}",
        right[..from].replace(", \"cpus\": 2", ""),
        &right[to..]
    );
    let (told, _) = run(&zipped);
    assert!(told.contains("\n  1 zram ") && told.contains("\n  1 nvme "), "{told}");
    // Seeds alone are something to look at, too.
    let axes = right.find("axes:").expect("it has axes");
    let seeds = format!(
        "{}axes: [(path: \"seed\", values: Range(1, 3, 1))],{}",
        &right[..axes],
        &right[right.find("\n          metrics").expect("it has metrics")..]
    );
    let (told, pictures) = run(&seeds);
    assert!(told.contains("\n  seed") && pictures == 1, "{told}");
}

/// A long search ends when it is asked to, and is as if it had not begun.
#[cfg(unix)]
#[test]
fn a_search_that_is_interrupted_ends() {
    let scratch = Scratch::new();
    let scenario = crate::common::root().join("configs/scenarios/lookup-and-reclaim.ron");
    let text = format!(
        "(title: \"t\", set: {{\"scenario\": \"{}\", \"runs\": 1000000000}}, axes: [(path: \"seed\", values: List([1]))],
          metrics: [(path: \"runs\")])",
        scenario.display()
    );
    let file = scratch.file("long.ron", text.as_bytes());
    let out = scratch.path("out");
    let mut child = command(&["sweep", "run", &file, "--out", &out])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // The handler is there before the directory of the points is.
    while !Path::new(&out).join("points").is_dir() {
        std::thread::yield_now();
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
    assert_eq!(child.wait().expect("it is ours").code(), Some(130));
    assert!(sweep(&scratch.path("."), &["status", &file, "--out", &out]).expect(5).contains("0 of 1 points"));
}

#[test]
fn results_do_not_depend_on_how_much_of_a_trace_is_kept() {
    let scratch = Scratch::new();
    let file = small(&scratch);
    let run = |name: &str, words: &[&str]| {
        let directory = scratch.path(name);
        sweep(&directory, &[&["run", &file, "--out", "out"], words].concat()).expect(0);
        results(&directory)
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
