//! An entry of the redirection table: its fields, and what a guest's write changes.

use super::spec::*;

/// A redirection table entry, as the guest reads it but for the send-pending bit, which is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectionEntry(u64);

impl RedirectionEntry {
    /// The entry after a reset: masked, all else 0.
    pub const RESET: Self = Self(ENTRY_MASKED);

    /// The entry of these bits, if they can all be set.
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        let entry = Self(bits);
        let known = bits & !(ENTRY_WRITABLE | ENTRY_REMOTE_IRR) == 0;
        (known && (entry.is_level() || !entry.remote_irr())).then_some(entry)
    }

    /// All bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The interrupt's vector.
    pub fn vector(self) -> u8 {
        let [vector, ..] = self.0.to_le_bytes();
        vector
    }

    /// The delivery mode, three bits.
    pub fn delivery_mode(self) -> u8 {
        let [_, mode, ..] = self.0.to_le_bytes();
        mode & 0b111
    }

    /// Whether the destination is logical.
    pub fn is_logical(self) -> bool {
        self.0 & ENTRY_LOGICAL != 0
    }

    /// The destination: an APIC id, or a set of them.
    pub fn destination(self) -> u8 {
        let [.., destination] = self.0.to_le_bytes();
        destination
    }

    /// Whether the pin is masked.
    pub fn is_masked(self) -> bool {
        self.0 & ENTRY_MASKED != 0
    }

    /// Whether the interrupt stays until it is ended.
    ///
    /// Only fixed and lowest-priority interrupts can be: the others never reach a local APIC's ISR,
    /// so that nobody would end them, and they are edges whatever the trigger bit says.
    pub fn is_level(self) -> bool {
        self.0 & ENTRY_LEVEL != 0
            && matches!(self.delivery_mode(), DELIVERY_FIXED | DELIVERY_LOWEST_PRIORITY)
    }

    /// Whether a level interrupt was sent and not yet ended.
    pub fn remote_irr(self) -> bool {
        self.0 & ENTRY_REMOTE_IRR != 0
    }

    pub(super) fn set_remote_irr(&mut self) {
        self.0 |= ENTRY_REMOTE_IRR;
    }

    pub(super) fn clear_remote_irr(&mut self) {
        self.0 &= !ENTRY_REMOTE_IRR;
    }

    /// The low half as the guest writes it. An entry that becomes edge-triggered forgets its
    /// remote IRR; operating systems rely on that to end an interrupt without an EOI register.
    pub(super) fn with_low(self, value: u32) -> Self {
        self.written(0xffff_ffff, u64::from(value))
    }

    /// The high half as the guest writes it.
    pub(super) fn with_high(self, value: u32) -> Self {
        self.written(0xffff_ffff << 32, u64::from(value) << 32)
    }

    fn written(self, half: u64, value: u64) -> Self {
        let mask = half & ENTRY_WRITABLE;
        let mut entry = Self(self.0 & !mask | value & mask);
        if !entry.is_level() {
            entry.clear_remote_irr();
        }
        entry
    }
}
