//! x
use pagewalk::machine::*;
use pagewalk::style::Paint;
#[test]
fn show() {
    for t in [
        "(cpus: 300)",
        "(\n  cpus: -3,\n)",
        "(cpus: \"4\")",
        "(memory: (frame: 5))",
        "(memory: (frames: 1000000000000000000))",
        "(memory: (frames: \"512 MB\"))",
        "(memory: (frames: 99999999999999999999999999))",
        "(tlb: (l1d: [(entries: 0, ways: 4)]))",
        "(tlb: (l1d: [(entries: 64, ways: 6)]))",
        "(tlb: (l1d: [(entries: 64, ways: 4, replacement: tree-plru)]))",
        "(tlb: (l1d: [(entries: 64, ways: 4, replacement: treeplru)]))",
        "(tlb: (l1d: [(entries: 64)]))",
        "(tlb: (pcid: 1))",
        "(tlb: (l1d: 5))",
        "(tlb: (l1d: [(entries: 64, ways: 4, page_sizes: [\"4 KiB\", \"8 KiB\"])]))",
        "(tlb: (l1d: [(entries: 64, ways: 4, page_sizes: [])]))",
        "(cpus: 4, cpus: 5)",
        "(cpus: 4",
        "cpus: 4",
        "",
        "(cpus 4)",
        "(cpus: 4 memory: ())",
        "(cpus: 1.5)",
        "(name: 5)",
        "(name: \"\u{1b}[31m\")",
        "(description: [[[[[[)",
        "(costs: 7)",
        "(kernel: (pcp_high: 5))",
        "(cpus: true)",
        "(cpus: None)",
        "(cpus: four)",
        "[1]",
        "(cpus: 4) x",
        "Machin(cpus: 4)",
        "(\"\u{fffd}é\": 4)",
        "(tlb: (l1d: [(entries: 64, ways: \"half\")]))",
        "(name: \"abc",
    ] {
        match parse_machine_str("m.ron", t) {
            Ok(_) => println!("OK?? {t}\n"),
            Err(d) => println!("### {t}\n{}", d.to_text(Paint::PLAIN)),
        }
    }
    for t in [
        "memory.frame=4",
        "cpus=300",
        "memory.frames=512 MB",
        "tlb.l1d[7].entries=4",
        "x=1",
        "tlb.l1d[0].ways=6",
        "cpus",
        "tlb.l2=[]",
        "tlb.l2=[(entries: 6)]",
        "tlb.l1d[0].page_sizes=2 MiB,4 KiB",
        "tlb.l1d[0].replacement=plru",
        "tlb=4",
        "=4",
        "tlb.l1d[0].ways=full",
        "entires=4",
    ] {
        match Machine::default().set(t) {
            Ok(()) => println!("OK {t}\n"),
            Err(d) => println!("### {t}\n{}", d.to_text(Paint::PLAIN)),
        }
    }
}
