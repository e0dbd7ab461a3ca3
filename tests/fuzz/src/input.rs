//! Decoding an input: numbers and strings from its front, an operation at a time. What is missing
//! at the end reads as nothing, so that every input means something and a seed can be written by
//! hand.

/// The longest access that a guest can make, in bytes, and one more.
const LONGEST_ACCESS: u8 = 9;

/// Bytes that are not decoded yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(&'a [u8]);

/// What a guest does to a window of registers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access<'a> {
    /// It reads so many bytes.
    Read(u64, usize),
    /// It writes these.
    Write(u64, &'a [u8]),
}

impl<'a> Input<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// What is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// The next byte; none at the end.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The next byte, or 0.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    /// The next bytes, fewer at the end.
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A little-endian number of eight bytes, with zeroes for those that are missing.
    pub(crate) fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let taken = self.take(8);
        bytes[..taken.len()].copy_from_slice(taken);
        u64::from_le_bytes(bytes)
    }

    /// An access: a byte's top bit says whether it writes, the others its offset; 0x7f stands for
    /// an offset of eight bytes. Then comes the length, then what is written.
    pub(crate) fn access(&mut self, first: u8) -> Access<'a> {
        let offset = match first & 0x7f {
            0x7f => self.number(),
            offset => offset.into(),
        };
        let length = usize::from(self.byte() % (LONGEST_ACCESS + 1));
        if first & 0x80 == 0 {
            Access::Read(offset, length)
        } else {
            Access::Write(offset, self.take(length))
        }
    }
}

/// A buffer of a length that a read may have, full of something that no register reads as.
pub(crate) fn buffer(length: usize) -> Vec<u8> {
    vec![0xa5; length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_is_decoded_from_the_front() {
        let mut input = Input::new(&[0x83, 2, 7, 8, 0x05, 1]);
        let first = input.byte();
        assert!(matches!(input.access(first), Access::Write(3, [7, 8])));
        let first = input.byte();
        assert!(matches!(input.access(first), Access::Read(5, 1)));
        assert_eq!(input.next(), None);
    }

    #[test]
    fn what_is_missing_reads_as_nothing() {
        let mut input = Input::new(&[0xff, 1, 2]);
        let first = input.byte();
        assert!(matches!(input.access(first), Access::Write(0x201, [])));
    }
}
