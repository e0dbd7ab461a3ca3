//! `i8042`: the keyboard controller at its two ports, whose reset line resets the machine.

use std::sync::Arc;

use device_model::prelude::*;

use super::{
    controller::I8042,
    spec::{DATA, DEFAULT_IOBASE, STATUS_COMMAND, STATUS_COMMAND_PORT},
};

/// The regions: one port each, since what lies between belongs to others.
const DATA_REGION: u8 = 0;
const STATUS_COMMAND_REGION: u8 = 1;

/// Keyboard controller without keyboard or mouse
#[qom_type(
    secure,
    name = "i8042",
    parent = SysBusDevice,
    interfaces(PortIo),
    category = "Input devices"
)]
#[derive(Debug)]
pub struct I8042Device {
    /// The command byte
    #[property(get = Self::command_byte)]
    command_byte: Computed<u8>,
    /// The output port; bit 1 is the A20 gate
    #[property(get = Self::output_port)]
    output_port: Computed<u8>,
    /// Nothing is called while it is locked.
    controller: Mutex<I8042>,
    requests: Realized<Arc<VmRequests>>,
}

impl I8042Device {
    fn command_byte(&self) -> u8 {
        self.controller.lock().state().command_byte
    }

    fn output_port(&self) -> u8 {
        self.controller.lock().state().output_port
    }
}

/// Where the controller has what a region has at `offset`.
fn controller_offset(region: u8, offset: u64) -> u64 {
    let first = if region == DATA_REGION { DATA } else { STATUS_COMMAND };
    first + offset
}

impl Device for I8042Device {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        self.requests.set(Arc::clone(cx.requests()));
        cx.claim_ports(DATA_REGION, DEFAULT_IOBASE, 1)?;
        cx.claim_ports(STATUS_COMMAND_REGION, STATUS_COMMAND_PORT, 1)
    }

    fn reset(&self) {
        self.controller.lock().reset();
    }
}

impl SysBusDevice for I8042Device {}

impl PortIo for I8042Device {
    fn read(&self, region: u8, offset: u64, data: &mut [u8]) {
        self.controller.lock().read(controller_offset(region, offset), data);
    }

    fn write(&self, region: u8, offset: u64, data: &[u8]) {
        let request = self.controller.lock().write(controller_offset(region, offset), data);
        if request.is_some() {
            self.requests.with(|requests| requests.send(VmRequest::Reset));
        }
    }
}
