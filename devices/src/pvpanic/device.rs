//! `pvpanic`: the panic port on the ISA bus, whose reports become requests to the machine.

use std::sync::{Arc, OnceLock};

use device_model::prelude::*;

use super::{
    port::{GuestEvent, PvPanic},
    spec::{ALL, DEFAULT_IOBASE, REGISTER_COUNT},
};

/// Port by which a guest reports that its kernel has panicked
#[qom_type(secure, name = "pvpanic", parent = IsaDevice, interfaces(PortIo), category = "Misc devices")]
#[derive(Debug)]
pub struct PvPanicDevice {
    /// I/O port
    #[property(default = DEFAULT_IOBASE)]
    ioport: u16,
    /// Mask of the events that are offered: 1 panic, 2 crash kernel loaded, 4 shutdown
    #[property(default = ALL, range = 0..=ALL as i128)]
    events: u8,
    /// Set when the device is realized. The port itself never changes, so that no lock is needed.
    work: OnceLock<(PvPanic, Arc<VmRequests>)>,
}

impl Device for PvPanicDevice {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let port = PvPanic::new(self.events)
            .map_err(|error| DeviceError::Configuration(error.to_string()))?;
        self.work.get_or_init(|| (port, Arc::clone(cx.requests())));
        cx.claim_ports(0, self.ioport, REGISTER_COUNT)
    }
}

impl IsaDevice for PvPanicDevice {}

impl PortIo for PvPanicDevice {
    fn read(&self, _region: u8, offset: u16, data: &mut [u8]) {
        if let Some((port, _)) = self.work.get() {
            port.read(offset.into(), data);
        }
    }

    fn write(&self, _region: u8, offset: u16, data: &[u8]) {
        let Some((port, requests)) = self.work.get() else {
            return;
        };
        // The queue is bounded and takes a request that waits already only once, so that a guest
        // gains nothing by repeating itself.
        match port.write(offset.into(), data) {
            Some(GuestEvent::Panicked) => requests.send(VmRequest::GuestPanicked),
            Some(GuestEvent::CrashLoaded) => requests.send(VmRequest::GuestCrashLoaded),
            Some(GuestEvent::Shutdown) => requests.send(VmRequest::PowerOff),
            None => {}
        }
    }
}
