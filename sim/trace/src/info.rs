//! What is in a trace: the totals of the index, and the pages that a pass over all accesses finds.

use std::fmt;

use crate::error::TraceError;
use crate::event::EVENT_NAMES;
use crate::lackey::MAX_GAP_PAGES;
use crate::native::{FileHeader, Summary, ThreadInfo, TraceFile};
use crate::pages::{PAGE_SIZE, PageSet};
use crate::record::{Op, Prot};

/// A part of one process's address space that the trace touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TouchedRange {
    /// Number of the process, as the trace gives it.
    pub pid: u32,
    /// First byte of the first page.
    pub start: u64,
    /// The byte after the last page.
    pub end: u64,
    /// Pages in between that are touched. Untouched stretches are of at most [`MAX_GAP_PAGES`] pages.
    pub pages: u64,
    /// How they are touched.
    pub how: Prot,
}

/// What is in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSummary {
    /// Version and length of the file, and its blocks.
    pub header: FileHeader,
    /// Totals and provenance.
    pub totals: Summary,
    /// Threads.
    pub threads: usize,
    /// Processes.
    pub processes: usize,
    /// Distinct pages of 4096 bytes, counted in each process on its own.
    pub pages: u64,
    /// Where these are, by process and address.
    pub ranges: Vec<TouchedRange>,
}

impl TraceSummary {
    /// Reads all accesses of a trace. Takes memory for the touched pages, and time for one pass.
    ///
    /// # Errors
    /// If the trace is damaged, or touches more scattered pages than [`PageSet`] can hold.
    pub fn of(file: &TraceFile) -> Result<Self, TraceError> {
        let (mut processes, mut pages, mut ranges) = (0, 0, Vec::new());
        // Threads are in the order of their processes.
        for threads in file.threads().chunk_by(|a, b| a.pid == b.pid) {
            let set = pages_of(file, threads)?;
            processes += 1;
            pages += set.len();
            ranges.extend(set.regions(MAX_GAP_PAGES).into_iter().map(|region| TouchedRange {
                pid: threads[0].pid,
                start: region.start * PAGE_SIZE,
                end: region.end * PAGE_SIZE,
                pages: region.touched,
                how: region.how,
            }));
        }
        Ok(Self {
            header: file.header(),
            totals: file.summary().clone(),
            threads: file.threads().len(),
            processes,
            pages,
            ranges,
        })
    }

    /// Bytes of the file per 1000 accesses.
    pub fn bytes_per_1000_accesses(&self) -> u64 {
        let bytes = u128::from(self.header.file_len) * 1000;
        (bytes / u128::from(self.totals.accesses().max(1))) as u64
    }
}

/// The pages that some threads touch.
fn pages_of(file: &TraceFile, threads: &[ThreadInfo]) -> Result<PageSet, TraceError> {
    let mut set = PageSet::default();
    let (mut accesses, mut runs) = (Vec::new(), Vec::new());
    for thread in threads {
        let mut cursor = file.accesses(thread.tid);
        while cursor.next_block(&mut accesses, &mut runs, |access| access)? {
            accesses.drain(..).try_for_each(|access| set.touch(access))?;
            runs.clear();
        }
    }
    Ok(set)
}

/// The most ranges that are listed for people.
const LISTED_RANGES: usize = 40;

impl fmt::Display for TraceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provenance = &self.totals.provenance;
        let FileHeader { version: (major, minor), file_len, blocks } = self.header;
        writeln!(f, "format     native {major}.{minor}, {blocks} blocks, {file_len} bytes")?;
        let per_access = self.bytes_per_1000_accesses();
        writeln!(f, "size       {}.{:03} bytes per access", per_access / 1000, per_access % 1000)?;
        writeln!(f, "source     {}", provenance.source)?;
        writeln!(f, "command    {}", provenance.command)?;
        for note in &provenance.notes {
            writeln!(f, "note       {note}")?;
        }
        for (name, count) in &provenance.ignored {
            writeln!(f, "ignored    {count} lines: {name}")?;
        }
        writeln!(f, "processes  {}", self.processes)?;
        writeln!(f, "threads    {}", self.threads)?;
        let (accesses, bytes) = (self.totals.accesses(), self.totals.bytes);
        writeln!(f, "accesses   {accesses} of {bytes} bytes in total")?;
        for (op, count) in Op::ALL.iter().zip(self.totals.by_op) {
            writeln!(f, "  {:<9}{count}", op.name())?;
        }
        writeln!(f, "events     {}", self.totals.events())?;
        for (name, count) in EVENT_NAMES.iter().zip(self.totals.events_by_kind) {
            if count > 0 {
                writeln!(f, "  {name:<13}{count}")?;
            }
        }
        writeln!(f, "pages      {} of 4096 bytes", self.pages)?;
        for range in self.ranges.iter().take(LISTED_RANGES) {
            let TouchedRange { pid, start, end, pages, how } = range;
            writeln!(f, "  {pid:<8}{start:014x}-{end:014x} {how} {pages}")?;
        }
        match self.ranges.len().saturating_sub(LISTED_RANGES) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more ranges"),
        }
    }
}
