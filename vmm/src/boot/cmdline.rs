//! A kernel's command line: bounded, and free of what would end it early.

use std::fmt;

use thiserror::Error;
use vm_memory::GuestMemoryMmap;

use super::layout;
use super::structure::{self, StructureError};

/// Longest command line that Linux keeps on x86, without its NUL (`COMMAND_LINE_SIZE`). For
/// kernels that do not say.
pub const LINUX_CMDLINE_MAX: usize = 2047;
/// Longest command line that there is room for, without its NUL.
const ROOM: usize = 65_535;

/// Why words cannot be added to a command line.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CmdlineError {
    /// It would be longer than the kernel keeps.
    #[error("kernel command line of {length} bytes, expected at most {max}")]
    TooLong {
        /// Bytes it would have.
        length: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// The kernel would take it to end there.
    #[error("kernel command line has a NUL at byte {at}")]
    Nul {
        /// Bytes before it, of what was to be added.
        at: usize,
    },
}

/// A kernel's command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cmdline(String);

impl Cmdline {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds words, after a space unless it is empty. Nothing is added on an error.
    ///
    /// # Errors
    /// A NUL among them; a length that no kernel is given.
    pub fn append(&mut self, words: &str) -> Result<(), CmdlineError> {
        if let Some(at) = words.bytes().position(|byte| byte == 0) {
            return Err(CmdlineError::Nul { at });
        }
        if words.is_empty() {
            return Ok(());
        }
        let space = usize::from(!self.0.is_empty());
        let length = self.0.len().saturating_add(space).saturating_add(words.len());
        if length > ROOM {
            return Err(CmdlineError::TooLong { length, max: ROOM });
        }
        if space == 1 {
            self.0.push(' ');
        }
        self.0.push_str(words);
        Ok(())
    }

    /// The words so far.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a kernel that keeps `max` bytes keeps all of it.
    ///
    /// # Errors
    /// It does not.
    pub fn check_length(&self, max: usize) -> Result<(), CmdlineError> {
        let length = self.0.len();
        let max = max.min(ROOM);
        if length > max {
            return Err(CmdlineError::TooLong { length, max });
        }
        Ok(())
    }

    /// Writes it with its NUL to [`layout::CMDLINE`].
    ///
    /// # Errors
    /// No memory there.
    pub fn write(&self, memory: &GuestMemoryMmap) -> Result<(), StructureError> {
        let mut bytes = self.0.clone().into_bytes();
        bytes.push(0);
        structure::write(memory, "kernel command line", layout::CMDLINE, &bytes)
    }
}

impl fmt::Display for Cmdline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestAddress};

    use super::*;
    use crate::boot::crafted::memory;

    #[test]
    fn words_are_set_apart_by_one_space() {
        let mut cmdline = Cmdline::new();
        for words in ["console=ttyS0", "", "panic=-1 quiet"] {
            cmdline.append(words).unwrap();
        }
        assert_eq!(cmdline.as_str(), "console=ttyS0 panic=-1 quiet");
    }

    #[test]
    fn a_nul_is_refused_and_changes_nothing() {
        let mut cmdline = Cmdline::new();
        cmdline.append("a").unwrap();
        assert_eq!(cmdline.append("b=\0c"), Err(CmdlineError::Nul { at: 2 }));
        assert_eq!(cmdline.as_str(), "a");
    }

    #[test]
    fn length_is_bounded_by_room_and_by_kernel() {
        let mut cmdline = Cmdline::new();
        cmdline.append(&"x".repeat(ROOM - 2)).unwrap();
        assert_eq!(
            cmdline.append("yy"),
            Err(CmdlineError::TooLong { length: ROOM + 1, max: ROOM })
        );
        cmdline.append("y").unwrap();
        assert_eq!(cmdline.check_length(usize::MAX), Ok(()));
        assert_eq!(cmdline.check_length(ROOM), Ok(()));
        assert_eq!(
            cmdline.check_length(2047),
            Err(CmdlineError::TooLong { length: ROOM, max: 2047 })
        );
        assert_eq!(ROOM as u64 + 1, layout::CMDLINE_SPACE);
    }

    #[test]
    fn it_ends_with_a_nul_in_guest_memory() {
        let memory = memory(0x10_0000);
        memory.write_slice(&[0xff; 16], GuestAddress(layout::CMDLINE)).unwrap();
        let mut cmdline = Cmdline::new();
        cmdline.append("quiet").unwrap();
        cmdline.write(&memory).unwrap();
        let mut seen = [0; 7];
        memory.read_slice(&mut seen, GuestAddress(layout::CMDLINE)).unwrap();
        assert_eq!(&seen, b"quiet\0\xff");
    }
}
