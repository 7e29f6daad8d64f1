//! Text input by lines: compressed or not, of any size, in bounded memory.

use std::io::{self, Cursor, Read};

use crate::error::TraceError;
use crate::record::RawAccess;
use crate::valgrind::fast;

/// The longest line that is read, in bytes.
const MAX_LINE: usize = 64 << 10;

/// Undoes gzip or zstd compression, which it recognises by the first bytes; passes everything else through.
///
/// # Errors
/// If the first bytes cannot be read.
pub fn decompress<'a>(mut input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    input.by_ref().take(4).read_to_end(&mut start)?;
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    let zstd = start == [0x28, 0xb5, 0x2f, 0xfd];
    let whole = Cursor::new(start).chain(input);
    Ok(if gzip {
        Box::new(flate2::read::MultiGzDecoder::new(whole))
    } else if zstd {
        Box::new(zstd::stream::read::Decoder::new(whole)?)
    } else {
        Box::new(whole)
    })
}

/// Gives one line after another, with numbers for error messages.
pub(crate) struct Lines<R> {
    input: R,
    name: String,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    number: u64,
    ended: bool,
    starved: bool,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R, name: &str) -> Self {
        let buffer = vec![0; 4 * MAX_LINE];
        Self {
            input,
            name: name.to_owned(),
            buffer,
            start: 0,
            end: 0,
            number: 0,
            ended: false,
            starved: false,
        }
    }

    /// Gives the accesses of the lines that are already here, in the usual form, until one has another form or `most`
    /// were given. The rest of the lines is for [`Self::next`].
    #[inline]
    pub(crate) fn accesses<E>(
        &mut self,
        most: u64,
        mut take: impl FnMut(RawAccess) -> Result<(), E>,
    ) -> Result<u64, E> {
        let (before, mut rest) = (self.number, &self.buffer[self.start..self.end]);
        let mut taken = Ok(());
        while self.number - before < most {
            let Some((access, used)) = fast(rest) else { break };
            taken = take(access);
            rest = &rest[used..];
            self.number += 1;
            if taken.is_err() {
                break;
            }
        }
        self.start = self.end - rest.len();
        taken.map(|()| self.number - before)
    }

    /// True if the last call of [`Self::next`] gave nothing because the input has nothing yet (it said that it would
    /// block); more may come.
    pub(crate) fn starved(&self) -> bool {
        self.starved
    }

    /// The next line without its end (LF or CRLF), or `None` at the end of the input, or if there is nothing yet.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, TraceError> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(len) = find_newline(&unread[searched..]) {
                return Ok(Some(self.take(searched + len, 1)));
            }
            searched = unread.len();
            if self.ended {
                return Ok((searched > 0).then(|| self.take(searched, 0)));
            }
            if searched > MAX_LINE {
                self.number += 1;
                let text = format!("a line of more than {MAX_LINE} bytes");
                return Err(self.error(1, text, "a text trace"));
            }
            self.fill()?;
            if self.starved {
                return Ok(None);
            }
        }
    }

    fn take(&mut self, len: usize, newline: usize) -> &[u8] {
        let line = &self.buffer[self.start..self.start + len];
        self.start += len + newline;
        self.number += 1;
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    fn fill(&mut self) -> Result<(), TraceError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.starved = false;
        let read = loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.starved = true;
                    return Ok(());
                }
                result => break result,
            }
        };
        let read = read.map_err(|e| TraceError::io(&self.name, e))?;
        self.end += read;
        self.ended = read == 0;
        Ok(())
    }

    /// True if the last line given was the input's last, and had no line end.
    pub(crate) fn cut_short(&self) -> bool {
        self.ended && self.start == self.end && self.end > 0 && self.buffer[self.end - 1] != b'\n'
    }

    /// An error about the last line given; `column` is in bytes from 1.
    pub(crate) fn error(&self, column: usize, found: String, expected: &str) -> TraceError {
        let (file, line) = (self.name.clone(), self.number);
        TraceError::Text { file, line, column, found, expected: expected.to_owned() }
    }
}

/// Eight bytes at a time: lines of memory traces are short, but there are many.
fn find_newline(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, _) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let zeroed = u64::from_le_bytes(*word) ^ (ONES * b'\n' as u64);
        let hit = zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7);
        if hit != 0 {
            return Some(8 * i + hit.trailing_zeros() as usize / 8);
        }
    }
    let rest = words.len() * 8;
    bytes[rest..].iter().position(|&b| b == b'\n').map(|at| rest + at)
}

/// What stands at a place of a line, short enough for an error message.
pub(crate) fn token(line: &[u8], column: usize) -> String {
    let rest = line.get(column - 1..).unwrap_or(&[]);
    let len = rest.iter().position(|b| b.is_ascii_whitespace() || *b == b',').unwrap_or(rest.len());
    match len {
        0 if rest.is_empty() => "the end of the line".to_owned(),
        0 => format!("`{}`", char::from(rest[0])),
        len => format!("`{}`", String::from_utf8_lossy(&rest[..len.min(40)]).replace(char::is_control, "?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_those_of_the_standard_library(text in "[a\r\n]{0,80}") {
            let mut lines = Lines::new(text.as_bytes(), "x");
            let mut found = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                found.push(String::from_utf8(line.to_vec()).unwrap());
            }
            let expected: Vec<_> =
                text.split_terminator('\n').map(|l| l.strip_suffix('\r').unwrap_or(l)).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_word_search_finds_the_first_newline(bytes in proptest::collection::vec(9u8..12, 0..40)) {
            prop_assert_eq!(find_newline(&bytes), bytes.iter().position(|&b| b == b'\n'));
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::new(io::repeat(b'x'), "x");
        assert!(lines.next().unwrap_err().to_string().starts_with("x:1:1: found a line of more than"));
    }
}
