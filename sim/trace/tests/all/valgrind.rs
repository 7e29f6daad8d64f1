//! Logs with system calls become events; several logs become one trace.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::common::{Record, read};
use pagewalk_trace::{
    Event, Log, LogImport, LogOptions, Op, Prot, TraceError, TraceFile, TraceWriter, Turn, export_text,
    has_calls, import_logs, lackey_accesses,
};
use proptest::prelude::*;

/// The parent, in which threads and a child come and go.
const PARENT: &str = include_str!("valgrind/parent.log");
/// The child, which executes another program.
const CHILD: &str = include_str!("valgrind/child.log");

fn import(logs: &[(&str, &str)], options: LogOptions) -> Result<Vec<u8>, TraceError> {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1)?;
    let log = |&(name, text): &(&str, &'static str)| Log {
        name: name.to_owned(),
        input: Box::new(io::Cursor::new(text.as_bytes())),
    };
    let leaked: Vec<(&str, &'static str)> =
        logs.iter().map(|(name, text)| (*name, &*Box::leak(text.to_string().into_boxed_str()))).collect();
    import_logs(leaked.iter().map(log).collect(), options, &mut writer)?;
    writer.finish()?;
    Ok(out)
}

fn to_text(bytes: Vec<u8>) -> String {
    let mut text = Vec::new();
    export_text(&TraceFile::from_reader(io::Cursor::new(bytes)).unwrap(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn here() -> LogOptions {
    LogOptions { directory: Some("/srv".into()), ..LogOptions::default() }
}

#[test]
fn logs_of_a_parent_and_its_child_become_one_trace() {
    let text = to_text(import(&[("p", PARENT), ("c", CHILD)], here()).unwrap());
    let expected = include_str!("valgrind/expected.txt");
    assert!(text == expected, "{text}");
}

#[test]
fn the_order_of_the_logs_does_not_matter() {
    let one = import(&[("p", PARENT), ("c", CHILD)], here()).unwrap();
    assert!(one == import(&[("c", CHILD), ("p", PARENT)], here()).unwrap());
}

/// Gives a few bytes at a time, and nothing in between.
struct Trickle<'a>(&'a [u8], bool);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = buffer.len().min(37);
        self.0.read(&mut buffer[..len])
    }
}

#[test]
fn logs_that_grow_give_the_same_records_as_whole_ones() {
    let mut out = Vec::new();
    let mut writer = TraceWriter::new(&mut out, 1).unwrap();
    let mut import_live = LogImport::new(&mut writer, here(), true);
    import_live.add_log(7, true, "p", Trickle(PARENT.as_bytes(), false)).unwrap();
    let at = |mark| PARENT.find(mark).unwrap() / 37;
    let between = usize::midpoint(at("created child"), at("(61) sys_wait4"));
    let mut turns = 0;
    let mut end = Turn::Progress;
    while end != Turn::Done {
        if turns == between {
            // The child was forked, and its parent does not wait for it yet.
            import_live.add_log(8, false, "c", Trickle(CHILD.as_bytes(), false)).unwrap();
        }
        if turns == 2000 {
            import_live.no_more_logs();
        }
        end = import_live.turn().unwrap();
        turns += 1;
    }
    import_live.finish().unwrap();
    writer.finish().unwrap();
    let by_thread = |bytes: &[u8]| {
        let mut records: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        for record in read(bytes).unwrap() {
            let tid = match &record {
                Record::Access(_, tid, ..) => *tid,
                Record::Event(event) => event.tid,
            };
            records.entry(tid).or_default().push(record);
        }
        records
    };
    let whole = import(&[("p", PARENT), ("c", CHILD)], here()).unwrap();
    assert!(by_thread(&out) == by_thread(&whole), "{}", to_text(out));
}

/// A log of process 7, which forks children and then makes these calls.
fn parent_that(forks: &[u32], calls: &str) -> String {
    let mut log = String::from("==7== Command: ./prog\n==7== Parent PID: 1\nI  00001000,4\n");
    for child in forks {
        log += "SYSCALL[7,1](56) sys_clone ( 1200011, 0x0, 0x0, 0x4a28a10, 0x0 ) --> [pre-success] ";
        log += &format!("Success(0x{child:x})\n");
    }
    log + calls + "I  00001004,4\n"
}

/// The children that process 7 is recorded to have waited for before its last access.
fn waits(forks: &[u32], calls: &str) -> Vec<u32> {
    let parent = parent_that(forks, calls);
    let children: Vec<String> = forks
        .iter()
        .map(|pid| format!("=={pid}== Command: ./prog\n=={pid}== Parent PID: 7\n --> [pre-success] Success(0x0)\nI  00001010,4\n"))
        .collect();
    let mut logs = vec![("p", parent.as_str())];
    logs.extend(children.iter().map(|text| ("c", text.as_str())));
    let mut waited = Vec::new();
    for record in read(&import(&logs, here()).unwrap()).unwrap() {
        if let Record::Event(event) = record
            && let Event::Wait { child_pid } = event.event
        {
            assert_eq!(event.pid, 7);
            waited.push(child_pid);
        }
    }
    waited
}

#[test]
fn waits_whose_result_is_not_printed_are_inferred_if_they_are_certain() {
    let call = |any: &str, flags: u32| {
        format!("SYSCALL[7,1](61) sys_wait4 ( {any}, 0x0, {flags}, 0x0 ) --> [async] ... \n")
    };
    let interrupted = "--7--   SCHED[1]:  acquired lock (async_signalhandler)\n";
    let none = "SYSCALL[7,1](61) ... [async] --> Failure(0xa) \n";
    let success = |pid: u32| format!("SYSCALL[7,1](61) ... [async] --> Success(0x{pid:x}) \n");
    let any = "4294967295";
    // Without children left, all have been waited for.
    assert_eq!(waits(&[8, 9], &format!("{}{none}", call(any, 1))), [8, 9]);
    assert_eq!(waits(&[8, 9], &format!("{}{}{}{none}", call(any, 0), success(9), call(any, 0))), [9, 8]);
    assert_eq!(waits(&[8], &format!("{}{none}", call("8", 0))), [0; 0], "it says nothing of another's child");
    // Interrupted: by the only child, or by the one that is waited for.
    assert_eq!(waits(&[8], &(call(any, 0) + interrupted)), [8]);
    assert_eq!(waits(&[8, 9], &(call(any, 0) + interrupted)), [0; 0]);
    assert_eq!(waits(&[8, 9], &(call("9", 0) + interrupted)), [9]);
    assert_eq!(waits(&[8], &(call(any, 1) + interrupted)), [0; 0], "it does not block");
    // What was inferred is not recorded again when the log says it.
    assert_eq!(waits(&[8], &(call(any, 0) + interrupted + &call(any, 0) + &success(8))), [8]);
    assert_eq!(waits(&[8], &(call(any, 0) + interrupted + &call(any, 0) + none)), [8]);
}

#[test]
fn a_limit_of_accesses_ends_the_trace_and_its_processes() {
    for max in 0..40 {
        let options = LogOptions { max_accesses: Some(max), ..here() };
        let records = read(&import(&[("p", PARENT), ("c", CHILD)], options).unwrap()).unwrap();
        let accesses = records.iter().filter(|record| matches!(record, Record::Access(..))).count();
        assert!(accesses as u64 <= max, "{accesses} of {max}");
        plausible(&records);
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let bad = PARENT.replacen("I  00001000,4\n", "I  00001000,4\nwhat is this\n", 1);
    let error = import(&[("p.log", &bad)], here()).unwrap_err().to_string();
    assert!(error.starts_with("p.log:10:1: found `what`, expected `I  HEX,DEC`"), "{error}");
    let error = import(&[("a", PARENT), ("b", PARENT)], here()).unwrap_err().to_string();
    assert!(error.contains("it is of process 7, and so is a"), "{error}");
}

#[test]
fn logs_with_calls_are_told_from_logs_without() {
    let has = |text: &'static str| has_calls(Box::new(text.as_bytes())).unwrap().0;
    assert!(has(PARENT) && has("I  1000,1\nSYSCALL[1,1](3) sys_close ( 1 )[sync] --> Success(0x0)\n"));
    assert!(!has("==1== Command: x --SCHED[\nI  1000,1\n S 2000,8\n"));
    let mut sum = 0;
    assert_eq!(lackey_accesses(PARENT.as_bytes(), "p", |access| sum += u64::from(access.len)).unwrap(), 10);
    assert_eq!(sum, 52);
}

/// Every access is to memory that is mapped for it, and nothing follows the end of a process or thread.
fn plausible(records: &[Record]) {
    let mut pages: BTreeMap<(u32, u64), Prot> = BTreeMap::new();
    let (mut over, mut heaps) = (Vec::new(), BTreeMap::new());
    for record in records {
        match record {
            Record::Access(pid, tid, access, _) => {
                assert!(!over.contains(&(*pid, 0)) && !over.contains(&(*pid, *tid)), "{record:?}");
                let need = [Prot::EXEC, Prot::READ, Prot::WRITE, Prot::READ_WRITE][access.op as usize];
                for page in [access.addr / 4096, (access.addr + u64::from(access.len) - 1) / 4096] {
                    let prot = pages.get(&(*pid, page)).copied().unwrap_or_default();
                    assert!(prot.contains(need), "{record:?} where {prot} is mapped");
                }
            }
            Record::Event(event) => {
                let range = |start: u64, len: u64| start / 4096..(start + len).div_ceil(4096);
                match event.event {
                    // Only small addresses occur in accesses; huge ranges would take long here.
                    Event::Map { start, len, prot, .. } => {
                        pages.extend(range(start, len).take(5000).map(|page| ((event.pid, page), prot)));
                    }
                    Event::Unmap { start, len } => {
                        range(start, len).take(5000).for_each(|page| _ = pages.remove(&(event.pid, page)));
                    }
                    Event::Protect { start, len, prot } => {
                        for page in range(start, len).take(5000) {
                            pages.insert((event.pid, page), prot);
                        }
                    }
                    Event::Fork { child_pid, .. } => {
                        let copy: Vec<_> =
                            pages.range((event.pid, 0)..(event.pid + 1, 0)).map(|(k, p)| (k.1, *p)).collect();
                        pages.extend(copy.into_iter().map(|(page, prot)| ((child_pid, page), prot)));
                    }
                    Event::Exec { .. } => pages.retain(|(pid, _), _| *pid != event.pid),
                    Event::Brk { end } => {
                        let start = heaps.insert(event.pid, end).unwrap_or(end);
                        let heap = range(start.min(end), start.abs_diff(end));
                        pages.extend(heap.map(|page| ((event.pid, page), Prot::READ_WRITE)));
                    }
                    Event::ExitThread => over.push((event.pid, event.tid)),
                    Event::ExitProcess { .. } => over.push((event.pid, 0)),
                    _ => {}
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn lines_in_any_order_give_a_possible_trace(
        order in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..60),
    ) {
        // Without calls that move memory or shrink the heap, which `plausible` does not follow.
        let moves = |line: &&str| ["mremap", "brk", "munmap"].iter().any(|call| line.contains(call));
        let lines =
            |text: &'static str| -> Vec<&'static str> { text.lines().filter(|line| !moves(line)).collect() };
        let (parent, child) = (lines(PARENT), lines(CHILD));
        let (mut a, mut b) = (String::new(), String::new());
        for (index, first) in order {
            let (from, to) = if first { (&parent, &mut a) } else { (&child, &mut b) };
            to.push_str(from[index.index(from.len())]);
            to.push('\n');
        }
        a.insert_str(0, "==7== x\n--7-- y\n");
        b.insert_str(0, "==8== x\n==8== Parent PID: 7\n");
        let records = read(&import(&[("a", &a), ("b", &b)], here()).unwrap()).unwrap();
        plausible(&records);
        let stores = records.iter().any(|r| matches!(r, Record::Access(_, _, access, _) if access.op == Op::Store));
        prop_assert!(stores || !a.contains(" S ") || a.contains("exit"));
    }
}
