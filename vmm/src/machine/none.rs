//! The machine with nothing in it, on which no guest ever runs.

use device_model::{
    platform::Platform,
    qom_core::{BoxedError, Children, Configuration, Obj, PlanError, qom_type},
};

use super::{Buses, Machine, MachineClass, memory};
use crate::boot::entry::Entry;

/// A machine with no processor, for tools that ask what there is
#[qom_type(secure, parent = Machine, class_data = CLASS, children = containers)]
pub struct NoneMachine;

static CLASS: MachineClass = MachineClass {
    is_default: false,
    runs_guest: false,
    has_serial: false,
    max_cpus: 0,
    // No guest sees them, but whoever asks what would become of a device can try.
    buses: &[Buses::ISA],
};

/// Only what users may add to, as on every machine.
fn containers(config: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    if config.linked(memory::BACKEND)?.is_some() {
        return Err(PlanError::refused(memory::BACKEND, "no guest runs here that needs memory"));
    }
    for name in ["peripheral", "peripheral-anon", "unattached"] {
        children.add_container(name);
    }
    Ok(())
}

impl Machine for NoneMachine {
    fn prepare(&self, _: &Platform) -> Result<(), BoxedError> {
        Ok(())
    }

    fn boot(&self, _: &Obj, _: &Platform) -> Result<Option<Entry>, BoxedError> {
        Ok(None)
    }
}
