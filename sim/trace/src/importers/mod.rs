//! The formats that can be made into native traces: one list, from which the command line and the documents are told.

mod lackey;
mod text;

use std::io::{self, Cursor, Read, Write};

use crate::error::TraceError;
use crate::native::TraceWriter;
use crate::valgrind::Log;

/// The bytes at the front of an input from which its format is told.
const START: u64 = 4 << 10;

/// A writer of traces, wherever they go.
pub type AnyTraceWriter<'w> = TraceWriter<&'w mut dyn Write>;

/// What a user asks of an import, whatever the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Record so many accesses and end there.
    pub max_accesses: Option<u64>,
    /// Look up on this machine what the input only names, such as sizes of files and headers of programs.
    pub look: bool,
}

/// A format that can be made into a native trace.
pub trait Importer: Sync {
    /// Its name, as on the command line.
    fn name(&self) -> &'static str;

    /// What it is, in a sentence without its full stop.
    fn about(&self) -> &'static str;

    /// Whether an input that starts like this, no longer compressed, seems to have the format. `name` is the input's name, for
    /// formats whose bytes do not tell.
    fn sniff(&self, start: &[u8], name: &str) -> bool;

    /// Imports `inputs`, at least one, into `writer`, which the caller finishes.
    ///
    /// # Errors
    /// If an input cannot be read or does not follow the format, there are more than one trace can be made of, or the trace
    /// cannot be written.
    fn import(
        &self,
        inputs: Vec<Log<'_>>,
        options: ImportOptions,
        writer: &mut AnyTraceWriter<'_>,
    ) -> Result<(), TraceError>;
}

/// Every format, in the order in which an input is compared with them.
pub const IMPORTERS: &[&dyn Importer] = &[&text::Text, &lackey::Lackey];

/// The importer of the format that all inputs seem to have. Gives the inputs back whole.
///
/// # Errors
/// If an input cannot be read, seems to have no format of the list, or another than the first.
pub fn sniff<'l>(inputs: Vec<Log<'l>>) -> Result<(&'static dyn Importer, Vec<Log<'l>>), TraceError> {
    let mut first: Option<(&'static dyn Importer, String)> = None;
    let mut whole = Vec::new();
    for Log { name, input } in inputs {
        let (start, input) = peek(input).map_err(|e| TraceError::io(&name, e))?;
        let Some(&importer) = IMPORTERS.iter().find(|importer| importer.sniff(&start, &name)) else {
            let names: Vec<&str> = IMPORTERS.iter().map(|importer| importer.name()).collect();
            let expected = format!("one of {}", names.join(", "));
            return Err(TraceError::input(&name, "the start of an unknown format", expected));
        };
        match &first {
            None => first = Some((importer, name.clone())),
            Some((other, of)) if other.name() != importer.name() => {
                let found = format!("format {}", importer.name());
                let expected = format!("format {}, like {of}", other.name());
                return Err(TraceError::input(&name, found, expected));
            }
            Some(_) => {}
        }
        whole.push(Log { name, input });
    }
    match first {
        Some((importer, _)) => Ok((importer, whole)),
        None => Err(TraceError::input("import", "no input", "at least one")),
    }
}

/// The first bytes of an input, and the input whole.
fn peek<'l>(mut input: Box<dyn Read + 'l>) -> io::Result<(Vec<u8>, Box<dyn Read + 'l>)> {
    let mut start = Vec::new();
    input.by_ref().take(START).read_to_end(&mut start)?;
    Ok((start.clone(), Box::new(Cursor::new(start).chain(input))))
}

/// The one input of a format that makes a trace of one.
fn only<'l>(mut inputs: Vec<Log<'l>>, format: &dyn Importer) -> Result<Log<'l>, TraceError> {
    match inputs.pop() {
        Some(input) if inputs.is_empty() => Ok(input),
        other => {
            let name = other.map_or_else(String::new, |input| input.name);
            let found = format!("{} inputs", inputs.len() + usize::from(!name.is_empty()));
            Err(TraceError::input(&name, found, format!("one input of format {}", format.name())))
        }
    }
}
