//! `isa-debugcon`: the debug console on the ISA bus, which writes to a character device.

use device_model::prelude::*;

use super::{
    port::DebugCon,
    spec::{DEFAULT_IOBASE, DEFAULT_READBACK, REGISTER_COUNT},
};

/// Port that firmware writes its log to
#[qom_type(secure, parent = IsaDevice, interfaces(PortIo))]
#[derive(Debug)]
pub struct IsaDebugcon {
    /// I/O port
    #[property(default = DEFAULT_IOBASE)]
    iobase: u16,
    /// What the port reads as
    #[property(default = DEFAULT_READBACK)]
    readback: u8,
    /// Where the log goes; it is lost without one
    #[property(link = dyn Chardev)]
    chardev: Link<dyn Chardev>,
}

impl IsaDebugcon {
    /// The port has no state but its configuration, so that there is nothing to lock.
    const fn port(&self) -> DebugCon {
        DebugCon::new(self.readback)
    }
}

impl Device for IsaDebugcon {
    /// It never reads from the character device, and leaves that to another.
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_ports(0, self.iobase, REGISTER_COUNT)
    }
}

impl IsaDevice for IsaDebugcon {}

impl PortIo for IsaDebugcon {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.port().read(offset, data);
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        if let (Some(byte), Some(chardev)) = (self.port().write(offset, data), self.chardev.get()) {
            chardev.write(&[byte]);
        }
    }
}
