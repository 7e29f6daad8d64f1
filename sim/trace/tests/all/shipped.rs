//! The traces in `traces/` are whole, small, and what their README says.

use std::path::Path;

use pagewalk_trace::{TraceFile, TraceSummary};

#[test]
fn shipped_traces_are_whole_and_as_described() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../traces");
    let readme = std::fs::read_to_string(directory.join("README.md")).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "pwt") {
            continue;
        }
        let file = TraceFile::open(&path).unwrap();
        file.verify().unwrap();
        let summary = TraceSummary::of(&file).unwrap();
        assert!(summary.header.file_len < 4 << 20, "{}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        let line = readme.lines().find(|line| line.starts_with(&format!("| `{name}`"))).unwrap();
        let numbers = [summary.totals.accesses(), summary.pages, summary.header.file_len];
        for number in numbers.into_iter().chain(summary.totals.by_op) {
            assert!(line.replace(',', "").contains(&number.to_string()), "{number} in {line}");
        }
        count += 1;
    }
    assert!(count >= 2);
}
