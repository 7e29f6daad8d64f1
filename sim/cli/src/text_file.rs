//! Files as a whole: reading those that people write, finding places in them, and writing what is complete or not there.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

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

/// Writes a file that appears when it is complete, and stays if the machine goes down then.
///
/// # Errors
/// If it cannot be written; nothing is left of it then.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    let written = || -> io::Result<()> {
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A name of its own: a lost machine that is not lost may write the same point.
        let mut file = temporary(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    };
    written().map_err(|error| {
        let place = Place::File { file: path.display().to_string() };
        Diagnostic::new(place, format!("cannot be written: {error}"))
    })
}

/// A file with a name of its own, and the permissions of any file that a program makes.
fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".part-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666)); // less what the umask takes away
    }
    builder.tempfile_in(directory)
}
