//! The I/O APIC in the kernel.

use std::sync::Arc;

use device_model::prelude::*;
use serde_json::{Value, json};

use super::{kernel, open_vm, vm};
use crate::{
    accelerator::Accelerator,
    kvm::{Chip, ChipSnapshot, Vm},
};

/// Pins that KVM's I/O APIC has (`KVM_IOAPIC_NUM_PINS`).
const PINS: u32 = 24;

/// I/O APIC in the kernel
#[qom_type(secure, parent = SysBusDevice, interfaces(InterruptController))]
pub struct KvmIoapic {
    /// What keeps it
    #[property(link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// Redirection table: one number a pin; null if it can't be read
    #[property(get = Self::redirections)]
    redirections: Computed<Value>,
    /// Interrupt requests: one bit a pin; null if they can't be read
    #[property(get = Self::requests)]
    irr: Computed<Option<u32>>,
    vm: Realized<Arc<Vm>>,
    pristine: Realized<ChipSnapshot>,
}

impl KvmIoapic {
    fn redirections(&self) -> Value {
        let state = vm(&self.accel).and_then(|vm| vm.ioapic_state().ok());
        state.map_or(Value::Null, |state| json!(state.redirection.to_vec()))
    }

    fn requests(&self) -> Option<u32> {
        Some(vm(&self.accel)?.ioapic_state().ok()?.irr)
    }
}

impl Device for KvmIoapic {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        // The accelerator made the chip with the memory; here it takes its lines.
        let vm = open_vm(&self.accel)?;
        self.pristine.set(vm.keep_chip(Chip::Ioapic).map_err(kernel)?);
        self.vm.set(vm);
        cx.claim_interrupts()
    }

    fn reset(&self) {
        if let (Some(vm), Some(pristine)) = (self.vm.get(), self.pristine.get()) {
            // The kernel takes back what it gave.
            let _ = vm.restore_chip(&pristine);
        }
    }
}

impl SysBusDevice for KvmIoapic {}

impl InterruptController for KvmIoapic {
    fn pins(&self) -> u32 {
        PINS
    }

    fn set_level(&self, pin: u32, level: bool) {
        if pin < PINS {
            // It can only fail for a pin that has no route, and each of these has one.
            self.vm.with(|vm| vm.set_irq_line(pin, level));
        }
    }
}
