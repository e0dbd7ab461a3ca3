//! `isa-debug-exit`: the debug-exit port on the ISA bus, which ends the process.

use std::sync::Arc;

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
    interfaces(PortIo)
)]
#[derive(Debug)]
pub struct IsaDebugExit {
    /// First I/O port
    #[property(default = DEFAULT_IOBASE)]
    iobase: u16,
    /// Number of I/O ports
    #[property(default = DEFAULT_IOSIZE, range = 1..=MAX_IOSIZE)]
    iosize: u8,
    /// The port never changes, so that no lock is needed.
    port: Realized<DebugExit>,
    requests: Realized<Arc<VmRequests>>,
}

impl Device for IsaDebugExit {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        self.port.set(DebugExit::new(self.iosize).map_err(DeviceError::configuration)?);
        self.requests.set(Arc::clone(cx.requests()));
        cx.claim_ports(0, self.iobase, self.iosize.into())
    }
}

impl IsaDevice for IsaDebugExit {}

impl PortIo for IsaDebugExit {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.port.with(|port| port.read(offset, data));
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        if let Some(request) = self.port.with(|port| port.write(offset, data)).flatten() {
            // A process's exit status keeps the low eight bits (POSIX, `_exit`).
            let [status, ..] = request.status.to_le_bytes();
            self.requests.with(|requests| requests.send(VmRequest::Exit(status)));
        }
    }
}
