//! Linux KVM as an accelerator: the system, its VMs, their memory, interrupts and vCPUs.
//!
//! Nothing here knows of objects, boards or devices. The order that the kernel wants, and that
//! is also the cheapest, is: [`System::open`], [`System::create_vm`], memory slots
//! ([`Vm::map`]), an interrupt chip ([`Vm::create_split_irqchip`] or [`Vm::create_irqchip`]),
//! then vCPUs ([`Vm::create_vcpu`]).

mod abi;
pub mod accel;
pub mod chips;
mod doorbells;
mod entry_state;
mod error;
mod internal_error;
mod interrupts;
mod kick;
mod lapic;
mod power_on;
mod registers;
mod run;
mod slots;
mod snapshot;
mod system;
mod vcpu;
mod vm;

#[cfg(test)]
mod guest_tests;

pub use abi::IoapicState;
pub use error::IoctlFailed;
pub use internal_error::{InstructionBytes, InternalError};
pub use interrupts::{EventAddress, EventMatch, Route, RouteTarget, SPLIT_IRQCHIP_PINS};
pub use kick::{KickError, KickReceiver, VcpuThread, VcpuThreadError};
pub use lapic::{LapicState, offset as lapic_offset};
pub use registers::RegisterDump;
pub use run::{ExitHandler, Outcome, RunError};
pub use slots::{Access, MapError, SlotId, Window};
pub use snapshot::{Chip, ChipSnapshot, PitSnapshot};
pub use system::{OpenError, PROCESSOR_PAGES, REQUIRED_CAPABILITIES, System};
pub use vcpu::{MpState, Role, Vcpu, VcpuError};
pub use vm::Vm;
