//! The text twin says the same as the native format, and its errors say where and what.

use std::io::Cursor;

use crate::common::{any_records, read, write};
use pagewalk_trace::{TraceError, TraceFile, TraceWriter, export_text, import_text};
use proptest::prelude::*;

fn to_text(bytes: &[u8]) -> String {
    let file = TraceFile::from_reader(Cursor::new(bytes.to_vec())).unwrap();
    let mut text = Vec::new();
    export_text(&file, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn to_native(text: &str) -> Result<Vec<u8>, TraceError> {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1)?;
    import_text(text.as_bytes(), "x.txt", &mut writer)?;
    writer.finish()?;
    Ok(out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn text_and_native_say_the_same(records in any_records(200)) {
        let native = write(&records, 0);
        let text = to_text(&native);
        let again = to_native(&text).unwrap();
        prop_assert_eq!(read(&again).unwrap(), records);
        prop_assert!(again == native, "the same calls give the same bytes");
        prop_assert_eq!(to_text(&again), text);
    }
}

#[test]
fn a_text_trace_looks_like_this() {
    let text = "pagewalk-trace 1\n\
                source \"hand\"\n\
                command \"\"\n\
                note \"two \\\"lines\\\"\\nhere\"\n\
                ignored 3 \"blank\"\n\
                thread 7 8\n\
                map 1000 2000 rw- private file 0 \"/tmp/a b\" inferred\n\
                I 400000,3\n\
                at 2 1000\n\
                M 1008,8\n\
                thread 7 9\n\
                L 1ff0,16\n\
                thread 7 8\n\
                at - -\n\
                remap 1000 2000 4000 -\n\
                file 3 1ff0 \"/tmp/a b\"\n\
                read 3 1000 ff0 2010\n\
                write 3 1ff0 10 - direct\n\
                fsync 3\n\
                msync 1000 1000 async\n\
                truncate 3 0\n\
                punch-hole 3 1000 2000\n\
                fadvise 3 0 0 noreuse\n\
                madvise 1000 1000 willneed\n\
                invalidate 3 0 1000\n\
                drop-caches\n\
                sync\n\
                exit-process -1\n";
    assert_eq!(to_text(&to_native(text).unwrap()), text);
    let loose = text.replace('\n', "\r\n").replace("L 1ff0,16", "\r\n # a comment\r\n  L\t1FF0,16 ");
    assert_eq!(to_text(&to_native(&loose).unwrap()), text);
}

#[test]
fn errors_name_line_column_token_and_grammar() {
    let cases = [
        ("L 10,8", "x.txt:2:1: found `L`, expected a line `thread PID TID` before the first record"),
        ("thread 1", "x.txt:2:9: found the end of the line, expected a number in decimal digits"),
        ("thread 1 4294967296", "x.txt:2:10: found `4294967296`, expected a number in decimal digits"),
        (
            "thread 1 1\nL 10;8",
            "x.txt:3:3: found `10;8`, expected ADDRESS,LENGTH: hexadecimal digits, a comma,",
        ),
        (
            "thread 1 1\nL 10,0",
            "x.txt:3:1: found a load of 0 bytes at 0x10, expected an access has 1 to 4096",
        ),
        ("thread 1 1\nL 10,8 9", "x.txt:3:8: found `9`, expected the end of the line"),
        (
            "thread 1 1\nunmap 10 0",
            "x.txt:3:1: found the event Unmap { start: 16, len: 0 }, expected a range",
        ),
        ("thread 1 1\nmmap 10 0", "x.txt:3:1: found `mmap`, expected `I`, `L`, `S` or `M` with"),
        ("thread 1 1\nprotect 0 1 r+x", "x.txt:3:13: found `r+x`, expected permissions such as `rw-`"),
        (
            "thread 1 1\nfsync 3",
            "x.txt:3:1: found the event Fsync { file: 3 }, expected file 3 is used before",
        ),
        ("thread 1 1\nread 3 0 1", "x.txt:3:11: found the end of the line, expected a number in hexadecimal"),
        (
            "thread 1 1\nread 3 0 1 - sync",
            "x.txt:3:14: found `sync`, expected `direct` or the end of the line",
        ),
        ("thread 1 1\nmadvise 0 1 soon", "x.txt:3:13: found `soon`, expected `normal`, `random`"),
        ("thread 1 1\nexec \"a", "x.txt:3:6: found `\"a`, expected a string in double quotes"),
        (
            "thread 1 1\nexit-thread\nthread 2 1\nL 0,1",
            "x.txt:5:1: found thread 1 of process 2, expected thread",
        ),
    ];
    for (text, expected) in cases {
        let error = to_native(&format!("pagewalk-trace 1\n{text}\n")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    let error = to_native("").unwrap_err().to_string();
    assert!(error.contains("expected the first line `pagewalk-trace 1`"), "{error}");
}
