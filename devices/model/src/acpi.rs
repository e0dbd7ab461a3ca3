//! What a device tells a guest of itself through ACPI. References are to the ACPI specification,
//! version 6.5.

use std::ops::Range;

use qom_core::{Object, qom_interface};

/// A device that a guest finds by its entry in the ACPI namespace
///
/// A board asks every realized device of its tree that offers this.
#[qom_interface]
pub trait AcpiNode: Object {
    /// The device's entries, with the addresses and interrupts that it really has.
    fn acpi(&self) -> Vec<AcpiDevice>;
}

/// A device that a guest cannot find by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcpiDevice {
    /// The name that it would like in the namespace: four of `A-Z`, `0-9`, `_`, the first no digit
    /// (section 20.2.2). Of several that would like the same, the board renames the later ones.
    pub name: String,
    /// Its `_HID`: a Plug and Play identifier such as `PNP0501` or an ACPI one such as `LNRO0005`
    /// (section 6.1.5).
    pub hardware_id: String,
    /// Its `_UID`, which tells devices of one `_HID` apart. The board changes it where they clash.
    pub unique_id: u32,
    /// Whether its transfers see what processors wrote, `_CCA`. Said of devices that transfer.
    pub coherent: Option<bool>,
    /// Its `_CRS`.
    pub resources: Vec<Resource>,
    /// Its `_EVT`, if it is a generic event device (section 5.6.9): its interrupts tell that
    /// something happened, and this what.
    pub events: Option<EventRegister>,
}

/// A byte that tells what happened since it was last read, a bit for each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRegister {
    /// Its guest-physical address.
    pub address: u64,
    /// What can happen.
    pub events: Vec<AcpiEvent>,
}

/// Something of which a device below the event device notifies the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcpiEvent {
    /// Its bit in the register.
    pub mask: u8,
    /// The name of the device that notifies, in the namespace below the event device.
    pub name: String,
    /// That device's `_HID`.
    pub hardware_id: String,
    /// The notification's value (section 5.6.6).
    pub notification: u8,
}

/// What a device takes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Guest-physical addresses.
    Memory(Range<u64>),
    /// I/O ports.
    Ports {
        /// First port.
        start: u16,
        /// How many.
        count: u8,
    },
    /// A global interrupt.
    Interrupt {
        /// Its number.
        gsi: u32,
        /// How it is seen.
        trigger: Trigger,
        /// How it is asserted.
        polarity: Polarity,
    },
}

impl Resource {
    /// An interrupt as ISA has them: edge-triggered, active high.
    #[must_use]
    pub const fn isa_interrupt(gsi: u32) -> Self {
        Self::Interrupt { gsi, trigger: Trigger::Edge, polarity: Polarity::ActiveHigh }
    }
}

/// Whether an interrupt is seen by its change or by its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By its change.
    Edge,
    /// By its level.
    Level,
}

/// Which level of a line means that an interrupt is asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// The high one.
    ActiveHigh,
    /// The low one.
    ActiveLow,
}
