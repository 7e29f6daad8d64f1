//! The list of importers: every format is recognised by itself alone, and none trusts its input.

use std::collections::BTreeSet;
use std::io::{Cursor, Write};

use crate::common::{any_records, write};
use pagewalk_trace::{
    AnyTraceWriter, IMPORTERS, ImportOptions, Importer, Log, TraceError, TraceFile, TraceWriter, export_text,
    sniff,
};
use proptest::prelude::*;

fn inputs<'l>(texts: &[&'l [u8]]) -> Vec<Log<'l>> {
    let input = |(n, text): (usize, &&'l [u8])| Log { name: format!("input {n}"), input: Box::new(*text) };
    texts.iter().enumerate().map(input).collect()
}

fn import(format: &dyn Importer, texts: &[&[u8]], max: Option<u64>) -> Result<Vec<u8>, TraceError> {
    let mut out = Vec::new();
    let mut writer: AnyTraceWriter<'_> = TraceWriter::new(&mut out as &mut dyn Write, 1)?;
    let options = ImportOptions { max_accesses: max, ..ImportOptions::default() };
    format.import(inputs(texts), options, &mut writer)?;
    writer.finish()?;
    Ok(out)
}

fn sniffed(text: &[u8]) -> Option<&'static str> {
    let (importer, inputs) = sniff(inputs(&[text])).ok()?;
    let mut whole = Vec::new();
    for mut log in inputs {
        log.input.read_to_end(&mut whole).unwrap();
    }
    assert_eq!(whole, text, "looking takes nothing away");
    Some(importer.name())
}

#[test]
fn names_are_words_of_a_command_line_and_sentences_have_no_full_stop() {
    let names: BTreeSet<&str> = IMPORTERS.iter().map(|importer| importer.name()).collect();
    assert_eq!(names.len(), IMPORTERS.len());
    for importer in IMPORTERS {
        let word = importer.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        assert!(word && !importer.about().is_empty() && !importer.about().ends_with('.'));
    }
}

#[test]
fn the_first_line_that_says_something_tells_the_format() {
    let starts: [(&[u8], Option<&str>); 12] = [
        (b"pagewalk-trace 1\n", Some("text")),
        (b"pagewalk-trace 1\r\n", Some("text")),
        (b"pagewalk-trace 10\n", None),
        (b"==42== Lackey, an example Valgrind tool\n", Some("lackey")),
        (b"--42-- SCHED[1]: acquired lock (x)\n", Some("lackey")),
        (b"SYSCALL[42,1](12) sys_brk ( 0x0 )\n", Some("lackey")),
        (b"\r\n# by hand\nI  00401000,3\n", Some("lackey")),
        (b" S 1ffe,8", Some("lackey")),
        (b"", Some("lackey")),
        (b"PWTRACE\0", None),
        (b"0x401000 W\n", None),
        (b"\xff\xfe\n S 1ffe,8", None),
    ];
    for (start, format) in starts {
        assert_eq!(sniffed(start), format, "{}", String::from_utf8_lossy(start));
    }
    assert!(sniff(Vec::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_text_of_any_trace_is_recognised_and_cut_where_asked(records in any_records(100), max in 0u64..120) {
        let native = write(&records, 0);
        let file = TraceFile::from_reader(Cursor::new(native)).unwrap();
        let mut text = Vec::new();
        export_text(&file, &mut text).unwrap();
        prop_assert_eq!(sniffed(&text), Some("text"));
        let format = IMPORTERS.iter().find(|importer| importer.name() == "text").unwrap();
        let cut = TraceFile::from_reader(Cursor::new(import(*format, &[&text], Some(max)).unwrap())).unwrap();
        let count = |file: &TraceFile| file.threads().iter().map(|thread| thread.accesses).sum::<u64>();
        prop_assert_eq!(count(&cut), max.min(count(&file)));
    }

    #[test]
    fn any_bytes_give_a_trace_or_an_error_whatever_they_are_said_to_be(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        second in "[-=a-f0-9 ILSM,\n]{0,60}",
        max in proptest::option::of(0u64..5),
    ) {
        for format in IMPORTERS {
            for texts in [&[&bytes[..]][..], &[second.as_bytes()], &[&bytes, second.as_bytes()]] {
                if let Ok(trace) = import(*format, texts, max) {
                    prop_assert!(TraceFile::from_reader(Cursor::new(trace)).unwrap().verify().is_ok());
                }
            }
        }
    }
}
