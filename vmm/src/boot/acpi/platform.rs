//! What a platform has, as far as ACPI tells a guest of it.

use std::collections::BTreeSet;

use device_model::acpi::{AcpiDevice, Polarity, Trigger};

use super::{AcpiError, CPUS_MAX, device};

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

impl AcpiPlatform {
    /// The n-th processor's name in the namespace. Devices cannot have it.
    pub(super) fn cpu_name(index: u16) -> String {
        format!("C{index:03X}")
    }

    /// Whether a name is a processor's, of any index.
    pub(super) fn is_cpu_name(name: &str) -> bool {
        let number = name.strip_prefix('C').filter(|number| number.len() == 3);
        number.is_some_and(|number| number.bytes().all(device::is_hexadecimal))
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
            device::check(device)?;
            if !names.insert(device.name.clone()) {
                return Err(AcpiError::DuplicateName { name: device.name.clone() });
            }
        }
        Ok(())
    }
}
