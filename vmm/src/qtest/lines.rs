//! From a stream of bytes to lines, none of which takes more memory than it may.

use std::mem;

use thiserror::Error;

use super::protocol::MOST_BYTES;

/// Bytes of the longest line, its end not counted: the most data that a command can have, two hex
/// digits each, and room for the rest of it.
pub const MOST_LINE: usize = 2 * MOST_BYTES + 1024;

/// A line is longer than any may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected at most {MOST_LINE} bytes in a line, given more")]
pub struct LineTooLong;

/// The lines of a stream. One that is too long is passed over, up to its end.
#[derive(Debug, Default)]
pub struct LineReader {
    line: Vec<u8>,
    too_long: bool,
}

impl LineReader {
    /// Takes bytes up to the end of a line from the front of `bytes`, and gives that line without
    /// its end, which is LF or CR LF. None: all were taken, and the line goes on.
    ///
    /// ```
    /// use vmm::qtest::lines::LineReader;
    ///
    /// let mut reader = LineReader::default();
    /// let mut bytes = &b"endianness\ninb 0x"[..];
    /// assert_eq!(reader.next(&mut bytes), Some(Ok(b"endianness".to_vec())));
    /// assert_eq!(reader.next(&mut bytes), None);
    /// assert_eq!(reader.next(&mut &b"60\r\n"[..]), Some(Ok(b"inb 0x60".to_vec())));
    /// ```
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Result<Vec<u8>, LineTooLong>> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        *bytes = rest.get(1..).unwrap_or_default();
        if self.line.len().saturating_add(part.len()) > MOST_LINE {
            self.too_long = true;
            // Its memory too.
            self.line = Vec::new();
        }
        if !self.too_long {
            self.line.extend_from_slice(part);
        }
        end?;
        let mut line = mem::take(&mut self.line);
        if mem::take(&mut self.too_long) {
            return Some(Err(LineTooLong));
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(Ok(line))
    }

    /// Forgets the line that has begun.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_too_long_is_told_once_and_the_next_is_read() {
        let mut reader = LineReader::default();
        let long = vec![b'x'; MOST_LINE];
        let mut exact = [&long[..], b"\n"].concat();
        assert_eq!(reader.next(&mut &exact[..]), Some(Ok(long.clone())));
        exact.insert(0, b'x');
        exact.extend(b"next\n");
        let mut rest = &exact[..];
        assert_eq!(reader.next(&mut rest), Some(Err(LineTooLong)));
        assert_eq!(reader.next(&mut rest), Some(Ok(b"next".to_vec())));
        for _ in 0..4 {
            assert_eq!(reader.next(&mut &long[..]), None);
            assert!(reader.line.capacity() <= 2 * MOST_LINE);
        }
        assert_eq!(reader.next(&mut &b"\n"[..]), Some(Err(LineTooLong)));
    }

    #[test]
    fn what_has_begun_can_be_forgotten() {
        let mut reader = LineReader::default();
        assert_eq!(reader.next(&mut &b"begun"[..]), None);
        reader.clear();
        assert_eq!(reader.next(&mut &b"\n"[..]), Some(Ok(Vec::new())));
    }
}
