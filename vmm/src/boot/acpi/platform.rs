//! What a platform has, as far as ACPI tells a guest of it.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{AcpiError, CPUS_MAX};

/// A platform to be described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcpiPlatform {
    /// Identifier of each processor's local APIC, in the processors' order.
    pub local_apics: Vec<u32>,
    /// Guest-physical address of the local APICs.
    pub local_apic: u32,
    /// I/O APICs.
    pub io_apics: Vec<IoApic>,
    /// ISA interrupts that are not wired to the global interrupt of their number, or not as
    /// ISA's are: edge-triggered, active high.
    pub interrupt_overrides: Vec<InterruptOverride>,
    /// Whether there are two 8259 interrupt controllers besides.
    pub legacy_pic: bool,
    /// Where a guest asks to sleep and sees that it woke; without them it cannot power off.
    pub sleep: Option<SleepRegisters>,
    /// Where and with what a guest resets the platform.
    pub reset: Option<Register>,
    /// Devices, under `\_SB`.
    pub devices: Vec<AcpiDevice>,
}

/// An I/O interrupt controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Its APIC identifier.
    pub id: u8,
    /// Guest-physical address of its registers.
    pub address: u32,
    /// Global interrupt that its first input is.
    pub gsi_base: u32,
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

/// Where an ISA interrupt is wired to (section 5.2.12.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptOverride {
    /// Number on the ISA bus, 0 to 15.
    pub isa: u8,
    /// Global interrupt.
    pub gsi: u32,
    /// How it is seen.
    pub trigger: Trigger,
    /// How it is asserted.
    pub polarity: Polarity,
}

/// Registers by which a hardware-reduced platform sleeps (section 4.8.3.7); 8 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepRegisters {
    /// Guest-physical address of the sleep control register.
    pub control: u64,
    /// Guest-physical address of the sleep status register.
    pub status: u64,
    /// Value for the control register's three-bit sleep type that means soft off.
    pub s5_type: u8,
}

/// An 8-bit register and what is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Guest-physical address.
    pub address: u64,
    /// What has the effect.
    pub value: u8,
}

/// A device that a guest cannot find by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcpiDevice {
    /// Its name in the namespace: four of `A-Z`, `0-9`, `_`, the first no digit.
    pub name: String,
    /// Its `_HID`: a Plug and Play identifier such as `PNP0501` or an ACPI one such as `LNRO0005`.
    pub hardware_id: String,
    /// Its `_UID`, which tells devices of one `_HID` apart.
    pub unique_id: u32,
    /// Whether its transfers see what processors wrote, `_CCA`. Said of devices that transfer.
    pub coherent: Option<bool>,
    /// Its `_CRS`.
    pub resources: Vec<Resource>,
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
    /// An interrupt as ISA has them.
    pub fn isa_interrupt(gsi: u32) -> Self {
        Self::Interrupt { gsi, trigger: Trigger::Edge, polarity: Polarity::ActiveHigh }
    }
}

/// Identifier of a 16550-compatible serial port.
pub(super) const SERIAL_PORT: &str = "PNP0501";
/// Identifier of a PC's clock.
pub(super) const REAL_TIME_CLOCK: &str = "PNP0B00";
/// Identifier of a PC's keyboard at an 8042 controller.
pub(super) const KEYBOARD: &str = "PNP0303";

impl AcpiDevice {
    /// The first serial port of a PC, at global interrupt `gsi`.
    pub fn com1(gsi: u32) -> Self {
        Self {
            name: "COM1".into(),
            hardware_id: SERIAL_PORT.into(),
            unique_id: 1,
            coherent: None,
            resources: vec![
                Resource::Ports { start: 0x3f8, count: 8 },
                Resource::isa_interrupt(gsi),
            ],
        }
    }

    /// The clock of a PC, at global interrupt `gsi`.
    pub fn real_time_clock(gsi: u32) -> Self {
        Self {
            name: "RTC_".into(),
            hardware_id: REAL_TIME_CLOCK.into(),
            unique_id: 0,
            coherent: None,
            resources: vec![
                Resource::Ports { start: 0x70, count: 2 },
                Resource::isa_interrupt(gsi),
            ],
        }
    }

    /// The keyboard controller of a PC, at global interrupt `gsi`.
    pub fn i8042(gsi: u32) -> Self {
        Self {
            name: "KBD_".into(),
            hardware_id: KEYBOARD.into(),
            unique_id: 0,
            coherent: None,
            resources: vec![
                Resource::Ports { start: 0x60, count: 1 },
                Resource::Ports { start: 0x64, count: 1 },
                Resource::isa_interrupt(gsi),
            ],
        }
    }

    /// Whether its name is one of AML's.
    fn check_name(&self) -> Result<(), AcpiError> {
        let letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        let bytes = self.name.as_bytes();
        let good = bytes.len() == 4
            && bytes.iter().all(|&byte| letter(byte) || byte.is_ascii_digit())
            && !bytes.first().is_some_and(u8::is_ascii_digit);
        good.then_some(()).ok_or_else(|| AcpiError::Name { found: self.name.clone() })
    }

    /// Whether its `_HID` is an EISA identifier, to be compressed.
    pub(super) fn has_eisa_id(&self) -> bool {
        let bytes = self.hardware_id.as_bytes();
        bytes.len() == 7
            && bytes.iter().take(3).all(u8::is_ascii_uppercase)
            && bytes.iter().skip(3).all(|&byte| hexadecimal(byte))
    }

    /// Whether its `_HID` is an ACPI identifier, a string.
    fn has_acpi_id(&self) -> bool {
        let bytes = self.hardware_id.as_bytes();
        bytes.len() == 8
            && bytes.iter().take(4).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            && bytes.iter().skip(4).all(|&byte| hexadecimal(byte))
    }

    /// Checks all that tables could not say or would say wrongly.
    fn check(&self) -> Result<(), AcpiError> {
        self.check_name()?;
        if !self.has_eisa_id() && !self.has_acpi_id() {
            return Err(AcpiError::HardwareId {
                device: self.name.clone(),
                found: self.hardware_id.clone(),
            });
        }
        for resource in &self.resources {
            let good = match resource {
                Resource::Memory(range) => range.start < range.end,
                Resource::Ports { start, count } => count
                    .checked_sub(1)
                    .is_some_and(|last| start.checked_add(u16::from(last)).is_some()),
                Resource::Interrupt { .. } => true,
            };
            if !good {
                return Err(AcpiError::Resource {
                    device: self.name.clone(),
                    resource: resource.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Whether this is a digit as identifiers have them.
fn hexadecimal(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)
}

impl AcpiPlatform {
    /// The n-th processor's name in the namespace. Devices cannot have it.
    pub(super) fn cpu_name(index: u16) -> String {
        format!("C{index:03X}")
    }

    /// Whether a device with this `_HID` is among the devices.
    pub(super) fn has(&self, hardware_id: &str) -> bool {
        self.devices.iter().any(|device| device.hardware_id == hardware_id)
    }

    /// How many processors there are, as far as a name can tell them apart.
    pub(super) fn cpus(&self) -> u16 {
        u16::try_from(self.local_apics.len()).unwrap_or(u16::MAX)
    }

    /// Checks all that tables could not say or would say wrongly.
    pub(super) fn check(&self) -> Result<(), AcpiError> {
        if self.cpus() == 0 || self.cpus() > CPUS_MAX {
            return Err(AcpiError::Cpus { found: self.cpus() });
        }
        if let Some(sleep) = self.sleep
            && sleep.s5_type > 7
        {
            return Err(AcpiError::SleepType { found: sleep.s5_type });
        }
        for wired in &self.interrupt_overrides {
            if wired.isa > 15 {
                return Err(AcpiError::IsaInterrupt { found: wired.isa });
            }
        }
        let mut names: BTreeSet<String> = (0..self.cpus()).map(Self::cpu_name).collect();
        for device in &self.devices {
            device.check()?;
            if !names.insert(device.name.clone()) {
                return Err(AcpiError::DuplicateName { name: device.name.clone() });
            }
        }
        Ok(())
    }
}
