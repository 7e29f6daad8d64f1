//! Importing lackey logs: every kind of line, inferred mappings, and errors.

use std::io::{Cursor, Write};

use crate::common::{Record, read};
use pagewalk_trace::{
    Event, EventRecord, MapKind, Op, Place, Prot, RawAccess, TraceError, TraceFile, TraceWriter, decompress,
    import_lackey,
};

const LOG: &str = "==42== Lackey, an example Valgrind tool\n\
                   ==42== Using Valgrind-3.19.0 and LibVEX; rerun with -h for copyright info\n\
                   ==42== Command: true --quiet\n\
                   ==42== \n\
                   I  0401ab70,3\n \
                   S 1fff000ffc,8\r\n\
                   \n\
                   # remark\n \
                   SB 0401ab70\n\
                   --42-- some talk\n\
                   I  0401ab73,5\n \
                   L 04020000,4\n \
                   M 04021008,8\n\
                   I  ffffffffff600000,9\n\
                   ==42== Exit code:       3\n";

fn import(log: &[u8]) -> Result<Vec<u8>, TraceError> {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1)?;
    import_lackey(decompress(log).unwrap(), "x.log", &mut writer)?;
    writer.finish()?;
    Ok(out)
}

fn region(first: u64, pages: u64, prot: Prot) -> Record {
    let (start, len) = (first * 4096, pages * 4096);
    let map = Event::Map { start, len, prot, kind: MapKind::Anonymous, shared: false, inferred: true };
    Record::Event(EventRecord::new(42, 42, map))
}

fn access(op: Op, addr: u64, len: u16) -> Record {
    Record::Access(42, 42, RawAccess { addr, len, op }, Place::default())
}

fn expected() -> Vec<Record> {
    vec![
        region(0x401a, 7, Prot::READ_EXEC),
        region(0x4021, 1, Prot::READ_WRITE),
        region(0x1fff000, 2, Prot::READ_WRITE),
        access(Op::Fetch, 0x401ab70, 3),
        access(Op::Store, 0x1fff000ffc, 8),
        access(Op::Fetch, 0x401ab73, 5),
        access(Op::Load, 0x4020000, 4),
        access(Op::Modify, 0x4021008, 8),
        Record::Event(EventRecord::new(42, 42, Event::ExitProcess { status: 3 })),
    ]
}

#[test]
fn every_kind_of_line_is_understood_or_counted() {
    let native = import(LOG.as_bytes()).unwrap();
    assert_eq!(read(&native).unwrap(), expected());
    let file = TraceFile::from_reader(Cursor::new(native)).unwrap();
    let provenance = &file.summary().provenance;
    assert_eq!((provenance.source.as_str(), provenance.command.as_str()), ("lackey", "true --quiet"));
    assert!(provenance.notes.iter().any(|note| note.contains("inferred")), "{provenance:?}");
    let ignored: Vec<_> = provenance.ignored.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let all = ["1 blank", "1 comment", "1 superblock", "5 valgrind banner", "1 valgrind message"];
    assert_eq!(ignored[..5], all);
    assert_eq!(ignored[5..], ["1 address above 2^56"]);
}

#[test]
fn compressed_logs_are_recognised() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(LOG.as_bytes()).unwrap();
    assert_eq!(read(&import(&gzip.finish().unwrap()).unwrap()).unwrap(), expected());
    let zstd = zstd::encode_all(LOG.as_bytes(), 1).unwrap();
    assert_eq!(read(&import(&zstd).unwrap()).unwrap(), expected());
    assert!(matches!(import(&zstd[..zstd.len() - 4]), Err(TraceError::Io { .. })));
}

#[test]
fn a_log_without_a_banner_is_of_process_1_and_may_be_cut_short() {
    for end in ["I  0401", "I  0401ab70,", "==4", " "] {
        let native = import(format!(" L 1000,8\n{end}").as_bytes()).unwrap();
        let records = read(&native).unwrap();
        let load = RawAccess { addr: 0x1000, len: 8, op: Op::Load };
        assert_eq!(records[1..], [Record::Access(1, 1, load, Place::default())], "{end:?}");
    }
    assert_eq!(read(&import(b"").unwrap()).unwrap(), []);
}

#[test]
fn errors_name_line_column_token_and_grammar() {
    let cases = [
        ("hello\n", "x.log:1:1: found `hello`, expected `I  HEX,DEC`, ` L HEX,DEC`"),
        ("I  zz,3\n", "x.log:1:4: found `zz`, expected an address in hexadecimal digits"),
        ("\nI  12 3\n", "x.log:2:6: found ` `, expected an address in hexadecimal digits, then a comma"),
        ("I  12,x\n", "x.log:1:7: found `x`, expected a length of 1 to 4096"),
        ("I  12,0\n", "x.log:1:7: found `0`, expected a length of 1 to 4096"),
        ("I  12,4097\n", "x.log:1:7: found `4097`, expected a length of 1 to 4096"),
        ("I  12,99999999999\n", "x.log:1:7: found `99999999999`, expected a length of 1 to 4096"),
        ("I  12,3 \n", "x.log:1:8: found ` `, expected a length"),
        ("==1== a\n==2== b\n", "x.log:2:3: found a line of process 2 after lines of another process"),
    ];
    for (log, expected) in cases {
        let error = import(log.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{log:?}: {error}");
    }
}
