//! Machines on which no guest runs.

use device_model::{
    platform::Platform,
    qom_core::{BoxedError, Children, Configuration, Obj, PlanError, qom_type},
};
use vmm::{
    boot::entry::Entry,
    machine::{Buses, Machine, MachineClass},
};

use crate::{in_each_status, with_each_feature};

static CLASS: MachineClass = MachineClass {
    is_default: false,
    runs_guest: false,
    has_serial: false,
    max_cpus: 0,
    buses: &[Buses::ISA],
};

fn containers(_: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
    for name in ["peripheral", "peripheral-anon", "unattached"] {
        children.add_container(name);
    }
    Ok(())
}

macro_rules! machine {
    ($name:ident, $($statement:tt)*) => {
        /// Machine of one status
        #[qom_type($($statement)* parent = Machine, class_data = CLASS, children = containers)]
        #[derive(Debug)]
        struct $name;

        impl Machine for $name {
            fn prepare(&self, _: &Platform) -> Result<(), BoxedError> {
                Ok(())
            }

            fn boot(&self, _: &Obj, _: &Platform) -> Result<Option<Entry>, BoxedError> {
                Ok(None)
            }
        }
    };
}

in_each_status!(machine: SecureMachine, InsecureMachine, UndeclaredMachine);
with_each_feature!(machine: DeprecatedMachine, UnstableMachine);
