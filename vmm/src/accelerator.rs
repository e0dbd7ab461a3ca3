//! Accelerators: what runs a machine's processors.

use std::{ops::Range, sync::Arc};

use device_model::{
    platform::{GuestMemory, Platform},
    qom_core::{BoxedError, Configuration, Obj, Object, PlanError, qom_type},
};

use crate::{
    boot::entry::Entry,
    cpu::CpuSetup,
    kvm::{ExitHandler, LapicState, Outcome, RunError},
    machine::OnOffAuto,
};

/// Where the accelerator stands.
pub const ACCELERATOR: &str = "/accel";
/// Behind the name of an accelerator's type, which users leave out.
pub const TYPE_SUFFIX: &str = "-accel";
/// What the accelerator of a machine that runs a guest is, unless the user names another.
pub const DEFAULT: &str = "kvm";

/// What runs a machine's processors
///
/// The order is open, attach memory, create processors: interrupt chips in the kernel come after
/// memory, which makes a start several milliseconds faster, and before processors, as they must.
#[qom_type(abstract, parent = Object, boundary(guest), category = "Accelerators")]
pub trait Accelerator: Object {
    /// Takes up the host's virtualization and makes an empty VM of the accelerator `object` is the
    /// handle of.
    ///
    /// # Errors
    /// If the host has none, or not for this user.
    fn open(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError>;

    /// Gives up the VM.
    fn close(&self);

    /// Makes all of the guest's memory visible to the VM, `read_only` as such, then makes its
    /// interrupt chips.
    ///
    /// # Errors
    /// If the host refuses.
    fn attach_memory(
        &self,
        memory: &Arc<GuestMemory>,
        read_only: Option<&Range<u64>>,
    ) -> Result<(), BoxedError>;

    /// Whether it runs processors. Under one that does not, they are there for what they tell of
    /// themselves, and stand still; and a machine needs nothing to start from.
    fn runs_processors(&self) -> bool {
        true
    }

    /// Creates a processor.
    ///
    /// # Errors
    /// If it runs none, the host refuses, or can't give it a feature that the user asked for.
    fn create_vcpu(&self, setup: &CpuSetup) -> Result<Box<dyn Vcpu>, BoxedError>;
}

/// One processor, on the thread that runs it.
pub trait Vcpu: Send {
    /// Brings it into the state in which a machine starts: it enters the guest by `entry`, or waits
    /// for another processor to start it.
    ///
    /// # Errors
    /// If the host refuses.
    fn reset(&mut self, entry: Option<&Entry>) -> Result<(), BoxedError>;

    /// Runs the guest until it needs something, and lets `exits` give it that.
    ///
    /// # Errors
    /// If the host can't run it.
    fn run(&mut self, exits: &mut dyn ExitHandler) -> Result<Outcome, RunError>;

    /// Finishes the access that the last exit was for, so that the registers are true.
    ///
    /// # Errors
    /// If the host refuses.
    fn finish_access(&mut self, exits: &mut dyn ExitHandler) -> Result<(), RunError>;

    /// Its registers, for people.
    fn registers(&self) -> String;

    /// The registers of its local APIC, if that is in the kernel.
    fn local_apic(&self) -> Option<LapicState>;
}

/// What can be known of an accelerator by its class alone, while a machine is planned: class data
/// of every accelerator.
#[derive(Debug)]
pub struct AcceleratorClass {
    /// The interrupt controllers of a machine under an accelerator of this configuration.
    pub controllers: fn(&dyn Setting, Legacy) -> Result<Vec<Controller>, PlanError>,
    /// Type of the local APIC that each processor has; none without one.
    pub local_apic: Option<&'static str>,
}

/// Chips of the first PCs that a machine may be asked to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legacy {
    /// The pair of 8259 interrupt controllers; by itself, it is there if the accelerator's other
    /// chips bring it.
    pub pic: OnOffAuto,
    /// The 8254 timer.
    pub pit: bool,
}

/// What the pair of 8259 interrupt controllers is called in the tree, where there is one.
pub const PIC: &str = "i8259";

/// An interrupt controller or timer that an accelerator names for a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    /// What it is called in the tree.
    pub name: &'static str,
    /// Its type.
    pub type_name: &'static str,
    /// Name of the property that links it to the accelerator; none if it needs no link.
    pub accelerator_link: Option<&'static str>,
}

/// The values of an accelerator's properties, planned or alive.
pub trait Setting {
    /// The word or text that a property has.
    ///
    /// # Errors
    /// If there is no such property, or it is no text.
    fn text(&self, property: &str) -> Result<String, PlanError>;
}

impl Setting for Configuration<'_> {
    fn text(&self, property: &str) -> Result<String, PlanError> {
        self.get(property)
    }
}

impl Setting for device_model::qom_core::Linked<'_> {
    fn text(&self, property: &str) -> Result<String, PlanError> {
        self.get(property)
    }
}
