//! Results on disk: one file a point, there as a whole or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pagewalk_input::{PART, Place, Refusal, write_whole};

use super::execute::{PointResult, SCHEMA};
use super::plan::Point;

/// What is half written for so long is not being written any more.
const LEFT_OVER: Duration = Duration::from_secs(24 * 3600);

/// The directory of a sweep's results.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The store in a directory, which need not exist yet.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Where the points are.
    fn points(&self) -> PathBuf {
        self.directory.join("points")
    }

    /// Makes the directories.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn create(&self) -> Result<(), Refusal> {
        let points = self.points();
        fs::create_dir_all(&points).map_err(|error| refused(&points, "cannot be made", &error))
    }

    /// A file of the store that is not a point's.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn path(&self, point: &Point) -> PathBuf {
        self.points().join(format!("{}.json", point.id))
    }

    /// Whether a point is finished.
    #[must_use]
    pub fn has(&self, point: &Point) -> bool {
        self.path(point).is_file()
    }

    /// Removes what was left half written by whoever was killed: what is a day old, and once every point is finished, all of points.
    pub fn tidy(&self, finished: bool) {
        for directory in [self.points(), self.directory.clone()] {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                let written = entry.metadata().and_then(|metadata| metadata.modified());
                let old = written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age > LEFT_OVER));
                let part = entry.file_name().to_string_lossy().starts_with(PART);
                if part && (old || finished && directory != self.directory) {
                    // One that cannot be removed does no harm.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    /// Removes pictures of an earlier report, which had more of them.
    pub fn keep_pictures(&self, pictures: &BTreeSet<&str>) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.strip_prefix("chart-").and_then(|name| name.strip_suffix(".svg"));
            let number = number.map(|number| number.strip_suffix("-heat").unwrap_or(number));
            let ours = number.is_some_and(|number| number.parse::<u32>().is_ok());
            if ours && !pictures.contains(name.as_str()) {
                // One that stays does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Keeps a result.
    ///
    /// # Errors
    /// If it cannot be written; nothing is left of it then.
    pub fn keep(&self, point: &Point, result: &PointResult) -> Result<(), Refusal> {
        let mut text = serde_json::to_string(result).expect("a result is plain data with text keys");
        text.push('\n');
        write_whole(&self.path(point), text.as_bytes())
    }

    /// The result of a point, if it is finished.
    ///
    /// # Errors
    /// If its file cannot be read, or is not of this layout.
    pub fn load(&self, point: &Point) -> Result<Option<PointResult>, Refusal> {
        let path = self.path(point);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(&path, "cannot be read", &error)),
        };
        let result: PointResult = serde_json::from_str(&text)
            .map_err(|error| refused(&path, "is no result of a point", &error.into()))
            .map_err(|problem| problem.help("delete it, and the point runs again"))?;
        if result.schema != SCHEMA || result.id != point.id {
            return Err(refused(&path, "is another point's", &io::Error::other(result.id)));
        }
        Ok(Some(result))
    }
}

fn refused(path: &Path, what: &str, error: &io::Error) -> Refusal {
    Refusal::new(Place::File { file: path.display().to_string() }, format!("{what}: {error}"))
}
