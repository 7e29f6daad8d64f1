//! Traces of memory accesses: the native format and its text twin, importers, generators, and summaries.
//!
//! A trace is a set of threads, each with a stream of [`RawAccess`]es, and one stream of [`EventRecord`]s (mappings,
//! forks, exits, reads and writes of files). All of them share one order: every access and every event has a sequence number, counted from 0
//! without gaps.

mod error;
mod event;
mod files;
mod importers;
mod info;
mod lackey;
mod lines;
mod make;
mod native;
mod pages;
mod record;
mod text;
mod valgrind;

pub use error::TraceError;
pub use event::Event;
pub use files::{Advice, FileTable, MAX_FILE_SIZE, MAX_TRANSFER};
pub use importers::{AnyTraceWriter, IMPORTERS, ImportOptions, Importer, sniff};
pub use info::{TouchedRange, TraceSummary};
pub use lackey::{MAX_GAP_PAGES, import_lackey};
pub use lines::decompress;
pub use make::{GeneratorSpec, Pattern, generate};
pub use native::{
    AccessCursor, EventCursor, FileHeader, PendingFile, PlaceRun, Provenance, SeqRun, Summary, ThreadInfo,
    TraceFile, TraceWriter,
};
pub use pages::{PAGE_SIZE, PageSet, Region};
pub use record::{
    ADDRESS_LIMIT, EventRecord, MAX_ACCESS_LEN, MAX_PATH_LEN, MapKind, Op, Place, Prot, RawAccess,
};
pub use text::{export_text, import_text};
pub use valgrind::{Log, LogImport, LogOptions, Turn, has_calls, import_logs, lackey_accesses};
