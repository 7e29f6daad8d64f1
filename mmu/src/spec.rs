//! The error of a hardware description that cannot be built.

use std::fmt;

/// Why a description of hardware was refused: one plain sentence, without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError(String);

impl SpecError {
    /// Refused for this reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The same error, saying first which part it is about.
    pub(crate) fn within(self, part: &str) -> Self {
        Self(format!("{part}: {}", self.0))
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SpecError {}
