//! Machines: what memory, processors and devices a guest finds.

mod acpi;
mod advice;
mod firmware;
mod memory;
mod microvm;
mod none;
mod on_off_auto;
mod processors;

use std::sync::Arc;

use device_model::{
    memory_backend::MemoryBackend,
    platform::Platform,
    qom_core::{BoxedError, Obj, Object, Size, qom_type},
};

use crate::{accelerator::Accelerator, boot::entry::Entry};

pub use advice::Advice;
pub use memory::MemoryError;
pub use microvm::MicrovmMachine;
pub use none::NoneMachine;
pub use on_off_auto::OnOffAuto;

/// What memory, processors and devices a guest finds
///
/// A machine of this class states no boundary: the one that lets a guest run adds it.
#[qom_type(abstract, parent = Object, category = "Machines")]
pub trait Machine: Object {
    /// What runs the processors
    #[property(link = dyn Accelerator)]
    fn accel(&self) -> Option<Arc<dyn Accelerator>>;

    /// Size of the guest's memory, which a backend's is if there is one
    #[property(default = Size(128 << 20))]
    fn memory_size(&self) -> Size;

    /// What the guest's memory comes from
    #[property(link = dyn MemoryBackend)]
    fn memory_backend(&self) -> Option<Arc<dyn MemoryBackend>>;

    /// Number of processors
    #[property(default = 1, range = 0..=255)]
    fn cpus(&self) -> u32;

    /// Prepares the platform for the devices: memory above all.
    ///
    /// # Errors
    /// If the host can't give what the machine needs.
    fn prepare(&self, platform: &Platform) -> Result<(), BoxedError>;

    /// Puts what the guest starts from into its memory, once every device is realized, and at each
    /// reset; `machine` is its own handle. None on a machine that runs no guest.
    ///
    /// # Errors
    /// If what was loaded doesn't fit together.
    fn boot(&self, machine: &Obj, platform: &Platform) -> Result<Option<Entry>, BoxedError>;
}

/// What can be known of a machine by its class alone: class data of every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineClass {
    /// Whether it is the machine that a user gets who names none.
    pub is_default: bool,
    /// Whether processors run on it, so that it needs an accelerator.
    pub runs_guest: bool,
    /// Whether it has a first serial port, for `-serial`.
    pub has_serial: bool,
    /// The greatest number of processors. One that runs no guest has none unless users name a type.
    pub max_cpus: u32,
    /// Its buses on which users' devices can stand.
    pub buses: &'static [Buses],
}

/// The buses of one kind that a machine has, called by a name and their number, from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buses {
    /// The kind, as a device's [`Plug`](device_model::device::Plug) has it.
    pub kind: &'static str,
    /// Their name, before the dot and the number.
    pub name: &'static str,
    /// How many there are.
    pub count: u32,
}

impl Buses {
    /// The one ISA bus of a machine.
    pub const ISA: Self = Self { kind: "ISA", name: "isa", count: 1 };

    /// What each of them is called.
    pub fn names(self) -> impl Iterator<Item = String> {
        (0..self.count).map(move |number| format!("{}.{number}", self.name))
    }
}

/// Where the machine stands.
pub const MACHINE: &str = "/machine";
/// Behind the name of a machine's type, which users leave out.
pub const TYPE_SUFFIX: &str = "-machine";
