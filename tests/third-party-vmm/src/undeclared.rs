//! A device about which nobody has made a statement.

use std::sync::atomic::{AtomicU8, Ordering};

use device_model::prelude::*;

/// Port that reads as the last byte written to it
#[qom_type(parent = IsaDevice, interfaces(PortIo))]
#[derive(Debug)]
pub struct UndeclaredDevice {
    /// I/O port
    #[property(default = 0x600)]
    iobase: u16,
    last: AtomicU8,
}

impl Device for UndeclaredDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_ports(0, self.iobase, 1)
    }

    fn reset(&self) {
        self.last.store(0, Ordering::Relaxed);
    }
}

impl IsaDevice for UndeclaredDevice {}

impl PortIo for UndeclaredDevice {
    fn read(&self, _: u8, _: u64, data: &mut [u8]) {
        data.fill(self.last.load(Ordering::Relaxed));
    }

    fn write(&self, _: u8, _: u64, data: &[u8]) {
        if let Some(byte) = data.first() {
            self.last.store(*byte, Ordering::Relaxed);
        }
    }
}
