//! The text twin of the native format: one access or event per line, for people and small tools.
//!
//! `docs/trace-format.md` has the grammar. Reading what was written gives the same trace.

mod files;
mod parse;
mod print;

pub use parse::import_text;
pub(crate) use parse::import_text_up_to;
pub use print::export_text;

/// First line of a text trace.
pub(crate) const FIRST_LINE: &str = "pagewalk-trace 1";

/// Quotes a string so that it is one word of a line.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
