//! The I/O APIC's behaviour: register accesses, pins, and the end of interrupts.
//!
//! A pin's level here is whether its interrupt is asserted, not a voltage: the polarity that a
//! guest programs is kept, but taken to match the board's wiring, as the firmware tables tell it.

use super::message::MsiMessage;
use super::redirection::RedirectionEntry;
use super::spec::*;

const PINS: usize = PIN_COUNT as usize;

/// The number of an interrupt pin, below [`PIN_COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin(u8);

/// The number isn't that of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ioapic: there is no pin {0}; pins are 0 to {last}", last = PIN_COUNT - 1)]
pub struct NoSuchPin(pub u8);

impl TryFrom<u8> for Pin {
    type Error = NoSuchPin;

    fn try_from(number: u8) -> Result<Self, NoSuchPin> {
        if number < PIN_COUNT { Ok(Self(number)) } else { Err(NoSuchPin(number)) }
    }
}

impl Pin {
    /// All pins, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PIN_COUNT).map(Self)
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn bit(self) -> u32 {
        1 << self.0
    }
}

/// What the I/O APIC does to the outside. Of one access's effects a pin's new route comes before
/// its interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// [`IoApic::route`] now gives something else for this pin; a table of interrupt routes has to
    /// be brought up to date.
    RouteChanged(Pin),
    /// An interrupt is sent.
    Deliver {
        /// Whose.
        pin: Pin,
        /// What is sent.
        message: MsiMessage,
    },
}

/// What becomes of a pin's interrupts at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The message that is sent.
    pub message: MsiMessage,
    /// Nothing is sent for now.
    pub masked: bool,
    /// The processor's end of interrupt has to be reported to [`IoApic::eoi`].
    pub level_triggered: bool,
}

/// An 82093AA-compatible I/O APIC of version 0x20.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoApic {
    // What the guest programmed.
    pub(super) id: u8,
    pub(super) index: u8,
    pub(super) entries: [RedirectionEntry; PINS],

    // What happens to it, one bit a pin.
    /// Pins that are asserted.
    pub(super) lines: u32,
    /// Edge-triggered pins that were asserted while masked: sent when they are unmasked.
    pub(super) edges: u32,
}

impl Default for IoApic {
    fn default() -> Self {
        Self::new()
    }
}

impl IoApic {
    /// An I/O APIC after a reset, with no pin asserted.
    pub fn new() -> Self {
        Self { id: 0, index: 0, entries: [RedirectionEntry::RESET; PINS], lines: 0, edges: 0 }
    }

    /// A reset of the machine. Pins keep their level, which is their devices' to change. All
    /// routes change to masked ones.
    pub fn reset(&mut self) {
        *self = Self { lines: self.lines, ..Self::new() };
    }

    /// The guest reads at `offset` of the window. Registers are 32 bits wide: a narrower access
    /// gets the lowest bytes, a wider one zeroes above. Other offsets, and the EOI register, read
    /// as 0.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        let value = match offset {
            IOREGSEL => u32::from(self.index),
            IOWIN => self.read_indexed(),
            _ => 0,
        };
        data.fill(0);
        for (to, from) in data.iter_mut().zip(value.to_le_bytes()) {
            *to = from;
        }
    }

    /// The guest writes at `offset` of the window. A narrower access than 32 bits has zeroes above
    /// it, the bytes above a wider one's 32 bits are ignored, as are other offsets, and accesses of
    /// no bytes. At most [`PIN_COUNT`] interrupts are sent.
    pub fn write(&mut self, offset: u64, data: &[u8], effects: &mut impl FnMut(Effect)) {
        if data.is_empty() {
            return;
        }
        let mut bytes = [0; 4];
        for (to, from) in bytes.iter_mut().zip(data) {
            *to = *from;
        }
        let [low, ..] = bytes;
        match offset {
            IOREGSEL => self.index = low,
            IOWIN => self.write_indexed(u32::from_le_bytes(bytes), effects),
            IOEOI => self.eoi(low, effects),
            _ => {}
        }
    }

    /// A pin is asserted or deasserted.
    pub fn set_level(&mut self, pin: Pin, asserted: bool, effects: &mut impl FnMut(Effect)) {
        let was_asserted = self.lines & pin.bit() != 0;
        if !asserted {
            self.lines &= !pin.bit();
            return;
        }
        self.lines |= pin.bit();
        if !was_asserted && !self.entry(pin).is_level() {
            self.edges |= pin.bit();
        }
        self.send_pending(pin, effects);
    }

    /// A processor ended the interrupt of `vector`. Level-triggered pins of that vector may send
    /// again, and do at once if they are still asserted.
    pub fn eoi(&mut self, vector: u8, effects: &mut impl FnMut(Effect)) {
        for pin in Pin::all() {
            let entry = self.entry_mut(pin);
            if entry.vector() == vector && entry.remote_irr() {
                entry.clear_remote_irr();
                self.send_pending(pin, effects);
            }
        }
    }

    /// What becomes of a pin's interrupts at present.
    pub fn route(&self, pin: Pin) -> Route {
        let entry = self.entry(pin);
        Route {
            message: entry.into(),
            masked: entry.is_masked(),
            level_triggered: entry.is_level(),
        }
    }

    /// A pin's entry as the guest reads it but for the send-pending bit.
    pub fn entry(&self, pin: Pin) -> RedirectionEntry {
        self.entries[pin.index()]
    }

    fn entry_mut(&mut self, pin: Pin) -> &mut RedirectionEntry {
        &mut self.entries[pin.index()]
    }

    fn read_indexed(&self) -> u32 {
        match self.index {
            INDEX_ID | INDEX_ARBITRATION => u32::from(self.id) << ID_SHIFT,
            INDEX_VERSION => VERSION | u32::from(PIN_COUNT - 1) << VERSION_LAST_PIN_SHIFT,
            index => match redirection_index(index) {
                Some((pin, Half::Low)) => low_half(self.entry_as_read(pin)),
                Some((pin, Half::High)) => low_half(self.entry_as_read(pin) >> 32),
                // What a bus that nobody answers on gives.
                None => u32::MAX,
            },
        }
    }

    fn write_indexed(&mut self, value: u32, effects: &mut impl FnMut(Effect)) {
        if self.index == INDEX_ID {
            let [.., id] = (value & ID_MASK << ID_SHIFT).to_le_bytes();
            self.id = id;
            return;
        }
        let Some((pin, half)) = redirection_index(self.index) else {
            return;
        };
        let route = self.route(pin);
        let entry = self.entry_mut(pin);
        *entry = match half {
            Half::Low => entry.with_low(value),
            Half::High => entry.with_high(value),
        };
        if entry.is_level() {
            // From now on the line counts, not an edge that was.
            self.edges &= !pin.bit();
        }
        if self.route(pin) != route {
            effects(Effect::RouteChanged(pin));
        }
        self.send_pending(pin, effects);
    }

    fn entry_as_read(&self, pin: Pin) -> u64 {
        let pending = if self.edges & pin.bit() != 0 { ENTRY_SEND_PENDING } else { 0 };
        self.entry(pin).bits() | pending
    }

    /// Sends a pin's interrupt if it has one that may be sent.
    fn send_pending(&mut self, pin: Pin, effects: &mut impl FnMut(Effect)) {
        let entry = self.entry(pin);
        if entry.is_masked() {
            return;
        }
        let send = if entry.is_level() {
            self.lines & pin.bit() != 0 && !entry.remote_irr()
        } else {
            self.edges & pin.bit() != 0
        };
        if !send {
            return;
        }
        if entry.is_level() {
            self.entry_mut(pin).set_remote_irr();
        }
        self.edges &= !pin.bit();
        effects(Effect::Deliver { pin, message: entry.into() });
    }
}

#[derive(Clone, Copy)]
enum Half {
    Low,
    High,
}

/// The pin and half that an index names, if it lies in the redirection table.
fn redirection_index(index: u8) -> Option<(Pin, Half)> {
    let index = index.checked_sub(INDEX_REDIRECTION)?;
    let half = if index & 1 == 0 { Half::Low } else { Half::High };
    Some((Pin::try_from(index / 2).ok()?, half))
}

fn low_half(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
