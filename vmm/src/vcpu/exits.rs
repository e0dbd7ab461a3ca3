//! What a guest's accesses reach: the buses of the machine.

use std::sync::Arc;

use device_model::{interrupt::InterruptController, platform::Platform};

use crate::kvm::ExitHandler;

/// Answers a processor's accesses from the buses of its machine, which hold only what its tree made.
pub struct BusExits {
    platform: Arc<Platform>,
    interrupts: Option<Arc<dyn InterruptController>>,
}

impl BusExits {
    /// The buses of a machine all of whose devices are realized.
    #[must_use]
    pub fn new(platform: Arc<Platform>) -> Self {
        let interrupts = platform.interrupts().and_then(|controller| controller.cast());
        Self { platform, interrupts }
    }
}

impl ExitHandler for BusExits {
    fn pio_read(&mut self, port: u16, data: &mut [u8]) {
        self.platform.ports().read(port.into(), data);
    }

    fn pio_write(&mut self, port: u16, data: &[u8]) {
        self.platform.ports().write(port.into(), data);
    }

    fn mmio_read(&mut self, address: u64, data: &mut [u8]) {
        self.platform.memory_io().read(address, data);
    }

    fn mmio_write(&mut self, address: u64, data: &[u8]) {
        self.platform.memory_io().write(address, data);
    }

    fn ioapic_eoi(&mut self, vector: u8) {
        if let Some(interrupts) = &self.interrupts {
            interrupts.end_of_interrupt(vector);
        }
    }
}
