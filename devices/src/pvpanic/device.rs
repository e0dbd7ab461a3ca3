//! `pvpanic`: the panic port on the ISA bus, whose reports become requests to the machine.

use std::sync::Arc;

use device_model::prelude::*;

use super::{
    port::{GuestEvent, PvPanic},
    spec::{ALL, DEFAULT_IOBASE, REGISTER_COUNT},
};

/// Port by which a guest reports that its kernel has panicked
#[qom_type(secure, name = "pvpanic", parent = IsaDevice, interfaces(PortIo))]
#[derive(Debug)]
pub struct PvPanicDevice {
    /// I/O port
    #[property(default = DEFAULT_IOBASE)]
    ioport: u16,
    /// Mask of the events that are offered: 1 panic, 2 crash kernel loaded, 4 shutdown
    #[property(default = ALL, range = 0..=ALL)]
    events: u8,
    /// The port never changes, so that no lock is needed.
    port: Realized<PvPanic>,
    requests: Realized<Arc<VmRequests>>,
}

impl Device for PvPanicDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        self.port.set(PvPanic::new(self.events).map_err(DeviceError::configuration)?);
        self.requests.set(Arc::clone(cx.requests()));
        cx.claim_ports(0, self.ioport, REGISTER_COUNT)
    }
}

impl IsaDevice for PvPanicDevice {}

impl PortIo for PvPanicDevice {
    fn read(&self, _region: u8, offset: u64, data: &mut [u8]) {
        self.port.with(|port| port.read(offset, data));
    }

    fn write(&self, _region: u8, offset: u64, data: &[u8]) {
        let request = match self.port.with(|port| port.write(offset, data)).flatten() {
            Some(GuestEvent::Panicked) => VmRequest::GuestPanicked,
            Some(GuestEvent::CrashLoaded) => VmRequest::GuestCrashLoaded,
            Some(GuestEvent::Shutdown) => VmRequest::PowerOff,
            None => return,
        };
        // The queue is bounded and takes a request that waits already only once, so that a guest
        // gains nothing by repeating itself.
        self.requests.with(|requests| requests.send(request));
    }
}
