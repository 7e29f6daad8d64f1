//! The native format: compressed blocks that are found through an index, each decodable by itself.
//!
//! `docs/trace-format.md` describes it byte by byte. `control` and `access` hold the columns of accesses, `event` and
//! `file_event` the events, `layout` the fixed structures, `index` the footer; `reader`, `cursor` and `writer` are what others use.

mod access;
mod bytes;
mod control;
mod cursor;
mod event;
mod file_event;
mod index;
mod layout;
mod pending;
mod reader;
mod writer;

pub use access::{PlaceRun, SeqRun};
pub use cursor::{AccessCursor, EventCursor};
pub use index::{Provenance, Summary, ThreadInfo};
pub use pending::PendingFile;
pub use reader::{FileHeader, TraceFile};
pub use writer::TraceWriter;

pub(crate) use index::MAX_LIST;
