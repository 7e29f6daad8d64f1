//! Where each value of a machine description stands in its text.
//!
//! The RON reader gives a position only with an error. This scanner gives one for every value of a text that
//! the reader has accepted; on anything it does not know it stops, and the values found so far stand.

use std::collections::BTreeMap;
use std::ops::Range;

/// The deepest nesting followed; an accepted machine description has far less.
const MAX_DEPTH: usize = 16;

/// The byte range of every value in an accepted text, by path (`tlb.l1d[0].entries`).
pub(super) fn locate(text: &str) -> BTreeMap<String, Range<usize>> {
    let mut scan = Scan { text, at: 0, found: BTreeMap::new() };
    scan.attributes();
    let _ = scan.value(String::new(), 0);
    scan.found
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    found: BTreeMap<String, Range<usize>>,
}

impl Scan<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn eat_while(&mut self, allowed: impl Fn(char) -> bool) -> usize {
        let length = self.rest().find(|c| !allowed(c)).unwrap_or(self.rest().len());
        self.at += length;
        length
    }

    fn attributes(&mut self) {
        self.space();
        while self.eat("#!") {
            self.eat_while(|c| c != ']');
            self.eat("]");
            self.space();
        }
    }

    fn space(&mut self) {
        loop {
            let mut moved = self.eat_while(char::is_whitespace) > 0;
            if self.eat("//") {
                self.eat_while(|c| c != '\n');
                moved = true;
            }
            if self.eat("/*") {
                self.block_comment();
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    /// The rest of a block comment; block comments nest.
    fn block_comment(&mut self) {
        let mut open = 1;
        while open > 0 && !self.rest().is_empty() {
            if self.eat("/*") {
                open += 1;
            } else if self.eat("*/") {
                open -= 1;
            } else {
                self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            }
        }
    }

    fn value(&mut self, path: String, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        let start = self.at;
        if !self.string() {
            self.eat_while(|c| c.is_alphanumeric() || "_+-.#".contains(c));
            let end = self.at;
            self.space();
            if self.eat("(") {
                self.fields(&path, depth)?;
            } else if self.eat("[") {
                self.items(&path, depth)?;
            } else if end == start {
                return None;
            } else {
                self.at = end;
            }
        }
        self.found.insert(path, start..self.at);
        Some(())
    }

    /// A string, raw or not; false if none begins here.
    fn string(&mut self) -> bool {
        let raw = self.rest().strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
        if let Some(hashes) = raw
            && self.rest()[1 + hashes..].starts_with('"')
        {
            self.at += 2 + hashes;
            let close = format!("\"{}", "#".repeat(hashes));
            self.at += self.rest().find(&close).map_or(self.rest().len(), |at| at + close.len());
            return true;
        }
        if !self.eat("\"") {
            return false;
        }
        while !self.rest().is_empty() && !self.eat("\"") {
            self.eat("\\");
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
        }
        true
    }

    fn fields(&mut self, path: &str, depth: usize) -> Option<()> {
        loop {
            self.space();
            if self.eat(")") {
                return Some(());
            }
            let start = self.at;
            self.eat("r#");
            let name = self.at;
            if self.eat_while(|c| c.is_alphanumeric() || c == '_') == 0 {
                return None;
            }
            let field = self.text[name..self.at].to_owned();
            self.space();
            if !self.eat(":") {
                self.at = start;
                return None;
            }
            let inner = if path.is_empty() { field } else { format!("{path}.{field}") };
            self.value(inner, depth + 1)?;
            self.space();
            self.eat(",");
        }
    }

    fn items(&mut self, path: &str, depth: usize) -> Option<()> {
        for index in 0_usize.. {
            self.space();
            if self.eat("]") {
                return Some(());
            }
            self.value(format!("{path}[{index}]"), depth + 1)?;
            self.space();
            self.eat(",");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(text: &'a str, path: &str) -> Option<&'a str> {
        locate(text).get(path).map(|range| &text[range.clone()])
    }

    #[test]
    fn every_value_is_found_where_it_stands() {
        let text = r##"#![enable(implicit_some)] // head
            Machine( /* a /* nested */ ) */ name: "a \" ) b", description: r#"raw " ("#,
              tlb: Tlb(l1d: [(entries: 64, ways: "full"), (entries: 4_000,),], pcid: true),
              walk_caches: (), costs: (access : -5 ))"##;
        assert_eq!(shown(text, "name"), Some(r#""a \" ) b""#));
        assert_eq!(shown(text, "description"), Some(r##"r#"raw " ("#"##));
        assert_eq!(shown(text, "tlb.l1d[0].ways"), Some("\"full\""));
        assert_eq!(shown(text, "tlb.l1d[1].entries"), Some("4_000"));
        assert_eq!(shown(text, "tlb.l1d[1]"), Some("(entries: 4_000,)"));
        assert_eq!(shown(text, "tlb.pcid"), Some("true"));
        assert_eq!(shown(text, "walk_caches"), Some("()"));
        assert_eq!(shown(text, "costs.access"), Some("-5"));
    }

    #[test]
    fn any_text_ends_the_scan() {
        let deep = "(a:".repeat(100_000);
        for text in ["", "(", "[", "\"", "r#\"", "/*", "//", "(a", "(a:", "(a:1", "{", "é", "\\", &deep] {
            locate(text);
        }
    }
}
