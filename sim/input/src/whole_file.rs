//! Files that are complete or not there.

use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Place, Refusal};

/// Writes a file that appears when it is complete, and stays if the machine goes down then.
///
/// # Errors
/// If it cannot be written; nothing is left of it then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    let mut file = WholeFile::create(path)?;
    file.write(|file| file.write_all(bytes))?;
    file.finish()
}

/// A file that appears when it is complete, and stays if the machine goes down then. Nothing is left of one that is dropped before.
pub struct WholeFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl WholeFile {
    /// Begins it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path) -> Result<Self, Refusal> {
        // A name of its own: a lost machine that is not lost may write the same file.
        let file = temporary(directory(path)).map_err(|error| unwritten(path, &error))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// The name that it will have.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Adds to it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Refusal> {
        write(&mut self.file).map_err(|error| unwritten(&self.path, &error))
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<(), Refusal> {
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

fn unwritten(path: &Path, error: &io::Error) -> Refusal {
    let place = Place::File { file: path.display().to_string() };
    Refusal::new(place, format!("cannot be written: {error}"))
}

/// How the name of a file begins that is not complete.
pub const PART: &str = ".part-";

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
