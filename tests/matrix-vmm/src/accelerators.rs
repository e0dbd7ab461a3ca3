//! Accelerators that run no processors.

use std::{ops::Range, sync::Arc};

use device_model::{
    interrupt::{Msi, MsiSink},
    platform::{GuestMemory, Platform},
    qom_core::{BoxedError, Obj, PlanError, qom_type},
};
use vmm::{
    accelerator::{Accelerator, AcceleratorClass, Controller, Legacy, Setting, Vcpu},
    cpu::CpuSetup,
};

use crate::{in_each_status, with_each_feature};

static CLASS: AcceleratorClass = AcceleratorClass { controllers: ioapic, local_apic: None };

fn ioapic(_: &dyn Setting, _: Legacy) -> Result<Vec<Controller>, PlanError> {
    Ok(vec![Controller { name: "ioapic", type_name: "ioapic", accelerator_link: None }])
}

macro_rules! accelerator {
    ($name:ident, $($statement:tt)*) => {
        /// Accelerator of one status, without processors
        #[qom_type($($statement)* parent = Accelerator, interfaces(MsiSink), class_data = CLASS)]
        #[derive(Debug)]
        struct $name;

        impl Accelerator for $name {
            fn open(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
                Ok(platform.set_msi(object)?)
            }

            fn close(&self) {}

            fn attach_memory(
                &self,
                _: &Arc<GuestMemory>,
                _: Option<&Range<u64>>,
            ) -> Result<(), BoxedError> {
                Ok(())
            }

            fn runs_processors(&self) -> bool {
                false
            }

            fn create_vcpu(&self, _: &CpuSetup) -> Result<Box<dyn Vcpu>, BoxedError> {
                Err("there are no processors".into())
            }
        }

        impl MsiSink for $name {
            fn send(&self, _: Msi) {}

            fn route(&self, _: u32, _: Option<Msi>) {}
        }
    };
}

in_each_status!(accelerator: SecureAccel, InsecureAccel, UndeclaredAccel);
with_each_feature!(accelerator: DeprecatedAccel, UnstableAccel);
