//! What can be wrong with a trace, said so that a person can find and mend it.

use std::io;

/// An error of reading, writing, importing or generating a trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The operating system refused an operation on a file.
    #[error("{file}: {source}")]
    Io {
        /// The file, as the user named it.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A binary trace holds something that its format forbids.
    #[error("{file}: byte {offset}: found {found}, expected {expected}")]
    Format {
        /// The file, as the user named it.
        file: String,
        /// Offset of the offending structure from the start of the file, in bytes.
        offset: u64,
        /// What is there.
        found: String,
        /// What the format demands there.
        expected: String,
    },
    /// A line of a text trace does not follow its grammar.
    #[error("{file}:{line}:{column}: found {found}, expected {expected}")]
    Text {
        /// The file, as the user named it.
        file: String,
        /// Line number, from 1.
        line: u64,
        /// Column in bytes, from 1.
        column: usize,
        /// The token that stands there.
        found: String,
        /// The grammar of what may stand there.
        expected: String,
    },
    /// A record was given to a writer that no trace can hold.
    #[error("cannot record {what}: {why}")]
    Record {
        /// What kind of record it is, as the text form calls it.
        what: String,
        /// The rule it breaks.
        why: String,
    },
    /// An input that no importer takes, or not together with the others.
    #[error("{file}: found {found}, expected {expected}")]
    Input {
        /// The input, as the user named it.
        file: String,
        /// What it is.
        found: String,
        /// What an import needs.
        expected: String,
    },
    /// A generator's parameters are outside their ranges.
    #[error("generator parameter `{name}`: found {found}, expected {expected}")]
    Spec {
        /// The parameter's name.
        name: &'static str,
        /// Its value.
        found: String,
        /// The values it may have.
        expected: String,
    },
}

impl TraceError {
    /// Wraps an error of the operating system about `file`.
    pub(crate) fn io(file: &str, source: io::Error) -> Self {
        Self::Io { file: file.to_owned(), source }
    }

    /// A violation of the binary format at `offset` of `file`.
    pub(crate) fn format(
        file: &str,
        offset: u64,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Format { file: file.to_owned(), offset, found: found.into(), expected: expected.into() }
    }

    /// An input that cannot be imported as it is given.
    pub(crate) fn input(file: &str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Input { file: file.to_owned(), found: found.into(), expected: expected.into() }
    }

    /// A record that breaks the rule `why`.
    pub(crate) fn record(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Record { what: what.into(), why: why.into() }
    }
}
