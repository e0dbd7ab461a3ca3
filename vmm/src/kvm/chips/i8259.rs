//! The pair of 8259 interrupt controllers in the kernel.

use device_model::prelude::*;
use serde_json::{Value, json};

use super::{kernel, open_vm, vm};
use crate::{
    accelerator::Accelerator,
    kvm::{Chip, ChipSnapshot},
};

/// Pair of 8259 interrupt controllers in the kernel
#[qom_type(secure, name = "kvm-i8259", parent = SysBusDevice)]
pub struct KvmI8259 {
    /// What keeps it
    #[property(link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// Registers of the two chips
    #[property(get = Self::chips)]
    chips: Computed<Value>,
    pristine: Realized<[ChipSnapshot; 2]>,
}

impl KvmI8259 {
    fn chips(&self) -> Value {
        let Some(chips) = vm(&self.accel).and_then(|vm| vm.pic_states().ok()) else {
            return Value::Null;
        };
        let shown = chips.map(|chip| {
            json!({
                "irr": chip.irr, "imr": chip.imr, "isr": chip.isr,
                "irq-base": chip.irq_base, "elcr": chip.elcr, "auto-eoi": chip.auto_eoi != 0,
            })
        });
        json!(shown)
    }
}

impl Device for KvmI8259 {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let vm = open_vm(&self.accel)?;
        let keep = |chip| vm.keep_chip(chip).map_err(kernel);
        self.pristine.set([keep(Chip::PicMaster)?, keep(Chip::PicSlave)?]);
        Ok(())
    }

    fn reset(&self) {
        if let (Some(vm), Some(pristine)) = (vm(&self.accel), self.pristine.get()) {
            for chip in &*pristine {
                // The kernel takes back what it gave.
                let _ = vm.restore_chip(chip);
            }
        }
    }
}

impl SysBusDevice for KvmI8259 {}
