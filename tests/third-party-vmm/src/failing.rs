//! A device that fails after it has claimed something.

use device_model::prelude::*;

/// Device that claims a port and then fails
#[qom_type(secure, parent = IsaDevice, interfaces(PortIo))]
#[derive(Debug)]
pub struct FailingDevice {
    /// I/O port
    #[property(default = 0x610)]
    iobase: u16,
}

impl Device for FailingDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        cx.claim_ports(0, self.iobase, 1)?;
        Err(DeviceError::configuration("the flux capacitor is missing"))
    }
}

impl IsaDevice for FailingDevice {}

impl PortIo for FailingDevice {
    fn read(&self, _: u8, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&self, _: u8, _: u64, _: &[u8]) {}
}
