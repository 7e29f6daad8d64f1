//! What an importer may look up beside the log: the files that it names, if they are still there.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::elf::HEAD;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A regular file: its path without symbolic links, and its size in bytes.
    File(String, u64),
    Directory,
    /// A device, a pipe, a socket.
    Stream,
}

/// Looks at the file system, or refuses to.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) open: bool,
}

impl World {
    /// What `path`, which begins with `/`, names now; without a look, only what the path itself says.
    pub(super) fn find(self, path: &str) -> Option<Found> {
        if ["/dev/", "/proc/", "/sys/"].iter().any(|prefix| path.starts_with(prefix)) {
            return Some(Found::Stream);
        }
        if !self.open {
            return None;
        }
        let about = fs::metadata(path).ok()?;
        if about.is_dir() {
            return Some(Found::Directory);
        }
        if !about.is_file() {
            return Some(Found::Stream);
        }
        let canonical = fs::canonicalize(path).ok()?;
        Some(Found::File(canonical.to_str()?.to_owned(), about.len()))
    }

    /// The first bytes of a file.
    pub(super) fn head(self, path: &str) -> Option<Vec<u8>> {
        if !self.open || !Path::new(path).is_file() {
            return None;
        }
        let mut head = Vec::new();
        fs::File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
        Some(head)
    }
}

/// `path` seen from `directory`, without `.` and `..`; `None` if the directory is not known and matters.
pub(super) fn absolute(directory: Option<&str>, path: &str) -> Option<String> {
    let from = if path.starts_with('/') { "" } else { directory? };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}
