//! The state of the kernel's interrupt chips and timer, kept to be brought back at a reset.

use std::fmt;

use kvm_bindings::{
    KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, kvm_irqchip, kvm_pit_state2,
};

use super::{IoctlFailed, Vm};

/// An interrupt chip in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// The first 8259.
    PicMaster,
    /// The second 8259.
    PicSlave,
    /// The I/O APIC.
    Ioapic,
}

impl Chip {
    const fn id(self) -> u32 {
        match self {
            Self::PicMaster => KVM_IRQCHIP_PIC_MASTER,
            Self::PicSlave => KVM_IRQCHIP_PIC_SLAVE,
            Self::Ioapic => KVM_IRQCHIP_IOAPIC,
        }
    }
}

/// All of a chip's state at one moment.
#[derive(Clone, Copy)]
pub struct ChipSnapshot(kvm_irqchip);

impl fmt::Debug for ChipSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChipSnapshot").field(&self.0.chip_id).finish()
    }
}

/// All of the timer's state at one moment.
#[derive(Clone, Copy, Debug)]
pub struct PitSnapshot(kvm_pit_state2);

impl Vm {
    /// Keeps the state of a chip.
    ///
    /// # Errors
    /// The kernel's: `ENXIO` without interrupt chips in the kernel.
    pub fn keep_chip(&self, chip: Chip) -> Result<ChipSnapshot, IoctlFailed> {
        let mut state = kvm_irqchip { chip_id: chip.id(), ..Default::default() };
        self.fd().get_irqchip(&mut state).map_err(IoctlFailed::of("KVM_GET_IRQCHIP"))?;
        Ok(ChipSnapshot(state))
    }

    /// Brings a chip back into a state that was kept.
    ///
    /// # Errors
    /// The kernel's.
    pub fn restore_chip(&self, state: &ChipSnapshot) -> Result<(), IoctlFailed> {
        self.fd().set_irqchip(&state.0).map_err(IoctlFailed::of("KVM_SET_IRQCHIP"))
    }

    /// Keeps the state of the timer.
    ///
    /// # Errors
    /// The kernel's: `ENXIO` without a timer in the kernel.
    pub fn keep_pit(&self) -> Result<PitSnapshot, IoctlFailed> {
        self.pit_state().map(PitSnapshot)
    }

    /// Brings the timer back into a state that was kept.
    ///
    /// # Errors
    /// The kernel's.
    pub fn restore_pit(&self, state: &PitSnapshot) -> Result<(), IoctlFailed> {
        self.fd().set_pit2(&state.0).map_err(IoctlFailed::of("KVM_SET_PIT2"))
    }
}
