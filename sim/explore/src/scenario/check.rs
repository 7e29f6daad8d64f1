//! What a scenario must be to be runnable; everything a file can get wrong is told before anything runs.

use std::collections::BTreeSet;

use super::{MOST_CPUS, MOST_OPS, Operation, Scenario};

/// What is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was found and what was expected.
    pub message: String,
    /// The word of the file that shows it best, to point at.
    pub word: String,
}

/// Tables that map the pages of the process: one of each level.
const TABLES: usize = 4;

fn problem(word: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem { message: message.into(), word: word.into() }
}

impl Scenario {
    /// Whether it can be run.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Problem> {
        if !(64..=4096).contains(&self.frames) {
            return Err(problem("frames", format!("{} frames: must be 64 to 4096", self.frames)));
        }
        if !(1..=MOST_CPUS).contains(&self.cpus.len()) {
            return Err(problem("cpus", format!("{} CPUs: must be 1 to {MOST_CPUS}", self.cpus.len())));
        }
        self.check_files()?;
        self.check_maps()?;
        for (cpu, program) in self.cpus.iter().enumerate() {
            if program.len() > MOST_OPS {
                let message = format!("CPU {cpu} has {} operations: at most {MOST_OPS}", program.len());
                return Err(problem("cpus", message));
            }
            program.iter().try_for_each(|operation| self.check_operation(operation))?;
        }
        self.check_reclaims()?;
        self.check_frames()
    }

    /// All that it can have in memory at once fits: what is there when it begins, and what its programs bring, as if nothing were
    /// given back meanwhile.
    fn check_frames(&self) -> Result<(), Problem> {
        let cached = self.files.iter().map(|file| file.cached.len()).sum::<usize>();
        let tables = if self.maps.is_empty() { 0 } else { TABLES };
        let warm = self.warm.iter().map(|&(_, page)| page).collect::<BTreeSet<_>>().len();
        let operations = self.cpus.iter().flatten();
        // A page of the file, and a copy where the mapping is private.
        let brought = operations.map(Operation::allocates).sum::<usize>() + 2 * warm;
        let need = 1 + cached + tables + brought; // frame 0 is nobody's
        if need <= self.frames as usize {
            return Ok(());
        }
        let word = match self.frames == super::default_frames() {
            false => "frames",
            true if cached > brought => "cached",
            true => "cpus",
        };
        let parts =
            [(cached, "cached pages"), (tables, "page tables"), (brought, "pages that may be allocated")];
        let parts =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let parts = parts.collect::<Vec<_>>().join(", ");
        let message = format!(
            "{} frames: must be at least {need}, for {parts} and frame 0, which is nobody's",
            self.frames
        );
        Err(problem(word, message))
    }

    fn check_files(&self) -> Result<(), Problem> {
        if !(1..=8).contains(&self.files.len()) {
            return Err(problem("files", format!("{} files: must be 1 to 8", self.files.len())));
        }
        let mut names = BTreeSet::new();
        for file in &self.files {
            if !names.insert(&file.name) {
                return Err(problem(&file.name, format!("two files named `{}`", file.name)));
            }
            if file.pages > 1 << 20 {
                return Err(problem(
                    &file.name,
                    format!("`{}` has {} pages: at most 2^20", file.name, file.pages),
                ));
            }
            if file.cached.len() > 16 {
                return Err(problem(&file.name, format!("`{}` has more than 16 pages cached", file.name)));
            }
            let cached: BTreeSet<_> = file.cached.iter().collect();
            if cached.len() < file.cached.len() {
                return Err(problem(&file.name, format!("a page of `{}` is cached twice", file.name)));
            }
            if let Some(page) = file.cached.iter().find(|&&page| page >= file.pages) {
                let message =
                    format!("page {page} of `{}` is cached, and it has {} pages", file.name, file.pages);
                return Err(problem(&file.name, message));
            }
            if let Some(page) = file.dirty.iter().find(|page| !cached.contains(page)) {
                return Err(problem(
                    &file.name,
                    format!("page {page} of `{}` is dirty and not cached", file.name),
                ));
            }
        }
        Ok(())
    }

    fn check_maps(&self) -> Result<(), Problem> {
        if self.maps.len() > 4 {
            return Err(problem("maps", format!("{} mappings: at most 4", self.maps.len())));
        }
        for map in &self.maps {
            self.known(&map.file)?;
            if !(1..=16).contains(&map.pages) {
                return Err(problem("maps", format!("a mapping of {} pages: must be 1 to 16", map.pages)));
            }
        }
        for &(cpu, page) in &self.warm {
            if usize::from(cpu) >= self.cpus.len() {
                return Err(problem("warm", format!("there is no CPU {cpu}")));
            }
            self.mapped(page)?;
        }
        Ok(())
    }

    fn known(&self, file: &str) -> Result<(), Problem> {
        if self.files.iter().any(|known| known.name == file) {
            return Ok(());
        }
        let names: Vec<_> = self.files.iter().map(|file| format!("`{}`", file.name)).collect();
        Err(problem(file, format!("no file is named `{file}`: there is {}", names.join(", "))))
    }

    /// Pages of the process.
    pub(crate) fn mapped_pages(&self) -> u64 {
        self.maps.iter().map(|map| map.pages).sum()
    }

    /// Whether this page of the process is mapped shared.
    pub(crate) fn is_shared(&self, page: u64) -> bool {
        let mut first = 0;
        self.maps.iter().any(|map| {
            let inside = (first..first + map.pages).contains(&page);
            first += map.pages;
            inside && map.shared
        })
    }

    fn mapped(&self, page: u64) -> Result<(), Problem> {
        let pages = self.mapped_pages();
        if page < pages {
            return Ok(());
        }
        Err(problem("maps", format!("the process has {pages} pages mapped, and page {page} is named")))
    }

    fn check_operation(&self, operation: &Operation) -> Result<(), Problem> {
        if let Some((file, page)) = operation.target() {
            self.known(file)?;
            if page > 1 << 20 {
                return Err(problem(
                    file,
                    format!("page {page} of `{file}` is beyond the largest file, 2^20 pages"),
                ));
            }
        }
        if let Some(page) = operation.accesses() {
            self.mapped(page)?;
        }
        match operation {
            Operation::GangLookup { most, .. } if !(1..=14).contains(most) => {
                Err(problem("most", format!("a lookup of {most} pages: must be 1 to 14")))
            }
            _ => Ok(()),
        }
    }

    fn check_reclaims(&self) -> Result<(), Problem> {
        let mut isolated = BTreeSet::new();
        for operation in self.cpus.iter().flatten() {
            let Operation::Reclaim { file, page } = operation else { continue };
            let known = self.files.iter().find(|known| known.name == *file);
            if !known.is_some_and(|known| known.cached.contains(page)) {
                let message =
                    format!("page {page} of `{file}` is reclaimed, and is not cached when it begins");
                return Err(problem("Reclaim", message));
            }
            if !isolated.insert((file, page)) {
                return Err(problem("Reclaim", format!("page {page} of `{file}` is isolated twice")));
            }
        }
        Ok(())
    }
}
