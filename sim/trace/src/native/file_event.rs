//! The fields of events that use files, and of advice. See `docs/trace-format.md`.

use super::bytes::{Bytes, Malformed, put_str, put_varint};
use crate::event::Event;
use crate::files::Advice;
use crate::record::MAX_PATH_LEN;

/// What a reader says it can read, where it meets something newer.
pub(crate) const KNOWN_KINDS: &str =
    "event kinds 0 to 11 and 16 to 27 (a newer Pagewalk may read this trace)";

const HAS_BUFFER: u8 = 1;
const DIRECT: u8 = 2;

/// Appends the fields of an event of kind 16 or above.
pub(super) fn encode(out: &mut Vec<u8>, event: &Event) {
    if let Some(file) = event.file() {
        put_varint(out, u64::from(file));
    }
    match event {
        Event::File { path, size, .. } => {
            put_str(out, path);
            put_varint(out, *size);
        }
        Event::Read { offset, len, buffer, direct, .. }
        | Event::Write { offset, len, buffer, direct, .. } => {
            put_varint(out, *offset);
            put_varint(out, *len);
            let direct = if *direct { DIRECT } else { 0 };
            out.push(direct | if buffer.is_some() { HAS_BUFFER } else { 0 });
            if let Some(buffer) = buffer {
                put_varint(out, *buffer);
            }
        }
        Event::Msync { start, len, sync } => {
            put_varint(out, *start);
            put_varint(out, *len);
            out.push(u8::from(*sync));
        }
        Event::Truncate { size, .. } => put_varint(out, *size),
        Event::PunchHole { offset, len, .. } | Event::Invalidate { offset, len, .. } => {
            put_varint(out, *offset);
            put_varint(out, *len);
        }
        Event::Fadvise { offset: start, len, advice, .. } | Event::Madvise { start, len, advice } => {
            put_varint(out, *start);
            put_varint(out, *len);
            out.push(*advice as u8);
        }
        _ => {}
    }
}

/// Decodes the fields of an event of kind 16 or above.
pub(super) fn decode(kind: u64, body: &mut Bytes<'_>) -> Result<Event, Malformed> {
    Ok(match kind {
        16 => Event::File { file: body.varint32()?, path: body.string(MAX_PATH_LEN)?, size: body.varint()? },
        17 | 18 => decode_transfer(kind == 18, body)?,
        19 => Event::Fsync { file: body.varint32()? },
        20 => {
            let (start, len) = (body.varint()?, body.varint()?);
            let sync = match body.u8()? {
                n @ (0 | 1) => n == 1,
                n => return Err(Malformed::new(n.to_string(), "0 (MS_ASYNC) or 1 (MS_SYNC)")),
            };
            Event::Msync { start, len, sync }
        }
        21 => Event::Truncate { file: body.varint32()?, size: body.varint()? },
        22 => Event::PunchHole { file: body.varint32()?, offset: body.varint()?, len: body.varint()? },
        23 => Event::Fadvise {
            file: body.varint32()?,
            offset: body.varint()?,
            len: body.varint()?,
            advice: decode_advice(body)?,
        },
        24 => Event::Madvise { start: body.varint()?, len: body.varint()?, advice: decode_advice(body)? },
        25 => Event::Invalidate { file: body.varint32()?, offset: body.varint()?, len: body.varint()? },
        26 => Event::DropCaches,
        27 => Event::Sync,
        n => {
            let found = format!("unknown event kind {n}, written by a newer version");
            return Err(Malformed::new(found, KNOWN_KINDS));
        }
    })
}

fn decode_transfer(write: bool, body: &mut Bytes<'_>) -> Result<Event, Malformed> {
    let (file, offset, len, flags) = (body.varint32()?, body.varint()?, body.varint()?, body.u8()?);
    if flags & !(HAS_BUFFER | DIRECT) != 0 {
        return Err(Malformed::new(format!("transfer flags {flags:#x}"), "flags 0 to 3"));
    }
    let buffer = if flags & HAS_BUFFER != 0 { Some(body.varint()?) } else { None };
    let direct = flags & DIRECT != 0;
    Ok(if write {
        Event::Write { file, offset, len, buffer, direct }
    } else {
        Event::Read { file, offset, len, buffer, direct }
    })
}

fn decode_advice(body: &mut Bytes<'_>) -> Result<Advice, Malformed> {
    let number = body.u8()?;
    let advice = Advice::ALL.get(usize::from(number)).copied();
    advice.ok_or_else(|| Malformed::new(format!("advice {number}"), "advice 0 to 5"))
}
