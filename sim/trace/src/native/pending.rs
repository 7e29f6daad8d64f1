//! A file that does not exist until it is complete.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::TraceError;

/// A file under a temporary name that gets its real name when it is complete.
pub struct PendingFile {
    temporary: BufWriter<tempfile::NamedTempFile>,
    target: PathBuf,
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.temporary.flush()
    }
}

impl PendingFile {
    /// Makes the temporary file in the directory of `target`.
    ///
    /// # Errors
    /// If that directory does not exist or is not writable.
    pub fn create(target: &Path) -> Result<Self, TraceError> {
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(".partial");
        #[cfg(unix)]
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        #[cfg(unix)]
        builder.permissions(permissions);
        let file = builder.tempfile_in(directory);
        let file = file.map_err(|e| TraceError::io(&target.display().to_string(), e))?;
        let temporary = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { temporary, target: target.to_owned() })
    }

    /// Gives the file its name, replacing what was there.
    ///
    /// # Errors
    /// If writing the rest or renaming fails; the temporary file is then gone.
    pub fn commit(self) -> Result<(), TraceError> {
        self.persist().map_err(|(name, e)| TraceError::io(&name, e))
    }

    /// The name it will have.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    pub(super) fn persist(self) -> Result<(), (String, std::io::Error)> {
        let name = self.target.display().to_string();
        let file = self.temporary.into_inner().map_err(|e| (name.clone(), e.into_error()))?;
        file.persist(&self.target).map_err(|e| (name, e.error))?;
        Ok(())
    }
}
