//! `isa-debug-exit`: the debug-exit port on the ISA bus, which ends the process.

use std::sync::{Arc, OnceLock};

use device_model::prelude::*;

use super::{
    port::DebugExit,
    spec::{DEFAULT_IOBASE, DEFAULT_IOSIZE, MAX_IOSIZE},
};

/// Port by which a test guest ends the VMM with a status of its choice
#[qom_type(
    insecure,
    reason = "the guest ends the VMM's process and picks its exit status, which whoever started \
              the VMM may take for the VMM's own word; it is for test guests",
    parent = IsaDevice,
    interfaces(PortIo),
    category = "Misc devices"
)]
#[derive(Debug)]
pub struct IsaDebugExit {
    /// First I/O port
    #[property(default = DEFAULT_IOBASE)]
    iobase: u16,
    /// Number of I/O ports
    #[property(default = DEFAULT_IOSIZE, range = 1..=MAX_IOSIZE as i128)]
    iosize: u8,
    /// Set when the device is realized. The port itself never changes, so that no lock is needed.
    work: OnceLock<(DebugExit, Arc<VmRequests>)>,
}

impl Device for IsaDebugExit {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let port = DebugExit::new(self.iosize)
            .map_err(|error| DeviceError::Configuration(error.to_string()))?;
        self.work.get_or_init(|| (port, Arc::clone(cx.requests())));
        cx.claim_ports(0, self.iobase, self.iosize.into())
    }
}

impl IsaDevice for IsaDebugExit {}

impl PortIo for IsaDebugExit {
    fn read(&self, _region: u8, offset: u16, data: &mut [u8]) {
        if let Some((port, _)) = self.work.get() {
            port.read(offset.into(), data);
        }
    }

    fn write(&self, _region: u8, offset: u16, data: &[u8]) {
        if let Some((port, requests)) = self.work.get()
            && let Some(request) = port.write(offset.into(), data)
        {
            // A process's exit status keeps the low eight bits (POSIX, `_exit`).
            let [status, ..] = request.status.to_le_bytes();
            requests.send(VmRequest::Exit(status));
        }
    }
}
