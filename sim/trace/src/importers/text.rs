//! The text twin of the native format, as one of the formats to import.

use super::{AnyTraceWriter, ImportOptions, Importer, only};
use crate::error::TraceError;
use crate::text::{FIRST_LINE, import_text_up_to};
use crate::valgrind::Log;

/// One text is one whole trace.
pub(super) struct Text;

impl Importer for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn about(&self) -> &'static str {
        "The text twin of the native format"
    }

    fn sniff(&self, start: &[u8], _name: &str) -> bool {
        let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        first.strip_suffix(b"\r").unwrap_or(first) == FIRST_LINE.as_bytes()
    }

    fn import(
        &self,
        inputs: Vec<Log<'_>>,
        options: ImportOptions,
        writer: &mut AnyTraceWriter<'_>,
    ) -> Result<(), TraceError> {
        let Log { name, input } = only(inputs, self)?;
        import_text_up_to(options.max_accesses, input, &name, writer)
    }
}
