//! Files as a whole: reading those that people write, finding places in them, and writing what is complete or not there.

use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ron::error::Position;
use tempfile::NamedTempFile;

use crate::diagnostic::{Diagnostic, Place};

/// The text of a file of at most `most` bytes; `what` is what messages call it.
pub(crate) fn read_text(name: &str, what: &str, most: u64) -> Result<String, Diagnostic> {
    let here = || Place::File { file: name.to_owned() };
    let failed = |error: &std::io::Error| Diagnostic::new(here(), format!("cannot read the {what}: {error}"));
    let file = File::open(name).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > most {
        return Err(Diagnostic::new(here(), format!("the {what} is too long"))
            .expected(format!("at most {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to() as u64;
        Diagnostic::new(Place::Offset { file: name.to_owned(), offset }, "the file is not text")
            .expected("UTF-8")
    })
}

/// The byte offset of a line and column, both from 1, columns in characters.
pub(crate) fn offset_of(text: &str, position: Position) -> usize {
    let mut start = 0;
    for _ in 1..position.line {
        start += text[start..].find('\n').map_or(text.len() - start, |at| at + 1);
    }
    let line = &text[start..];
    line.char_indices().nth(position.col.saturating_sub(1)).map_or(text.len(), |(at, _)| start + at)
}

/// Where `word` stands in the text, if it does: as a whole, outside comments. The last place: a name is declared before it is used wrongly.
pub(crate) fn find(text: &str, word: &str) -> Range<usize> {
    mentions(text, word).last().map_or(0..0, |at| at..at + word.len())
}

/// All places where `word` stands in the text as a whole, outside comments; none for no word.
pub(crate) fn mentions<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    let mut next = 0;
    let lines = text.split_inclusive('\n').filter(|_| !word.is_empty());
    lines.flat_map(move |line| {
        let start = next;
        next += line.len();
        let code = code(line);
        let whole = move |&(at, _): &(usize, &str)| {
            !code[..at].ends_with(joins) && !code[at + word.len()..].starts_with(joins)
        };
        code.match_indices(word).filter(whole).map(move |(at, _)| start + at)
    })
}

/// A line without its comment.
fn code(line: &str) -> &str {
    let (mut quoted, mut escaped, mut slash) = (false, false, false);
    for (at, c) in line.char_indices() {
        match c {
            '/' if slash => return &line[..at - 1],
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        slash = c == '/' && !quoted;
        escaped = c == '\\' && quoted && !escaped;
    }
    line
}

/// Writes a file that appears when it is complete, and stays if the machine goes down then.
///
/// # Errors
/// If it cannot be written; nothing is left of it then.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    let mut file = WholeFile::create(path)?;
    file.write(|file| file.write_all(bytes))?;
    file.finish()
}

/// A file that appears when it is complete, and stays if the machine goes down then. Nothing is left of one that is dropped before.
pub(crate) struct WholeFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl WholeFile {
    /// Begins it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn create(path: &Path) -> Result<Self, Diagnostic> {
        // A name of its own: a lost machine that is not lost may write the same file.
        let file = temporary(directory(path)).map_err(|error| unwritten(path, &error))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// The name that it will have.
    #[cfg(feature = "parquet")]
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Adds to it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Diagnostic> {
        write(&mut self.file).map_err(|error| unwritten(&self.path, &error))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn finish(self) -> Result<(), Diagnostic> {
        let Self { file, path } = self;
        let finished = || -> io::Result<()> {
            let file = file.into_inner().map_err(IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            File::open(directory(&path))?.sync_all()
        };
        finished().map_err(|error| unwritten(&path, &error))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unwritten(path: &Path, error: &io::Error) -> Diagnostic {
    let place = Place::File { file: path.display().to_string() };
    Diagnostic::new(place, format!("cannot be written: {error}"))
}

/// How the name of a file begins that is not complete.
pub(crate) const PART: &str = ".part-";

/// A file with a name of its own, and the permissions of any file that a program makes.
fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PART);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less what the umask takes away
    }
    builder.tempfile_in(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_as_a_whole_and_outside_comments() {
        assert_eq!(find("// a\nab a b", "a"), 8..9);
        assert_eq!(find("ab", "a"), 0..0);
        assert_eq!(find("a", ""), 0..0);
        assert_eq!(find("\"a//b\" // a//b", "a//b"), 1..5);
        assert_eq!(find("\"\\\"//\" b // b", "b"), 7..8);
    }
}
