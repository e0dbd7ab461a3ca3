//! `acpi-ged`: the sleep and reset registers in guest-physical memory.

use std::sync::Arc;

use device_model::prelude::*;

use super::{
    registers::{GedRegisters, PowerRequest},
    spec::{DEFAULT_BASE, REGISTER_COUNT},
};

/// ACPI registers by which a guest powers off or resets the machine
#[qom_type(secure, parent = SysBusDevice, interfaces(MemoryIo))]
#[derive(Debug)]
pub struct AcpiGed {
    /// Guest-physical address of the registers
    #[property(default = DEFAULT_BASE)]
    base: u64,
    /// The sleep control register
    #[property(get = Self::sleep_control)]
    sleep_control: Computed<u8>,
    /// Nothing is called while it is locked.
    registers: Mutex<GedRegisters>,
    requests: Realized<Arc<VmRequests>>,
}

impl AcpiGed {
    fn sleep_control(&self) -> u8 {
        self.registers.lock().state().sleep_control
    }
}

impl Device for AcpiGed {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        self.requests.set(Arc::clone(cx.requests()));
        cx.claim_memory(0, self.base, REGISTER_COUNT)
    }

    fn reset(&self) {
        self.registers.lock().reset();
    }
}

impl SysBusDevice for AcpiGed {}

impl MemoryIo for AcpiGed {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.registers.lock().read(offset, data);
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        let request = match self.registers.lock().write(offset, data) {
            Some(PowerRequest::PowerOff) => VmRequest::PowerOff,
            Some(PowerRequest::Reset) => VmRequest::Reset,
            None => return,
        };
        self.requests.with(|requests| requests.send(request));
    }
}
