//! Errors of traces, as people read them.

use pagewalk_input::{Place, Refusal};
use pagewalk_trace::TraceError;

/// The refusal that a trace's error deserves.
pub fn diagnose(error: &TraceError) -> Refusal {
    match error {
        TraceError::Io { file, source } => {
            Refusal::new(Place::File { file: file.clone() }, format!("cannot be read or written: {source}"))
        }
        TraceError::Format { file, offset, found, expected } => {
            let place = Place::Offset { file: file.clone(), offset: *offset };
            Refusal::new(place, "not a whole, undamaged trace")
                .found(found)
                .expected(expected)
                .help("pagewalk trace import makes a native trace from a log; pagewalk trace info checks one")
        }
        TraceError::Text { file, line, column, found, expected } => {
            let place = Place::Text {
                file: file.clone(),
                line: usize::try_from(*line).unwrap_or(usize::MAX),
                column: *column,
                excerpt: String::new(),
                mark: 0..0,
            };
            Refusal::new(place, "this line does not follow the grammar").found(found).expected(expected)
        }
        TraceError::Record { what, why } => {
            Refusal::new(Place::File { file: what.clone() }, format!("cannot be recorded: {why}"))
        }
        TraceError::Input { file, found, expected } => {
            Refusal::new(Place::File { file: file.clone() }, "cannot be imported")
                .found(found)
                .expected(expected)
        }
        TraceError::Spec { name, found, expected } => {
            Refusal::new(Place::File { file: format!("generator parameter `{name}`") }, "out of range")
                .found(found)
                .expected(expected)
        }
    }
}
