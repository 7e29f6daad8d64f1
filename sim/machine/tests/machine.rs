//! Machine descriptions: the presets, `--set`, origins, the table of parameters.

use pagewalk_machine::parameters::{Kind, PARAMETERS, find, markdown};
use pagewalk_machine::{Frames, Machine, Origin, PRESETS, Replacement, Ways, parse_machine_str};

fn preset(name: &str) -> Machine {
    Machine::load(name).unwrap_or_else(|problem| panic!("{}", problem))
}

fn values(machine: &Machine) -> Vec<(String, String)> {
    machine.leaves().into_iter().map(|leaf| (leaf.path.clone(), leaf.text())).collect()
}

#[test]
fn every_preset_is_right_named_after_its_file_and_cites_a_source() {
    for name in PRESETS.iter().map(|preset| preset.name) {
        let machine = preset(name);
        assert_eq!(machine.name.as_str(), name);
        assert!(!machine.description.as_str().is_empty() && !machine.source.as_str().is_empty(), "{name}");
    }
}

#[test]
fn every_file_of_the_directory_is_a_preset_and_every_preset_a_file() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/machines");
    let mut files: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut names: Vec<String> = PRESETS.iter().map(|preset| format!("{}.ron", preset.name)).collect();
    names.sort();
    assert_eq!(files, names);
}

#[test]
fn the_default_preset_writes_out_every_value_of_the_default_machine() {
    let written = preset("default");
    assert_eq!(values(&written), values(&Machine::default()));
    for leaf in written.leaves() {
        assert!(matches!(leaf.origin, Origin::File { .. }), "default.ron leaves out {}", leaf.path);
    }
    assert_eq!(values(&parse_machine_str("empty", "()").unwrap()), values(&Machine::default()));
}

#[test]
fn geometries_are_those_published() {
    let skylake = preset("skylake");
    let shape = |array: &pagewalk_machine::TlbArray| (array.entries.get(), array.ways);
    assert_eq!(shape(&skylake.tlb.l1d[0]), (64, Ways::Count(4)));
    assert_eq!(shape(&skylake.tlb.l1i[0]), (128, Ways::Count(8)));
    assert_eq!(shape(&skylake.tlb.l2[0]), (1536, Ways::Count(12)));
    assert_eq!(shape(&preset("zen4").tlb.l1d[0]), (72, Ways::Full));
    assert_eq!(shape(&preset("neoverse-n1").tlb.l2[0]), (1280, Ways::Count(5)));
    assert_eq!(shape(&preset("cortex-a72").tlb.l2[0]), (1024, Ways::Count(4)));
    let champsim = preset("champsim").tlb;
    assert_eq!(
        [&champsim.l1i[0], &champsim.l1d[0], &champsim.l2[0]].map(|array| array.entries.get()),
        [64, 64, 1536]
    );
}

#[test]
fn every_leaf_has_a_row_and_every_row_a_leaf() {
    let leaves = Machine::default().leaves();
    for row in PARAMETERS {
        let named = |path: &str| {
            path.replace(|c: char| c.is_ascii_digit(), "")
                == row.path.replace(|c: char| c.is_ascii_digit(), "")
        };
        assert!(
            leaves.iter().any(|leaf| leaf.parameter.path == row.path && named(&leaf.path)),
            "{}",
            row.path
        );
        assert!(!row.about.is_empty() && !row.source.is_empty(), "{}", row.path);
        assert!(!row.default_text().is_empty());
    }
}

/// Sets a value on the default machine, made so that only the value itself can be refused.
fn accepts(path: &str, value: &str) -> bool {
    let mut machine = Machine::default();
    let room = ["scheduler.slack=0", "kernel.pcp_batch=1", "kernel.pcp_high=65536"];
    machine.set_all(&room).expect("values within their ranges");
    machine.set(&format!("{path}={value}")).is_ok()
}

#[test]
fn the_ranges_of_the_table_are_the_ranges_of_the_machine() {
    for leaf in Machine::default().leaves() {
        let Kind::Int { min, max } = leaf.parameter.kind else { continue };
        let fits_ways = !leaf.path.ends_with(".entries");
        let ways = leaf.path.replace(".entries", ".ways");
        let try_value = |value: u64| {
            if fits_ways {
                return accepts(&leaf.path, &value.to_string());
            }
            let mut machine = Machine::default();
            machine.set(&format!("{ways}=1")).unwrap();
            machine.set(&format!("{}={value}", leaf.path)).is_ok()
        };
        assert!(try_value(min) && try_value(max), "{} refuses its own bounds {min} {max}", leaf.path);
        assert!(min == 0 || !try_value(min - 1), "{} accepts less than {min}", leaf.path);
        assert!(!try_value(max + 1), "{} accepts more than {max}", leaf.path);
        assert!(!accepts(&leaf.path, "-1") && !accepts(&leaf.path, "many") && !accepts(&leaf.path, ""));
    }
}

#[test]
fn values_may_be_set_as_people_write_them() {
    let mut machine = Machine::default();
    for option in [
        "memory.frames=1_024",
        "memory.frames=\"1 GiB\"",
        "memory.frames=512MiB",
        "tlb.l1d[0].ways=full",
        "tlb.l1d[0].replacement=tree_plru",
        "tlb.l1d=[(entries: 64, ways: 4)]",
        "tlb.l1d[0].ways=full",
        "tlb.l1d[0].replacement=tree_plru",
        "tlb.l1d[0].page_sizes=[\"1 GiB\", \"4 KiB\"]",
        "tlb.l1d[0].page_sizes=4 KiB, 2 MiB",
        " tlb.pcid = false ",
        "name=mine",
        "description=\"a \\\"fine\\\" machine\"",
        "tlb.l2=[]",
        "tlb.l2=[(entries: 8, ways: 2)]",
    ] {
        machine.set(option).unwrap_or_else(|problem| panic!("{}", problem));
    }
    assert_eq!(machine.memory.frames, Frames::new(131_072).unwrap());
    assert_eq!(
        (machine.tlb.l1d[0].ways, machine.tlb.l1d[0].replacement),
        (Ways::Full, Replacement::TreePlru)
    );
    assert_eq!(machine.tlb.l1d[0].page_sizes.as_slice().len(), 2);
    assert!(!machine.tlb.pcid);
    assert_eq!(machine.tlb.l2[0].entries.get(), 8);
    assert_eq!(machine.description.as_str(), "a \"fine\" machine");
}

#[test]
fn rules_between_parameters_wait_for_the_last_option_and_a_refusal_changes_nothing() {
    let mut machine = Machine::default();
    let before = machine.clone();
    assert!(machine.set("tlb.l1d[0].entries=30").is_err());
    assert_eq!(machine, before);
    machine.set_all(&["tlb.l1d[0].entries=30", "tlb.l1d[0].ways=6"]).unwrap();
    assert_eq!(machine.tlb.l1d[0].entries.get(), 30);
}

#[test]
fn every_shown_value_can_be_set_again() {
    for name in PRESETS.iter().map(|preset| preset.name) {
        let machine = preset(name);
        let mut copy = machine.clone();
        for leaf in machine.leaves() {
            let option = format!("{}={}", leaf.path, leaf.text());
            copy.set(&option).unwrap_or_else(|problem| panic!("{}", problem));
        }
        assert_eq!(values(&copy), values(&machine));
    }
}

#[test]
fn origins_name_the_line_or_the_option_or_the_default() {
    let mut machine =
        parse_machine_str("m.ron", "(\n  cpus: 2,\n  tlb: (\n    l2: [(entries: 8, ways: 2)]))").unwrap();
    machine.set("costs.invlpg=7").unwrap();
    machine.set("tlb.l1i=[(entries: 8, ways: 2)]").unwrap();
    let origin =
        |path: &str| machine.leaves().into_iter().find(|leaf| leaf.path == path).unwrap().origin.to_string();
    assert_eq!(origin("cpus"), "m.ron:2");
    assert_eq!(origin("tlb.l2[0].entries"), "m.ron:4");
    assert_eq!(origin("tlb.l2[0].replacement"), "m.ron:4");
    assert_eq!(origin("tlb.l1d[0].entries"), "default");
    assert_eq!(origin("frequency_mhz"), "default");
    assert_eq!(origin("costs.invlpg"), "--set costs.invlpg=7");
    assert_eq!(origin("tlb.l1i[0].ways"), "--set tlb.l1i=[(entries: 8, ways: 2)]");
}

#[test]
fn the_documentation_holds_the_table_of_parameters() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/machines.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = markdown(&PARAMETERS.iter().collect::<Vec<_>>());
    assert!(
        text.contains(&table),
        "docs/machines.md is out of date: put the output of `pagewalk config explain --format markdown` there"
    );
    for name in PRESETS.iter().map(|preset| preset.name) {
        assert!(text.contains(&format!("`{name}`")), "docs/machines.md does not name {name}");
    }
}

#[test]
fn sections_and_lists_name_their_parameters() {
    assert!(find("tlb.").unwrap().len() > 12);
    assert_eq!(find("").unwrap().len(), PARAMETERS.len());
}
