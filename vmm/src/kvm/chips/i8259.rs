//! The pair of 8259 interrupt controllers in the kernel.

use device_model::prelude::*;
use serde_json::{Value, json};

use super::{accelerator, vm};
use crate::accelerator::Accelerator;

/// Pair of 8259 interrupt controllers in the kernel
#[qom_type(secure, name = "kvm-i8259", parent = SysBusDevice)]
pub struct KvmI8259 {
    /// What keeps it
    #[property(link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// Registers of the two chips
    #[property(get = Self::chips)]
    chips: Computed<Value>,
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
        accelerator(&self.accel).map(|_| ())
    }
}

impl SysBusDevice for KvmI8259 {}
