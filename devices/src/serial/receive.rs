//! The receiver's storage: sixteen characters with their errors, or one while the FIFOs are off.

use std::collections::VecDeque;

use super::spec::FIFO_SIZE;

/// A character as it waits in the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedChar {
    /// The character; 0 for a break.
    pub value: u8,
    /// A break that the guest has not yet been told of through LSR.
    pub is_break: bool,
}

/// What became of a character that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    Stored,
    Overrun,
}

/// The receive FIFO and, while the FIFOs are off, the receiver buffer register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receiver {
    chars: VecDeque<ReceivedChar>,
}

/// Characters that the receiver holds.
pub(super) fn capacity(fifo_enabled: bool) -> usize {
    if fifo_enabled { FIFO_SIZE } else { 1 }
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self { chars: VecDeque::with_capacity(FIFO_SIZE) }
    }

    pub(super) fn len(&self) -> usize {
        self.chars.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    pub(super) fn room(&self, fifo_enabled: bool) -> usize {
        capacity(fifo_enabled).saturating_sub(self.chars.len())
    }

    /// Takes a character in. When full, a FIFO loses the new one; the receiver buffer register is
    /// overwritten (PC16550D, Line Status Register, bit 1).
    pub(super) fn push(&mut self, char: ReceivedChar, fifo_enabled: bool) -> Reception {
        if self.room(fifo_enabled) > 0 {
            self.chars.push_back(char);
            return Reception::Stored;
        }
        if !fifo_enabled {
            self.chars.clear();
            self.chars.push_back(char);
        }
        Reception::Overrun
    }

    pub(super) fn pop(&mut self) -> Option<ReceivedChar> {
        self.chars.pop_front()
    }

    pub(super) fn clear(&mut self) {
        self.chars.clear();
    }

    /// Whether the oldest character is a break that was not yet reported.
    pub(super) fn front_is_break(&self) -> bool {
        self.chars.front().is_some_and(|char| char.is_break)
    }

    /// Forgets the oldest character's break: reading LSR reports it once.
    pub(super) fn acknowledge_front(&mut self) {
        if let Some(char) = self.chars.front_mut() {
            char.is_break = false;
        }
    }

    pub(super) fn has_error(&self) -> bool {
        self.chars.iter().any(|char| char.is_break)
    }

    pub(super) fn to_vec(&self) -> Vec<ReceivedChar> {
        self.chars.iter().copied().collect()
    }

    /// Stores what a saved state holds; the caller has checked that it fits.
    pub(super) fn load(&mut self, chars: &[ReceivedChar]) {
        self.chars.clear();
        self.chars.extend(chars.iter().copied());
    }
}
