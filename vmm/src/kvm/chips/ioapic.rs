//! The I/O APIC in the kernel.

use std::sync::Arc;

use device_model::prelude::*;
use serde_json::{Value, json};

use super::{accelerator, vm};
use crate::{accelerator::Accelerator, kvm::Vm};

/// Pins that KVM's I/O APIC has (`KVM_IOAPIC_NUM_PINS`).
const PINS: u32 = 24;

/// I/O APIC in the kernel
#[qom_type(secure, parent = SysBusDevice, interfaces(InterruptController))]
pub struct KvmIoapic {
    /// What keeps it
    #[property(link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// Redirection table: one number a pin
    #[property(get = Self::redirections)]
    redirections: Computed<Value>,
    /// Interrupt requests: one bit a pin
    #[property(get = Self::requests)]
    irr: Computed<u32>,
    vm: Realized<Arc<Vm>>,
}

impl KvmIoapic {
    fn redirections(&self) -> Value {
        let state = vm(&self.accel).and_then(|vm| vm.ioapic_state().ok());
        state.map_or(Value::Null, |state| json!(state.redirection.to_vec()))
    }

    fn requests(&self) -> u32 {
        vm(&self.accel).and_then(|vm| vm.ioapic_state().ok()).map_or(0, |state| state.irr)
    }
}

impl Device for KvmIoapic {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let vm = accelerator(&self.accel)?.vm();
        // The accelerator made the chip with the memory; here it takes its lines.
        let vm = vm.ok_or(DeviceError::Missing("open accelerator"))?;
        self.vm.set(vm);
        cx.claim_interrupts()
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
