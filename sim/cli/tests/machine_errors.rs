//! What is wrong with a machine description is said exactly, and no text makes the reader panic.

use pagewalk_cli::diagnostic::Diagnostic;
use pagewalk_cli::exit::Exit;
use pagewalk_cli::style::Paint;
use pagewalk_input::{Place, Refusal};
use pagewalk_machine::{MAX_TEXT_BYTES, Machine, parse_machine_str};

const WRONG_TEXTS: &[&str] = &[
    "(cpus: 300)",
    "(\n  cpus: -3,\n)",
    "(cpus: \"4\")",
    "(cpus: 1.5)",
    "(cpus: true)",
    "(cpus: None)",
    "(cpus: four)",
    "(cpus: 4, cpus: 5)",
    "(memory: (frame: 5))",
    "(memory: (frames: 1000000000000000000))",
    "(memory: (frames: 99999999999999999999999999))",
    "(memory: (frames: \"512 MB\"))",
    "(tlb: (l1d: [(entries: 0, ways: 4)]))",
    "(tlb: (l1d: [(entries: 64, ways: 6)]))",
    "(tlb: (l1d: [\n  (entries: 64, ways: 4),\n  (entries: 8, ways: 4, page_sizes: [\"2 MiB\", \"4 KiB\"]),\n]))",
    "(tlb: (l1d: []))",
    "(tlb: (l2: [(entries: 4096, ways: \"full\")]))",
    "(tlb: (l1d: [(entries: 64, ways: 4, replacement: tree-plru)]))",
    "(tlb: (l1d: [(entries: 64, ways: 4, replacement: treeplru)]))",
    "(tlb: (l1d: [(entries: 64, ways: 4, page_sizes: [\"4 KiB\", \"8 KiB\"])]))",
    "(tlb: (l1d: [(entries: 64, ways: 4, page_sizes: [\"4 KiB\", \"4 KiB\"])]))",
    "(tlb: (l1d: [(entries: 64, ways: 4, page_sizes: [])]))",
    "(tlb: (l1d: [(entries: 64, ways: \"half\")]))",
    "(tlb: (l1d: [(entires: 64, ways: 4)]))",
    "(tlb: (l1d: [(entries: 64)]))",
    "(tlb: (l1d: 5))",
    "(tlb: (pcid: 1))",
    "(costs: 7)",
    "(costs: (access: 0))",
    "(kernel: (pcp_high: 5))",
    "(scheduler: (quantum: 1000, slack: 5000))",
    "(walk_caches: (pde: (entries: 10, ways: 4)))",
    "(name: 5)",
    "(name: \"\u{1b}[31m\")",
    "(name: \"abc",
    "(description: [[[[[[)",
    "(cpus: 4",
    "(cpus 4)",
    "(cpus: 4 memory: ())",
    "(cpus: 4) x",
    "cpus: 4",
    "",
    "[1]",
    "Machin(cpus: 4)",
    "(\"é\": 4)",
    "#![enable(nothing)] ()",
];

const WRONG_OPTIONS: &[&str] = &[
    "memory.frame=4",
    "memory.frames=512 MB",
    "cpus=300",
    "cpus",
    "=4",
    "x=1",
    "tlb=4",
    "entires=4",
    "costs.invlgp=4",
    "tlb.l1d[7].entries=4",
    "tlb.l1d[0].ways=6",
    "tlb.l1d[0].replacement=plru",
    "tlb.l2=[(entries: 6)]",
    "tlb.l2=[(entries: 6, ways: 4)]",
    "tlb.l1i=[]",
];

fn refusal(text: &str) -> Refusal {
    match parse_machine_str("m.ron", text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problem) => problem,
    }
}

#[test]
fn refusals_of_texts_look_as_recorded() {
    let page: Vec<String> = WRONG_TEXTS.iter().map(|text| refusal(text).to_text(Paint::PLAIN)).collect();
    for line in page.iter().flat_map(|refusal| refusal.lines()) {
        assert!(line.chars().count() <= 140, "{line}");
    }
    insta::assert_snapshot!("refused_texts", page.join("\n"));
}

#[test]
fn refusals_of_options_look_as_recorded() {
    let refused = |option: &&str| Machine::default().set(option).expect_err(option);
    let page: Vec<String> = WRONG_OPTIONS.iter().map(|text| refused(text).to_text(Paint::PLAIN)).collect();
    insta::assert_snapshot!("refused_options", page.join("\n"));
    for option in WRONG_OPTIONS {
        assert_eq!(refused(option).exit(), Exit::Usage);
    }
}

#[test]
fn every_refusal_of_a_text_has_a_place_and_says_what_is_allowed() {
    for text in WRONG_TEXTS {
        let problem = refusal(text);
        assert!(problem.expected.is_some(), "{problem}");
        assert_eq!(problem.exit(), Exit::BadInput);
        assert!(matches!(&*problem.place, Place::Text { line: 1.., column: 1.., .. }), "{problem}");
    }
}

#[test]
fn a_wrong_value_is_named_by_its_path_and_marked_whole() {
    let problem = refusal("(\n  tlb: (\n    l1d: [(entries: 64, ways: 4), (entries: -8, ways: 4)]))");
    assert_eq!(problem.message, "tlb.l1d[1].entries cannot be `-8`");
    assert_eq!(problem.found.as_deref(), Some("-8"));
    assert_eq!(problem.expected.as_deref(), Some("an integer from 1 to 65536"));
    let Place::Text { file, line, column, excerpt, mark } = &*problem.place else { panic!("{problem}") };
    assert_eq!((file.as_str(), *line, *column), ("m.ron", 3, 45));
    assert_eq!(&excerpt[mark.clone()], "-8");
}

#[test]
fn json_refusals_carry_the_same_facts() {
    let json: serde_json::Value = serde_json::from_str(&refusal("(\n cpus: 0)").to_json()).unwrap();
    assert_eq!(json["schema"], "pagewalk.diagnostic/1");
    assert_eq!((&json["place"]["line"], &json["place"]["column"]), (&2.into(), &8.into()));
    assert_eq!((&json["found"], &json["exit_code"]), (&"0".into(), &3.into()));
}

#[test]
fn long_texts_and_long_lines_are_bounded() {
    let long = " ".repeat(usize::try_from(MAX_TEXT_BYTES).unwrap() + 1);
    assert!(refusal(&long).message.contains("too long"));
    let padded = format!("({}cpus: 0{})", " ".repeat(1000), " ".repeat(500_000));
    let text = refusal(&padded).to_text(Paint::PLAIN);
    assert!(text.contains("cpus: 0") && text.lines().all(|line| line.chars().count() < 250), "{text}");
}

#[test]
fn files_that_are_missing_or_no_text_are_refused() {
    let missing = Machine::load("sky-lake").unwrap_err();
    assert_eq!(missing.exit(), Exit::BadInput);
    assert_eq!(missing.help, ["did you mean `skylake`?"]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.ron");
    let name = path.to_str().unwrap();
    std::fs::write(&path, b"(name: \"\xff\")").unwrap();
    let binary = Machine::load(name).unwrap_err();
    assert!(matches!(*binary.place, Place::Offset { offset: 8, .. }), "{binary}");
    std::fs::write(&path, vec![0xff; usize::try_from(MAX_TEXT_BYTES).unwrap() + 2]).unwrap();
    assert!(Machine::load(name).unwrap_err().message.contains("too long"));
    std::fs::write(&path, "(cpus: 3)").unwrap();
    assert_eq!(Machine::load(name).unwrap().cpus.get(), 3);
    assert!(Machine::load(directory.path().to_str().unwrap()).is_err());
}

#[test]
fn no_option_makes_the_setter_panic() {
    let paths = [
        "cpus",
        "tlb.l1d[0].entries",
        "tlb.l2",
        "memory.frames",
        "name",
        "tlb.l1d[",
        "tlb.l1d[]",
        "tlb..",
        "[0]",
        "é",
    ];
    let values = [
        "",
        "0",
        "-1",
        "18446744073709551616",
        "\"",
        "[",
        "((((",
        "é",
        "[(entries: 1, ways: 1)]",
        "r#\"",
        "1 TiB",
        "=",
        "true",
    ];
    for path in paths {
        for value in values {
            let mut machine = Machine::default();
            match machine.set(&format!("{path}={value}")) {
                Ok(()) => assert_eq!(machine.check(), Ok(())),
                Err(problem) => assert!(!problem.to_text(Paint::COLOR).is_empty()),
            }
        }
    }
    let deep = format!("tlb.l2={}", "[(".repeat(100_000));
    assert!(Machine::default().set(&deep).is_err());
}
