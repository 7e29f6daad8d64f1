//! The payload of an access block: columns that decode with few branches. See `docs/trace-format.md`.

use super::bytes::{Bytes, Malformed, put_varint, unzigzag, zigzag};
use super::control::{LIMIT, MEANINGS, Meaning, SLOTS, control, slot};
use crate::record::{ADDRESS_LIMIT, MAX_ACCESS_LEN, Op, Place, RawAccess};

/// Bit 0 of the payload's flags: the block has a column of places.
const HAS_PLACES: u64 = 1;
/// Bytes read at once from a column of deltas, and the zero padding that this needs after the last column.
const WORD: usize = 8;

/// Consecutive sequence numbers of consecutive accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRun {
    /// Sequence number of the run's first access.
    pub first_seq: u64,
    /// Index of that access in the output vector.
    pub start: u32,
    /// Accesses in the run, at least 1.
    pub len: u32,
}

/// Consecutive accesses that happened at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceRun {
    /// Where and when.
    pub place: Place,
    /// Accesses in the run, at least 1.
    pub len: u32,
}

/// Both sides' guess of the next address; it starts anew with each block.
struct Predictor {
    /// Where the next instruction begins if the last one did not jump.
    next: u64,
    /// Where the last instruction began.
    instruction: u64,
    /// Last data address per instruction and operation.
    slots: Box<[u64; SLOTS]>,
}

impl Predictor {
    fn new() -> Self {
        Self { next: 0, instruction: 0, slots: Box::new([0; SLOTS]) }
    }
}

/// Collects the accesses of one block.
pub(crate) struct BlockEncoder {
    controls: Vec<u8>,
    lens: Vec<u8>,
    fetch_deltas: Vec<u8>,
    data_deltas: Vec<u8>,
    runs: Vec<(u64, u32)>,
    places: Vec<(Place, u32)>,
    predictor: Predictor,
}

impl BlockEncoder {
    pub(crate) fn new() -> Self {
        Self {
            controls: Vec::new(),
            lens: Vec::new(),
            fetch_deltas: Vec::new(),
            data_deltas: Vec::new(),
            runs: Vec::new(),
            places: Vec::new(),
            predictor: Predictor::new(),
        }
    }

    /// Accesses so far.
    pub(crate) fn count(&self) -> u32 {
        self.controls.len() as u32
    }

    /// Bytes that the block holds.
    pub(crate) fn size(&self) -> usize {
        size_of::<[u64; SLOTS]>()
            + self.controls.len()
            + self.lens.len()
            + self.fetch_deltas.len()
            + self.data_deltas.len()
            + self.runs.len() * size_of::<(u64, u32)>()
            + self.places.len() * size_of::<(Place, u32)>()
    }

    /// Makes the block empty, and keeps its memory.
    pub(crate) fn clear(&mut self) {
        for column in [&mut self.controls, &mut self.lens, &mut self.fetch_deltas, &mut self.data_deltas] {
            column.clear();
        }
        self.runs.clear();
        self.places.clear();
        (self.predictor.next, self.predictor.instruction) = (0, 0);
        self.predictor.slots.fill(0);
    }

    /// First and last sequence number; only after a push.
    pub(crate) fn seqs(&self) -> (u64, u64) {
        let first = self.runs.first().expect("a block is written only when it has accesses");
        let last = self.runs.last().expect("there is a first run");
        (first.0, last.0 + u64::from(last.1) - 1)
    }

    /// Adds an access that was checked; `seq` grows from call to call. Returns by how much [`Self::size`] grew.
    pub(crate) fn push(&mut self, seq: u64, access: RawAccess, place: Place) -> usize {
        let before = self.size();
        match self.runs.last_mut() {
            Some((first, len)) if *first + u64::from(*len) == seq => *len += 1,
            _ => self.runs.push((seq, 1)),
        }
        match self.places.last_mut() {
            Some((last, len)) if *last == place => *len += 1,
            _ => self.places.push((place, 1)),
        }
        let guess = &mut self.predictor;
        let delta;
        if access.op == Op::Fetch {
            delta = difference(access.addr, guess.next);
            guess.next = access.addr + u64::from(access.len);
            guess.instruction = access.addr;
        } else {
            let guess = &mut guess.slots[slot(guess.instruction, access.op)];
            delta = difference(access.addr, *guess);
            *guess = access.addr;
        }
        let (code, width) = control(access.op, access.len, delta);
        self.controls.push(code);
        if MEANINGS[code as usize].len == 0 {
            self.lens.extend_from_slice(&access.len.to_le_bytes());
        }
        let deltas = if access.op == Op::Fetch { &mut self.fetch_deltas } else { &mut self.data_deltas };
        deltas.extend_from_slice(&delta.to_le_bytes()[..width]);
        self.size() - before
    }

    /// The payload before compression.
    pub(crate) fn finish(&self) -> Vec<u8> {
        let placed = self.places.iter().any(|(place, _)| *place != Place::default());
        let mut out = Vec::new();
        put_varint(&mut out, if placed { HAS_PLACES } else { 0 });
        put_varint(&mut out, (self.lens.len() / 2) as u64);
        put_varint(&mut out, self.fetch_deltas.len() as u64);
        put_varint(&mut out, self.data_deltas.len() as u64);
        put_varint(&mut out, self.runs.len() as u64);
        let mut expected = self.seqs().0;
        for &(first, len) in &self.runs {
            put_varint(&mut out, first - expected);
            put_varint(&mut out, u64::from(len));
            expected = first + u64::from(len);
        }
        if placed {
            put_places(&mut out, &self.places);
        }
        for column in [&self.controls, &self.lens, &self.fetch_deltas, &self.data_deltas] {
            out.extend_from_slice(column);
        }
        out
    }
}

/// The smallest number that, added to `guess` modulo 2^56, gives `addr`; both are below 2^56.
fn difference(addr: u64, guess: u64) -> i64 {
    (addr.wrapping_sub(guess) << 8) as i64 >> 8
}

fn put_places(out: &mut Vec<u8>, places: &[(Place, u32)]) {
    put_varint(out, places.len() as u64);
    let mut last_time = 0u64;
    for (place, len) in places {
        put_varint(out, u64::from(*len));
        out.push(u8::from(place.cpu.is_some()) | u8::from(place.time_ns.is_some()) << 1);
        if let Some(cpu) = place.cpu {
            put_varint(out, u64::from(cpu));
        }
        if let Some(time) = place.time_ns {
            put_varint(out, zigzag(time.wrapping_sub(last_time) as i64));
            last_time = time;
        }
    }
}

/// Decodes the payloads of access blocks; keeps its tables from block to block.
pub(crate) struct BlockDecoder {
    slots: Box<[u64; SLOTS]>,
}

/// The columns of one payload.
struct Columns<'a> {
    controls: &'a [u8],
    lens: &'a [u8],
    /// Both columns of deltas, followed by padding.
    deltas: &'a [u8],
    fetch_len: usize,
    data_len: usize,
}

impl Default for BlockDecoder {
    fn default() -> Self {
        Self { slots: Box::new([0; SLOTS]) }
    }
}

impl BlockDecoder {
    /// Appends the accesses of a payload to `out`. `raw` gets padding appended. `seqs` are the block's first and last
    /// sequence number. After an error, `out`, `runs` and `places` may hold a part of the block.
    pub(crate) fn decode<T>(
        &mut self,
        raw: &mut Vec<u8>,
        count: u32,
        seqs: (u64, u64),
        out: (&mut Vec<T>, &mut Vec<SeqRun>, &mut Vec<PlaceRun>),
        make: impl Fn(RawAccess) -> T,
    ) -> Result<(), Malformed> {
        let (accesses, runs, places) = out;
        raw.extend_from_slice(&[0; WORD]);
        let mut bytes = Bytes::new(&raw[..raw.len() - WORD]);
        let flags = bytes.varint()?;
        if flags > HAS_PLACES {
            return Err(Malformed::new(format!("flags {flags:#x}"), "flags 0 or 1"));
        }
        let (explicit, fetch_len, data_len) = (bytes.varint()?, bytes.varint()?, bytes.varint()?);
        let start = u32::try_from(accesses.len())
            .ok()
            .filter(|start| start.checked_add(count).is_some())
            .ok_or_else(|| Malformed::new("a full output vector", "room for 2^32 accesses"))?;
        decode_runs(&mut bytes, start, count, seqs, runs)?;
        if flags & HAS_PLACES != 0 {
            decode_places(&mut bytes, count, places)?;
        }
        let controls = bytes.take(u64::from(count))?;
        let lens = bytes.take(explicit.saturating_mul(2))?;
        let deltas_at = raw.len() - WORD - bytes.len();
        bytes.take(fetch_len)?;
        bytes.take(data_len)?;
        bytes.end()?;
        let (fetch_len, data_len) = (fetch_len as usize, data_len as usize);
        let columns = Columns { controls, lens, deltas: &raw[deltas_at..], fetch_len, data_len };
        self.decode_columns(&columns, accesses, make)
    }

    fn decode_columns<T>(
        &mut self,
        columns: &Columns<'_>,
        out: &mut Vec<T>,
        make: impl Fn(RawAccess) -> T,
    ) -> Result<(), Malformed> {
        let wrong = || Malformed::new("columns that disagree", "accesses of 1 to 4096 bytes below 2^56");
        if columns.controls.iter().copied().max() >= Some(LIMIT as u8) {
            return Err(wrong());
        }
        self.slots.fill(0);
        let slots = &mut *self.slots;
        let (mut fetch_at, mut data_at) = (0, columns.fetch_len);
        let (mut next, mut instruction) = (0u64, 0u64);
        let mut lens = columns.lens.chunks_exact(2);
        let (mut ends, mut valid) = (0u64, true);
        // Filling a slice is faster than pushing: no capacity to test and no length to store each time.
        let start = out.len();
        out.resize_with(start + columns.controls.len(), || {
            make(RawAccess { addr: 0, len: 1, op: Op::Fetch })
        });
        for (target, &code) in out[start..].iter_mut().zip(columns.controls) {
            let meaning = &MEANINGS[code as usize];
            let mut len = meaning.len;
            if len == 0 {
                len = lens.next().map_or(0, |pair| u16::from_le_bytes([pair[0], pair[1]]));
                valid &= (1..=MAX_ACCESS_LEN).contains(&len);
                len = len.clamp(1, MAX_ACCESS_LEN);
            }
            let addr;
            if meaning.op == Op::Fetch {
                addr = next.wrapping_add(columns.delta(fetch_at, meaning)) % ADDRESS_LIMIT;
                fetch_at += usize::from(meaning.width);
                next = addr + u64::from(len);
                instruction = addr;
                ends |= next;
            } else {
                let guess = &mut slots[slot(instruction, meaning.op)];
                addr = guess.wrapping_add(columns.delta(data_at, meaning)) % ADDRESS_LIMIT;
                data_at += usize::from(meaning.width);
                *guess = addr;
                ends |= addr + u64::from(len);
            }
            *target = make(RawAccess { addr, len, op: meaning.op });
        }
        let used = fetch_at == columns.fetch_len && data_at == columns.fetch_len + columns.data_len;
        let all_lens = lens.next().is_none();
        if valid && used && all_lens && ends < ADDRESS_LIMIT { Ok(()) } else { Err(wrong()) }
    }
}

impl Columns<'_> {
    /// The sign-extended delta at an offset. Out of range only in a malformed block, whose column lengths then do not
    /// match in the end.
    #[inline]
    fn delta(&self, at: usize, meaning: &Meaning) -> u64 {
        let word = self.deltas.get(at..at + WORD).map_or(0, |word| {
            u64::from_le_bytes(word.try_into().expect("the range has the length of a word"))
        });
        ((word & meaning.mask) ^ meaning.sign).wrapping_sub(meaning.sign)
    }
}

fn decode_runs(
    bytes: &mut Bytes<'_>,
    mut start: u32,
    count: u32,
    (first_seq, last_seq): (u64, u64),
    runs: &mut Vec<SeqRun>,
) -> Result<(), Malformed> {
    let wrong = || Malformed::new("runs of sequence numbers that do not fit", "one number per access");
    let mut left = count;
    let mut seq = first_seq;
    for i in 0..bytes.varint()? {
        let (gap, len) = (bytes.varint()?, bytes.varint32()?);
        if len == 0 || len > left || (gap == 0) != (i == 0) {
            return Err(wrong());
        }
        let first_seq = seq.checked_add(gap).ok_or_else(wrong)?;
        seq = first_seq.checked_add(u64::from(len)).ok_or_else(wrong)?;
        runs.push(SeqRun { first_seq, start, len });
        start += len;
        left -= len;
    }
    if left == 0 && seq.checked_sub(1) == Some(last_seq) { Ok(()) } else { Err(wrong()) }
}

fn decode_places(bytes: &mut Bytes<'_>, count: u32, places: &mut Vec<PlaceRun>) -> Result<(), Malformed> {
    let wrong = || Malformed::new("runs of places that do not fit", "one place per access");
    let mut left = count;
    let mut last_time = 0u64;
    for _ in 0..bytes.varint()? {
        let (len, present) = (bytes.varint32()?, bytes.u8()?);
        if len == 0 || len > left || present > 3 {
            return Err(wrong());
        }
        left -= len;
        let mut place = Place::default();
        if present & 1 != 0 {
            place.cpu = Some(u16::try_from(bytes.varint()?).map_err(|_| wrong())?);
        }
        if present & 2 != 0 {
            last_time = last_time.wrapping_add(unzigzag(bytes.varint()?) as u64);
            place.time_ns = Some(last_time);
        }
        places.push(PlaceRun { place, len });
    }
    if left == 0 { Ok(()) } else { Err(wrong()) }
}
