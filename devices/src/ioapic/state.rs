//! The I/O APIC's saved state, and what is checked before one is taken over.

use super::controller::{IoApic, Pin};
use super::redirection::RedirectionEntry;
use super::spec::{ID_MASK, PIN_COUNT};

const PINS: usize = PIN_COUNT as usize;
const ALL_PINS: u32 = (1 << PIN_COUNT) - 1;

/// Everything that an [`IoApic`] remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicState {
    /// The APIC id, four bits.
    pub id: u8,
    /// The register that the window shows.
    pub index: u8,
    /// The redirection table, without send-pending bits.
    pub entries: [u64; PINS],
    /// Pins that are asserted, one bit each.
    pub lines: u32,
    /// Edge-triggered pins whose edge waits to be sent, one bit each.
    pub edges: u32,
}

/// Why an [`IoApicState`] isn't one that an I/O APIC can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IoApicStateError {
    /// The id is too large.
    #[error("ioapic state: id is {0}, but must be below 16")]
    Id(u8),
    /// An entry has bits that don't exist, or a remote IRR that it can't have.
    #[error(
        "ioapic state: entry {pin} is {value:#x}, which has reserved bits, or remote IRR without \
         being level-triggered"
    )]
    Entry {
        /// The entry's pin.
        pin: u8,
        /// What was given.
        value: u64,
    },
    /// There are levels of pins that don't exist.
    #[error("ioapic state: lines is {0:#x}, but there are only 24 pins")]
    Lines(u32),
    /// An edge waits at a pin where none can.
    #[error(
        "ioapic state: edges is {given:#x}, but only masked edge-triggered pins can have one: \
         {possible:#x}"
    )]
    Edges {
        /// What was given.
        given: u32,
        /// The pins where an edge can wait.
        possible: u32,
    },
    /// A level interrupt that would have been sent wasn't.
    #[error("ioapic state: pins {0:#x} are asserted, unmasked and level-triggered, but not sent")]
    Unsent(u32),
}

impl IoApic {
    /// What the I/O APIC remembers.
    pub fn state(&self) -> IoApicState {
        IoApicState {
            id: self.id,
            index: self.index,
            entries: self.entries.map(RedirectionEntry::bits),
            lines: self.lines,
            edges: self.edges,
        }
    }

    /// Takes a saved state over. All routes may have changed then.
    ///
    /// # Errors
    /// If no I/O APIC can be in that state; this one is unchanged then.
    pub fn restore(&mut self, state: &IoApicState) -> Result<(), IoApicStateError> {
        if u32::from(state.id) & !ID_MASK != 0 {
            return Err(IoApicStateError::Id(state.id));
        }
        let mut entries = [RedirectionEntry::RESET; PINS];
        let mut possible_edges = 0;
        let mut sent_if_asserted = 0;
        for ((pin, entry), &value) in Pin::all().zip(&mut entries).zip(&state.entries) {
            *entry = RedirectionEntry::from_bits(value)
                .ok_or(IoApicStateError::Entry { pin: pin.number(), value })?;
            if entry.is_masked() && !entry.is_level() {
                possible_edges |= pin.bit();
            }
            if !entry.is_masked() && entry.is_level() && !entry.remote_irr() {
                sent_if_asserted |= pin.bit();
            }
        }
        if state.lines & !ALL_PINS != 0 {
            return Err(IoApicStateError::Lines(state.lines));
        }
        if state.edges & !possible_edges != 0 {
            return Err(IoApicStateError::Edges { given: state.edges, possible: possible_edges });
        }
        if state.lines & sent_if_asserted != 0 {
            return Err(IoApicStateError::Unsent(state.lines & sent_if_asserted));
        }
        *self = Self {
            id: state.id,
            index: state.index,
            entries,
            lines: state.lines,
            edges: state.edges,
        };
        Ok(())
    }
}
