//! Faults as a real kernel counted them, for four access patterns under a memory limit.
//!
//! The simulator has no reclaim: each page is missed once. A real kernel that may keep only half of the pages misses some
//! again, and counts those (`workingset_refault_*`). So the real major faults are those of the replay and the refaults. The
//! refaults are the whole machine's, hence the closest of three repeats, and 1 %.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use crate::common::{Scratch, pagewalk};

const MEASURED: &str = include_str!("../data/linux-6.18-64MiB-32768pages.csv");
const PAGES: u64 = 32_768;
const ACCESSES: usize = 100_000;
const START: u64 = 0x1000_0000;

/// The generator of the measured program: splitmix64.
struct Random(u64);

impl Random {
    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.unit() * limit as f64) as u64
    }
}

/// The pages that the measured program touches, in order.
fn reference_string(pattern: &str) -> Vec<u64> {
    let mut random = Random(1);
    let mut weights: Vec<f64> = Vec::new();
    let mut total = 0.0;
    for rank in 1..=PAGES {
        total += 1.0 / rank as f64;
        weights.push(total);
    }
    let hot = PAGES / 8;
    let mut scan = 0..;
    let mut page = |n| match pattern {
        "seq" => n % PAGES,
        "rand" => random.below(PAGES),
        "zipf" => {
            let chosen = random.unit();
            weights.partition_point(|weight| weight / total < chosen) as u64
        }
        _ if random.unit() < 0.75 => random.below(hot),
        _ => hot + scan.next().expect("it has no end") % (PAGES - hot),
    };
    (0..ACCESSES as u64).map(&mut page).collect()
}

/// The measured program as a trace.
fn program(kind: &str, pages: &[u64]) -> String {
    let mut text = String::from("pagewalk-trace 1\nsource \"pattern\"\ncommand \"\"\nthread 1 1\n");
    let mut line =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
    let len = PAGES * 4096;
    if kind == "anon" {
        line(format_args!("map {START:x} {len:x} rw- private anonymous"));
        (0..PAGES).for_each(|page| line(format_args!("S {:x},1", START + page * 4096)));
    } else {
        line(format_args!("file 0 {len:x} \"data\""));
        line(format_args!("map {START:x} {len:x} rw- shared file 0 \"data\""));
        line(format_args!("madvise {START:x} {len:x} random"));
    }
    pages.iter().for_each(|page| line(format_args!("L {:x},1", START + page * 4096)));
    line(format_args!("exit-process 0"));
    text
}

/// `pgfault` and `pgmajfault` of the replay.
fn replayed(kind: &str, pages: &[u64]) -> (u64, u64) {
    let scratch = Scratch::new();
    let text = scratch.file("pattern.pwt.txt", program(kind, pages).as_bytes());
    let trace = scratch.path("pattern.pwt");
    pagewalk(&["trace", "import", "--format", "text", &text, "-o", &trace]).expect(0);
    let answer = pagewalk(&["replay", &trace, "--format", "json", "--set", "cpus=1"]).stdout;
    let answer: Value = serde_json::from_str(&answer).expect("json");
    let count = |name: &str| answer["faults"][name].as_u64().expect("a counter");
    (count("pgfault"), count("pgmajfault"))
}

/// The rows of a kind and a pattern: major faults, and refaults of that kind of pages.
fn measured(kind: &str, pattern: &str) -> Vec<(u64, u64)> {
    let columns: Vec<&str> = MEASURED.lines().next().expect("a head").split(',').collect();
    let column = |name: &str| columns.iter().position(|&column| column == name).expect("a column");
    let (majflt, refault) = (column("majflt"), column(&format!("workingset_refault_{kind}")));
    let rows = MEASURED.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let ours = rows.filter(|row| (row[0], row[1]) == (kind, pattern));
    ours.map(|row| (row[majflt].parse().expect("a number"), row[refault].parse().expect("a number")))
        .collect()
}

#[test]
fn major_faults_of_a_real_kernel_are_those_of_the_replay_and_its_refaults() {
    for pattern in ["seq", "rand", "zipf", "hotscan"] {
        let pages = reference_string(pattern);
        let touched = pages.iter().collect::<BTreeSet<_>>().len() as u64;
        for (kind, faults) in [("anon", (PAGES, 0)), ("file", (touched, touched))] {
            let (pgfault, pgmajfault) = replayed(kind, &pages);
            assert_eq!((pgfault, pgmajfault), faults, "{kind}, {pattern}");
            let rows = measured(kind, pattern);
            assert!(rows.len() >= 2, "{kind}, {pattern}");
            let off =
                rows.iter().map(|&(majflt, refaults)| majflt.abs_diff(pgmajfault + refaults) * 100 / majflt);
            assert_eq!(off.min(), Some(0), "{kind}, {pattern}: {pgmajfault} of {rows:?}, in per cent");
        }
    }
}
