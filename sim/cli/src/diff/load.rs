//! Reading an account: JSON that this program wrote, or a refusal that says where it is not.

use std::fs::File;
use std::io::Read;

use pagewalk_input::{Place, Refusal};
use serde_json::Value;

/// The largest account read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Accounts that can be compared.
const SCHEMAS: [&str; 2] = ["pagewalk.replay/1", "pagewalk.replay-seeds/1"];

/// An account as it was read.
pub(super) struct Account {
    pub(super) file: String,
    pub(super) value: Value,
    text: String,
}

impl Account {
    /// Reads `file`.
    pub(super) fn read(file: &str) -> Result<Self, Refusal> {
        let place = || Place::File { file: file.to_owned() };
        let refused = |error: std::io::Error| Refusal::new(place(), format!("cannot be read: {error}"));
        let mut bytes = Vec::new();
        let opened = File::open(file).map_err(refused)?;
        opened.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Refusal::new(place(), "the file is too large").expected("at most 64 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let place = Place::Offset { file: file.to_owned(), offset: at as u64 };
            Refusal::new(place, "the file is not text").expected("JSON in UTF-8")
        })?;
        Self::parse(file, text)
    }

    fn parse(file: &str, text: String) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_str(&text).map_err(|error| {
            let at = offset(&text, error.line(), error.column());
            let place = Place::in_text(file, &text, at..at + 1);
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or(&said);
            Refusal::new(place, format!("this is no JSON: {said}")).help(HELP)
        })?;
        let account = Self { file: file.to_owned(), value, text };
        match account.schema() {
            Some(schema) if SCHEMAS.contains(&schema) => Ok(account),
            Some(schema) => {
                let problem = Refusal::new(account.schema_place(), "this account cannot be compared");
                Err(problem.found(schema.to_owned()).expected(SCHEMAS.join(" or ")).help(HELP))
            }
            None => {
                let problem = Refusal::new(account.schema_place(), "this is no account of a replay");
                Err(problem.found("JSON without a text `schema`").expected(SCHEMAS.join(" or ")).help(HELP))
            }
        }
    }

    /// Refuses to compare accounts of different kinds.
    pub(super) fn comparable_with(&self, first: &Self) -> Result<(), Refusal> {
        if self.schema() == first.schema() {
            return Ok(());
        }
        let found = self.schema().unwrap_or_default().to_owned();
        let problem = Refusal::new(self.schema_place(), "these accounts are of different kinds");
        Err(problem.found(found).expected(format!(
            "{}, as in {}",
            first.schema().unwrap_or_default(),
            first.file
        )))
    }

    fn schema(&self) -> Option<&str> {
        self.value.get("schema").and_then(Value::as_str)
    }

    /// Where the schema stands, or should.
    fn schema_place(&self) -> Place {
        let at = self.text.find("\"schema\"").or_else(|| self.text.find(|c: char| !c.is_whitespace()));
        let at = at.unwrap_or(0);
        let end = self.text[at..].find(['\n', ',']).map_or(at + 1, |length| at + length.max(1));
        Place::in_text(&self.file, &self.text, at..end)
    }

    /// The command that made it.
    pub(super) fn command(&self) -> &str {
        self.value.get("command").and_then(Value::as_str).unwrap_or_default()
    }
}

const HELP: &str = "`pagewalk replay TRACE --json FILE` writes an account";

/// The byte offset of a line and a column in bytes, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match Account::parse("x.json", text.to_owned()) {
            Ok(_) => panic!("accepted: {text}"),
            Err(refusal) => format!("{}: {}", refusal.place, refusal.message),
        }
    }

    #[test]
    fn refusals_say_line_and_column() {
        assert_eq!(refusal("{\"a\": 1,\n \"b\": tru }"), "x.json:2:10: this is no JSON: expected ident");
        assert_eq!(refusal(""), "x.json:1:1: this is no JSON: EOF while parsing a value");
        assert_eq!(refusal("\n [1, 2]"), "x.json:2:2: this is no account of a replay");
        let other = "{\n  \"schema\": \"pagewalk.sweep/1\"\n}";
        assert_eq!(refusal(other), "x.json:2:3: this account cannot be compared");
        assert_eq!(refusal(&"[".repeat(100_000)), "x.json:1:128: this is no JSON: recursion limit exceeded");
    }

    #[test]
    fn kinds_do_not_mix() {
        let account = |schema| Account::parse(schema, format!("{{\"schema\": \"{schema}\"}}")).ok();
        let (Some(one), Some(seeds)) = (account(SCHEMAS[0]), account(SCHEMAS[1])) else {
            panic!("both are accounts")
        };
        assert!(one.comparable_with(&one).is_ok() && seeds.comparable_with(&one).is_err());
    }
}
