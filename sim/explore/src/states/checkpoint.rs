//! A search by state in a file, from which it goes on: words of 64 bits, the lowest byte first, and a digest of them all.

use std::fmt;
use std::io::{self, Read, Write};

use pagewalk_engine::Digest;

use super::graph::{Edge, Known, State, StateGraph};
use pagewalk_kernel::invariant;

/// What such a file begins with: a name, and the version of its layout.
const MAGIC: u64 = u64::from_le_bytes(*b"pwstate1");

/// Why a search cannot go on from a file.
#[derive(Debug)]
pub enum CheckpointError {
    /// It cannot be read.
    Io(io::Error),
    /// It is no such file.
    Other,
    /// It is of another scenario, kernel or version.
    Subject,
    /// It is not whole.
    Damaged,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::Other => f.write_str("it is no checkpoint of a search by state"),
            Self::Subject => f.write_str("it is of another scenario, kernel or version"),
            Self::Damaged => f.write_str("it is damaged, or not whole"),
        }
    }
}

impl std::error::Error for CheckpointError {}

impl From<io::Error> for CheckpointError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Io(error),
        }
    }
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    digest: Digest,
}

impl Writer<'_> {
    fn word(&mut self, word: u64) -> io::Result<()> {
        self.digest.absorb(word);
        self.out.write_all(&word.to_le_bytes())
    }

    fn wide(&mut self, wide: u128) -> io::Result<()> {
        self.word(wide as u64)?;
        self.word((wide >> 64) as u64)
    }

    fn all(&mut self, words: impl ExactSizeIterator<Item = u64>) -> io::Result<()> {
        self.word(words.len() as u64)?;
        words.into_iter().try_for_each(|word| self.word(word))
    }
}

struct Reader<'a> {
    input: &'a mut dyn Read,
    digest: Digest,
}

impl Reader<'_> {
    fn word(&mut self) -> Result<u64, CheckpointError> {
        let mut bytes = [0; 8];
        self.input.read_exact(&mut bytes)?;
        let word = u64::from_le_bytes(bytes);
        self.digest.absorb(word);
        Ok(word)
    }

    fn wide(&mut self) -> Result<u128, CheckpointError> {
        Ok(u128::from(self.word()?) | u128::from(self.word()?) << 64)
    }

    /// As many as it says; a number that lies ends with the file.
    fn all<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, CheckpointError>,
    ) -> Result<Vec<T>, CheckpointError> {
        let count = self.word()?;
        (0..count).map(|_| read(self)).collect()
    }
}

impl StateGraph {
    /// Writes what is known of `subject`, a number for the scenario, its kernel and this version, to a file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn write_to(&self, out: &mut dyn Write, subject: u128) -> io::Result<()> {
        let known = self.known();
        let mut writer = Writer { out, digest: Digest::default() };
        writer.word(MAGIC)?;
        writer.wide(subject)?;
        writer.all(known.watched.iter().map(|&class| u64::from(class)))?;
        writer.word(known.cut)?;
        writer.word(known.states.len() as u64)?;
        known.states.iter().try_for_each(|&state| writer.wide(state))?;
        writer.all(known.left_for_others().into_iter())?;
        writer.all(known.found_by.iter().map(|&edge| u64::from(edge)))?;
        writer.all(known.edges.iter().map(|edge| edge.0))?;
        writer.word(known.broken.len() as u64)?;
        for (&state, broken) in &known.broken {
            writer.word(u64::from(state))?;
            writer.word(broken.len() as u64)?;
            for name in broken {
                writer.all(name.bytes().map(u64::from))?;
            }
        }
        let sum = writer.digest.value();
        writer.wide(sum)
    }

    /// What [`StateGraph::write_to`] wrote of `subject`.
    ///
    /// # Errors
    /// If the file is not whole, or of something else.
    pub fn read_from(input: &mut dyn Read, subject: u128) -> Result<Self, CheckpointError> {
        let mut reader = Reader { input, digest: Digest::default() };
        if reader.word().map_err(|error| {
            if matches!(error, CheckpointError::Io(_)) { error } else { CheckpointError::Other }
        })? != MAGIC
        {
            return Err(CheckpointError::Other);
        }
        if reader.wide()? != subject {
            return Err(CheckpointError::Subject);
        }
        let narrow = |word: u64| u32::try_from(word).map_err(|_| CheckpointError::Damaged);
        let mut known = Known {
            watched: reader
                .all(|reader| u8::try_from(reader.word()?).map_err(|_| CheckpointError::Damaged))?,
            cut: reader.word()?,
            states: reader.all(Reader::wide)?,
            left: reader.all(Reader::word)?,
            found_by: reader.all(|reader| narrow(reader.word()?))?,
            edges: reader.all(|reader| Ok(Edge(reader.word()?)))?,
            ..Known::default()
        };
        for _ in 0..reader.word()? {
            let state: State = narrow(reader.word()?)?;
            for _ in 0..reader.word()? {
                let bytes = reader
                    .all(|reader| u8::try_from(reader.word()?).map_err(|_| CheckpointError::Damaged))?;
                let name = String::from_utf8(bytes).map_err(|_| CheckpointError::Damaged)?;
                let info = invariant(&name).ok_or(CheckpointError::Damaged)?;
                known.broken.entry(state).or_default().insert(info.name);
            }
        }
        let sum = reader.digest.value();
        if reader.wide()? != sum || !known.is_sound() {
            return Err(CheckpointError::Damaged);
        }
        known.reopen();
        Ok(Self::of(known))
    }
}
