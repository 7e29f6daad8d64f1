//! Measures lookups under `tree_lock` against lookups without: the tables of docs/locked-vs-lockless.md and their figure.

mod study;
mod svg;

use std::fs;
use std::path::Path;

use study::{Pattern, Point, Setup, both, row};

/// The numbers of CPUs measured.
const CPUS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Costs of a transfer tried.
const TRANSFERS: [u64; 7] = [0, 20, 50, 100, 150, 300, 600];
/// The gain that counts as one, as a factor.
const WORTH: f64 = 1.10;

const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- end of figures -->\n";

fn gain(setup: Setup) -> f64 {
    let [locked, lockless] = both(setup);
    lockless.rate / locked.rate
}

/// The curve of one pattern: for each number of CPUs locked and lockless.
fn curve(pattern: Pattern) -> Vec<(u64, [Point; 2])> {
    CPUS.iter().map(|&cpus| (cpus, both(Setup::usual(cpus, pattern)))).collect()
}

fn table(points: &[(u64, [Point; 2])]) -> String {
    let mut text = String::from(
        "| CPUs | locked, reads/µs | waiting for tree_lock | lockless, reads/µs | lockless is faster by |\n\
         |--:|--:|--:|--:|--:|\n",
    );
    points.iter().for_each(|(cpus, pair)| text += &row(*cpus, pair));
    text
}

/// How the gain depends on the cost of a transfer.
fn sensitivity() -> String {
    let columns: [(u64, bool); 4] = [(2, true), (8, true), (64, true), (64, false)];
    let mut text = String::from(
        "| cycles of a transfer | 2 CPUs | 8 CPUs | 64 CPUs | 64 CPUs, transfers do not queue |\n|--:|--:|--:|--:|--:|\n",
    );
    let setup = |line_transfer, (cpus, line_queue)| Setup {
        cpus,
        line_transfer,
        line_queue,
        pattern: Pattern::OwnPages,
    };
    for transfer in TRANSFERS {
        let gains = columns.map(|column| format!("{:.2}×", gain(setup(transfer, column))));
        text += &format!("| {transfer} | {} |\n", gains.join(" | "));
    }
    let flips = columns.map(|column| flip(|transfer| gain(setup(transfer, column)) >= WORTH));
    text + &format!("| **verdict flips at** | {} |\n", flips.join(" | "))
}

/// The least cost of a transfer at which the gain is worth it, by bisection.
fn flip(worth: impl Fn(u64) -> bool) -> String {
    let (mut low, mut high) = (0, *TRANSFERS.last().expect("some"));
    if worth(low) {
        return "always worth it".to_owned();
    }
    if !worth(high) {
        return "never worth it".to_owned();
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if worth(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    format!("{high}")
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let own = curve(Pattern::OwnPages);
    let same = curve(Pattern::SamePages);
    let figure = svg::figure(&own, &same);
    let figures = root.join("docs/figures");
    fs::create_dir_all(&figures).expect("docs can be written");
    fs::write(figures.join("locked-vs-lockless.svg"), figure).expect("docs can be written");
    let text = format!(
        "Each reader reads pages of its own:\n\n{}\nAll read the same 64 pages:\n\n{}\n\
         How the gain depends on what a transfer costs (pages of their own):\n\n{}",
        table(&own),
        table(&same),
        sensitivity()
    );
    let page = root.join("docs/locked-vs-lockless.md");
    let old = fs::read_to_string(&page).expect("the page is there");
    let (before, rest) = old.split_once(BEGIN).expect("the page marks where its figures begin");
    let (_, after) = rest.split_once(END).expect("the page marks where its figures end");
    fs::write(&page, format!("{before}{BEGIN}\n{text}\n{END}{after}")).expect("docs can be written");
    println!("{text}");
}
