//! The rules of the house, read off the source itself: which package imports which, what a file looks like, and what
//! nothing that decides may use.

mod kernel;

use std::fs;
use std::path::{Path, PathBuf};

/// For each package: its directory, and what of ours it may import.
const ARROWS: &[(&str, &str, &[&str])] = &[
    ("pagewalk-engine", "sim/engine", &[]),
    ("pagewalk-mmu", "mmu", &["pagewalk-engine"]),
    ("pagewalk-pages", "sim/pages", &["pagewalk-engine", "pagewalk-mmu"]),
    ("pagewalk-pagecache", "pagecache", &["pagewalk-engine", "pagewalk-mmu", "pagewalk-pages"]),
    ("pagewalk-swap", "swap", &["pagewalk-engine", "pagewalk-mmu", "pagewalk-pages", "pagewalk-pagecache"]),
    (
        "pagewalk-kernel",
        "sim/kernel",
        &["pagewalk-engine", "pagewalk-mmu", "pagewalk-pages", "pagewalk-pagecache", "pagewalk-swap"],
    ),
    ("pagewalk-input", "sim/input", &[]),
    (
        "pagewalk-explore",
        "sim/explore",
        &[
            "pagewalk-engine",
            "pagewalk-mmu",
            "pagewalk-pages",
            "pagewalk-pagecache",
            "pagewalk-swap",
            "pagewalk-kernel",
            "pagewalk-input",
        ],
    ),
    ("pagewalk-trace", "sim/trace", &[]),
    (
        "pagewalk-machine",
        "sim/machine",
        &["pagewalk-engine", "pagewalk-mmu", "pagewalk-kernel", "pagewalk-input"],
    ),
    (
        "pagewalk-replay",
        "sim/replay",
        &[
            "pagewalk-engine",
            "pagewalk-mmu",
            "pagewalk-pages",
            "pagewalk-pagecache",
            "pagewalk-swap",
            "pagewalk-kernel",
            "pagewalk-trace",
            "pagewalk-input",
            "pagewalk-machine",
        ],
    ),
    (
        "pagewalk-sweep",
        "sim/sweep",
        &[
            "pagewalk-engine",
            "pagewalk-pages",
            "pagewalk-explore",
            "pagewalk-trace",
            "pagewalk-input",
            "pagewalk-machine",
            "pagewalk-replay",
        ],
    ),
    (
        "pagewalk",
        "sim/pagewalk",
        &[
            "pagewalk-engine",
            "pagewalk-mmu",
            "pagewalk-pages",
            "pagewalk-kernel",
            "pagewalk-explore",
            "pagewalk-trace",
            "pagewalk-input",
            "pagewalk-machine",
            "pagewalk-replay",
            "pagewalk-sweep",
        ],
    ),
    (
        "pagewalk-wasm",
        "sim/wasm",
        &[
            "pagewalk-engine",
            "pagewalk-pages",
            "pagewalk-kernel",
            "pagewalk-explore",
            "pagewalk-trace",
            "pagewalk-input",
            "pagewalk-machine",
            "pagewalk-replay",
        ],
    ),
    (
        "pagewalk-cli",
        "sim/cli",
        &[
            "pagewalk-engine",
            "pagewalk-mmu",
            "pagewalk-pages",
            "pagewalk-pagecache",
            "pagewalk-swap",
            "pagewalk-kernel",
            "pagewalk-explore",
            "pagewalk-trace",
            "pagewalk-input",
            "pagewalk-machine",
            "pagewalk-replay",
            "pagewalk-sweep",
        ],
    ),
];

/// Libraries that belong to certain packages only.
const HOMES: &[(&str, &[&str])] = &[
    ("clap", &["pagewalk-cli"]),
    ("indicatif", &["pagewalk-cli"]),
    ("ctrlc", &["pagewalk-cli"]),
    ("rand_chacha", &["pagewalk-engine"]),
    ("petgraph", &["pagewalk-engine"]),
    ("parquet", &["pagewalk-sweep"]),
    ("rayon", &["pagewalk-cli", "pagewalk-replay", "pagewalk-sweep"]),
];

/// Most lines of a source file, its unit tests apart.
const MAX_LINES: usize = 400;

/// Directories that are not ours to judge.
const PASSED_OVER: &[&str] = &[".git", "target", "corpus", "artifacts", "coverage"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of the repository") {
        let path = entry.expect("an entry of the directory").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() {
            found.push(path);
        } else if !PASSED_OVER.contains(&name.as_str()) {
            walk(&path, found);
        }
    }
}

/// Every text file of the repository: its path from the root, with `/`, and its contents.
fn texts() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    walk(&root(), &mut paths);
    paths.sort();
    let name = |path: &Path| {
        path.strip_prefix(root()).expect("inside the repository").to_string_lossy().replace('\\', "/")
    };
    let read = |path: PathBuf| Some((name(&path), String::from_utf8(fs::read(&path).ok()?).ok()?));
    paths.into_iter().filter_map(read).collect()
}

fn rust_files() -> Vec<(String, String)> {
    let files: Vec<_> = texts().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect();
    assert!(files.len() > 100, "the walk finds the sources");
    files
}

/// The lines of code with their numbers: no comments, no blank lines.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("//"))
}

/// The part of a source file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

#[track_caller]
fn nothing_wrong(rule: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{rule}:\n{}", wrong.join("\n"));
}

/// The packages a manifest names, in every section of dependencies.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            found.push(line.split(['.', ' ', '=']).next().unwrap_or(line));
        }
    }
    found
}

#[test]
fn the_reader_of_manifests_understands_every_way_to_write_a_dependency() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n# c = \"1\"\n\
                    [dev-dependencies]\nd={ version = \"1\" }\n[[bench]]\nname = \"e\"\n[target.'cfg(unix)'.dependencies]\nf = \"1\"\n";
    assert_eq!(dependencies(manifest), ["a", "b", "d", "f"]);
}

#[test]
fn packages_import_only_what_lies_below_them() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("a text file of the repository");
    let members =
        workspace.split_once("members = [").and_then(|(_, rest)| rest.split_once(']')).expect("members").0;
    let members: Vec<&str> = members.split(',').map(|member| member.trim().trim_matches('"')).collect();
    let mut wrong = Vec::new();
    for member in members.into_iter().filter(|member| !member.is_empty()) {
        let Some((name, _, allowed)) = ARROWS.iter().find(|(_, directory, _)| *directory == member) else {
            wrong.push(format!("{member} is a member, and no rule says what it may import"));
            continue;
        };
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml"))
            .expect("a text file of the repository");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{member} is {name}");
        for dependency in dependencies(&manifest) {
            let ours = ARROWS.iter().any(|(package, ..)| *package == dependency);
            let home = HOMES.iter().find(|(library, _)| *library == dependency);
            if (ours && !allowed.contains(&dependency))
                || home.is_some_and(|(_, homes)| !homes.contains(name))
            {
                wrong.push(format!("{name} may not import {dependency}"));
            }
        }
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{name} does not take the workspace's lints"));
        }
    }
    nothing_wrong("forbidden imports", &wrong);
}

#[test]
fn every_source_file_says_what_it_is_and_is_short() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files() {
        if !path.starts_with("fuzz/") && !text.starts_with("//! ") {
            wrong.push(format!("{path} does not open with `//! ` and what it is"));
        }
        let lines = without_tests(&text).lines().count();
        if path.contains("src/") && lines >= MAX_LINES {
            wrong.push(format!("{path} has {lines} lines"));
        }
    }
    nothing_wrong("files", &wrong);
}

/// What a source file may not hold, and the parts of paths where it may after all.
const BANNED: &[(&str, &[&str], &str)] = &[
    ("HashMap", &[], "its order is not deterministic: BTreeMap or Vec"),
    ("HashSet", &[], "its order is not deterministic: BTreeSet or Vec"),
    (
        "Instant::now",
        &[
            "benches/",
            "examples/",
            "sim/cli/src/explore/watch.rs",
            "sim/sweep/src/estimate.rs",
            "sim/sweep/src/run.rs",
        ],
        "the wall clock decides nothing",
    ),
    ("SystemTime", &["benches/", "examples/"], "the wall clock decides nothing"),
    (
        "std::thread",
        &[
            "tests/",
            "benches/",
            "examples/pressure/run.rs",
            "sim/cli/src/replay/mod.rs",
            "sim/cli/src/replay/progress.rs",
            "sim/cli/src/capture/",
            "sim/cli/src/explore/search.rs",
            "sim/explore/src/search.rs",
        ],
        "a run has one thread; the front end has the others",
    ),
    // Under its own name a function is exported by an attribute that is called so.
    ("unsafe", &["fuzz/", "sim/wasm/src/exports.rs"], "what the compiler checks is checked everywhere"),
    ("todo!", &[], "no stubs"),
    ("unimplemented!", &[], "no stubs"),
    ("#[ignore", &[], "a test runs, or is no test"),
    ("#[allow", &[], "#[expect] with a reason"),
];

/// What the simulated machine may not know, so that a run depends on its inputs only.
const OUTSIDE_WORLD: &[&str] =
    &["std::fs", "std::env", "std::io", "std::net", "std::process", "println!", "f32", "f64"];

#[test]
fn nothing_that_decides_uses_what_is_not_deterministic() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files().into_iter().filter(|(path, _)| !path.ends_with("tests/tidy/main.rs")) {
        for (number, line) in code(&text) {
            for (banned, allowed, why) in BANNED {
                if line.contains(banned) && !allowed.iter().any(|place| path.contains(place)) {
                    wrong.push(format!("{path}:{number}: {banned}: {why}"));
                }
            }
        }
        let machine = ["sim/engine/src/", "mmu/src/", "sim/pages/src/", "sim/kernel/src/"]
            .iter()
            .any(|part| path.starts_with(part));
        for (number, line) in code(without_tests(&text)).filter(|_| machine) {
            for world in OUTSIDE_WORLD.iter().filter(|world| line.contains(**world)) {
                wrong.push(format!("{path}:{number}: {world}: the machine knows no world outside"));
            }
        }
    }
    nothing_wrong("banned", &wrong);
}

#[test]
fn nothing_is_left_for_later_and_nothing_names_one_computer() {
    // In pieces, so that this file does not name them.
    let banned = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["X", "XX:"],
        ["/ho", "me/"],
        ["/ro", "ot/"],
        ["/wo", "rk/"],
        ["/Us", "ers/"],
    ];
    let mut wrong = Vec::new();
    for (path, text) in texts().into_iter().filter(|(path, _)| path != "Cargo.lock") {
        for (number, line) in text.lines().enumerate() {
            for word in
                banned.map(|pieces| pieces.concat()).iter().filter(|word| line.contains(word.as_str()))
            {
                wrong.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    nothing_wrong("left over", &wrong);
}

#[test]
fn libraries_come_from_the_public_registry() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("a text file of the repository");
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let elsewhere: Vec<String> = sources
        .filter(|source| !source.contains("github.com/rust-lang/crates.io-index"))
        .map(str::to_owned)
        .collect();
    nothing_wrong("libraries from elsewhere", &elsewhere);
    assert!(!root().join(".cargo/config.toml").exists(), "the build depends on no private settings");
}
