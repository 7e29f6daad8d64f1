//! The payload of an event block: one length-prefixed record after another. See `docs/trace-format.md`.

use super::bytes::{Bytes, Malformed, put_str, put_varint, unzigzag, zigzag};
use super::file_event;
use crate::event::Event;
use crate::record::{EventRecord, MAX_PATH_LEN, MapKind, Prot};

const HAS_CPU: u8 = 1;
const HAS_TIME: u8 = 2;
const SHARED: u8 = 8;
const INFERRED: u8 = 16;

/// Appends a record that was checked; `expected` is the sequence number after the previous record's.
pub(crate) fn encode(out: &mut Vec<u8>, record: &EventRecord, expected: u64) {
    let mut body = Vec::with_capacity(32);
    put_varint(&mut body, record.seq - expected);
    put_varint(&mut body, record.event.kind() as u64);
    put_varint(&mut body, u64::from(record.pid));
    put_varint(&mut body, u64::from(record.tid));
    let cpu = if record.cpu.is_some() { HAS_CPU } else { 0 };
    let time = if record.time_ns.is_some() { HAS_TIME } else { 0 };
    body.push(cpu | time);
    if let Some(cpu) = record.cpu {
        put_varint(&mut body, u64::from(cpu));
    }
    if let Some(time) = record.time_ns {
        put_varint(&mut body, time);
    }
    encode_event(&mut body, &record.event);
    put_varint(out, body.len() as u64);
    out.extend_from_slice(&body);
}

fn encode_event(out: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Map { start, len, prot, kind, shared, inferred } => {
            put_varint(out, *start);
            put_varint(out, *len);
            let shared = if *shared { SHARED } else { 0 };
            out.push(prot.0 | shared | if *inferred { INFERRED } else { 0 });
            encode_map_kind(out, kind);
        }
        Event::Protect { start, len, prot } => {
            put_varint(out, *start);
            put_varint(out, *len);
            out.push(prot.0);
        }
        Event::Unmap { start, len } | Event::Discard { start, len } => {
            put_varint(out, *start);
            put_varint(out, *len);
        }
        Event::Brk { end } => put_varint(out, *end),
        Event::Remap { old_start, old_len, new_len, new_start } => {
            put_varint(out, *old_start);
            put_varint(out, *old_len);
            put_varint(out, *new_len);
            out.push(u8::from(new_start.is_some()));
            if let Some(start) = new_start {
                put_varint(out, *start);
            }
        }
        Event::Fork { child_pid, child_tid } => {
            put_varint(out, u64::from(*child_pid));
            put_varint(out, u64::from(*child_tid));
        }
        Event::Clone { child_tid } => put_varint(out, u64::from(*child_tid)),
        Event::Exec { path } => put_str(out, path),
        Event::ExitThread => {}
        Event::ExitProcess { status } => put_varint(out, zigzag(i64::from(*status))),
        Event::Wait { child_pid } => put_varint(out, u64::from(*child_pid)),
        of_files => file_event::encode(out, of_files),
    }
}

fn encode_map_kind(out: &mut Vec<u8>, kind: &MapKind) {
    match kind {
        MapKind::Anonymous => out.push(0),
        MapKind::Stack => out.push(1),
        MapKind::Heap => out.push(2),
        MapKind::File { path, offset } => {
            out.push(3);
            put_str(out, path);
            put_varint(out, *offset);
        }
    }
}

/// Decodes one record; `expected` is the sequence number after the previous record's.
pub(crate) fn decode(bytes: &mut Bytes<'_>, expected: u64) -> Result<EventRecord, Malformed> {
    let len = bytes.varint()?;
    let mut body = Bytes::new(bytes.take(len)?);
    let gap = body.varint()?;
    let seq = expected.checked_add(gap);
    let seq = seq.ok_or_else(|| Malformed::new("a gap past 2^64", "a sequence number"))?;
    let kind = body.varint()?;
    let (pid, tid, present) = (body.varint32()?, body.varint32()?, body.u8()?);
    if present & !(HAS_CPU | HAS_TIME) != 0 {
        return Err(Malformed::new(format!("event flags {present:#x}"), "flags 0 to 3"));
    }
    let mut cpu = None;
    if present & HAS_CPU != 0 {
        let value = body.varint()?;
        cpu = Some(
            u16::try_from(value).map_err(|_| Malformed::new(format!("CPU {value}"), "a CPU below 65536"))?,
        );
    }
    let time_ns = if present & HAS_TIME != 0 { Some(body.varint()?) } else { None };
    let event = decode_event(kind, &mut body)?;
    body.end()?;
    if let Some(why) = event.fault() {
        return Err(Malformed::new(format!("the event {event:?}"), why));
    }
    Ok(EventRecord { seq, pid, tid, cpu, time_ns, event })
}

fn decode_event(kind: u64, body: &mut Bytes<'_>) -> Result<Event, Malformed> {
    Ok(match kind {
        0 => decode_map(body)?,
        1 => Event::Unmap { start: body.varint()?, len: body.varint()? },
        2 => Event::Protect { start: body.varint()?, len: body.varint()?, prot: Prot(body.u8()?) },
        3 => Event::Brk { end: body.varint()? },
        4 => {
            let (old_start, old_len, new_len) = (body.varint()?, body.varint()?, body.varint()?);
            let new_start = match body.u8()? {
                0 => None,
                1 => Some(body.varint()?),
                n => return Err(Malformed::new(n.to_string(), "0 or 1 before the new start")),
            };
            Event::Remap { old_start, old_len, new_len, new_start }
        }
        5 => Event::Discard { start: body.varint()?, len: body.varint()? },
        6 => Event::Fork { child_pid: body.varint32()?, child_tid: body.varint32()? },
        7 => Event::Clone { child_tid: body.varint32()? },
        8 => Event::Exec { path: body.string(MAX_PATH_LEN)? },
        9 => Event::ExitThread,
        10 => {
            let status = unzigzag(body.varint()?);
            let status = i32::try_from(status);
            Event::ExitProcess {
                status: status.map_err(|_| Malformed::new("a large status", "a 32-bit exit status"))?,
            }
        }
        11 => Event::Wait { child_pid: body.varint32()? },
        of_files => file_event::decode(of_files, body)?,
    })
}

fn decode_map(body: &mut Bytes<'_>) -> Result<Event, Malformed> {
    let (start, len, flags) = (body.varint()?, body.varint()?, body.u8()?);
    if flags & !(7 | SHARED | INFERRED) != 0 {
        return Err(Malformed::new(format!("mapping flags {flags:#x}"), "flags 0 to 31"));
    }
    let kind = match body.u8()? {
        0 => MapKind::Anonymous,
        1 => MapKind::Stack,
        2 => MapKind::Heap,
        3 => MapKind::File { path: body.string(MAX_PATH_LEN)?, offset: body.varint()? },
        n => return Err(Malformed::new(format!("mapping kind {n}"), "a mapping kind from 0 to 3")),
    };
    let (shared, inferred) = (flags & SHARED != 0, flags & INFERRED != 0);
    Ok(Event::Map { start, len, prot: Prot(flags & 7), kind, shared, inferred })
}
