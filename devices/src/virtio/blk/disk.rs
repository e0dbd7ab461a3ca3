//! The disk behind the device, whoever drives it: its length, its cache, its name, and what becomes
//! of requests that fail.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use device_model::{
    block::{BlockBackend, BlockIoError, ErrorAction, ErrorPolicy, IoOperation},
    platform::Announcer,
    request::{VmRequest, VmRequests},
};

use super::{
    layout::Layout,
    spec::{ID_BYTES, config, feature},
};

/// What monitors know a disk by.
pub(super) struct Names {
    /// Path of the device.
    pub(super) path: String,
    /// Its id, empty if it has none.
    pub(super) id: String,
    /// The node behind it.
    pub(super) node: Option<String>,
}

/// What the user wants done about failures, and who is told.
pub(super) struct Failures {
    pub(super) policy: ErrorPolicy,
    pub(super) names: Names,
    pub(super) announcer: Announcer,
    pub(super) requests: Arc<VmRequests>,
}

/// The disk behind a device.
pub(super) struct Disk {
    backend: Arc<BlockBackend>,
    layout: Layout,
    serial: [u8; ID_BYTES],
    failures: Failures,
    /// Its length as the driver was last told.
    sectors: AtomicU64,
    /// Whether what was written may have to be flushed, unless a driver says otherwise.
    caches: bool,
    /// The same, as the configuration has it now.
    writeback: AtomicBool,
}

impl Disk {
    /// One with a serial number, of which as many bytes are told as there is room for.
    pub(super) fn new(
        backend: Arc<BlockBackend>,
        layout: Layout,
        serial: &str,
        caches: bool,
        failures: Failures,
    ) -> Self {
        let mut bytes = [0; ID_BYTES];
        for (place, byte) in bytes.iter_mut().zip(serial.bytes()) {
            *place = byte;
        }
        let sectors = AtomicU64::new(layout.sectors(backend.length()));
        let writeback = AtomicBool::new(caches);
        Self { backend, layout, serial: bytes, failures, sectors, caches, writeback }
    }

    pub(super) const fn backend(&self) -> &Arc<BlockBackend> {
        &self.backend
    }

    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) const fn serial(&self) -> &[u8; ID_BYTES] {
        &self.serial
    }

    pub(super) fn sectors(&self) -> u64 {
        self.sectors.load(Ordering::Acquire)
    }

    /// Takes note of the length that the node has now.
    pub(super) fn resized(&self) {
        let sectors = self.layout.sectors(self.backend.length());
        self.sectors.store(sectors, Ordering::Release);
    }

    pub(super) fn config(&self) -> [u8; config::SIZE] {
        self.layout.config(self.sectors(), self.writeback.load(Ordering::Acquire))
    }

    /// The driver switches the cache, if it may.
    pub(super) fn set_writeback(&self, on: bool) {
        if self.layout.features() & feature::CONFIG_WCE != 0 {
            self.writeback.store(on, Ordering::Release);
        }
    }

    /// A driver begins that has agreed on those features. One that knows of the switch and not of
    /// flushes begins without a cache (section 5.2.5.2).
    pub(super) fn begin(&self, features: u64) {
        if features & feature::FLUSH == 0 {
            self.writeback.store(false, Ordering::Release);
        }
    }

    /// No driver is there any more.
    pub(super) fn end(&self) {
        self.writeback.store(self.caches, Ordering::Release);
    }

    /// Whether what is written now is to outlast a failure of the host once it is done, for a driver
    /// that has agreed on those features (section 5.2.6.2).
    pub(super) fn is_writethrough(&self, features: u64) -> bool {
        if features & feature::CONFIG_WCE != 0 {
            return !self.writeback.load(Ordering::Acquire);
        }
        features & feature::FLUSH == 0 || !self.caches
    }

    /// What is done about a request that failed: monitors are told of it here, and the machine is
    /// asked to stop. That a flush failed is never kept from the guest, which counts on it.
    pub(super) fn failed(
        &self,
        operation: IoOperation,
        flush: bool,
        error: &io::Error,
    ) -> ErrorAction {
        let Failures { policy, names, announcer, requests } = &self.failures;
        let action = match policy.action(operation, error) {
            ErrorAction::Ignore if flush => ErrorAction::Report,
            action => action,
        };
        let (path, id) = (names.path.clone(), names.id.clone());
        let event = BlockIoError::new(path, id, names.node.clone(), operation, action, error);
        announcer.announce(&event);
        if action == ErrorAction::Stop {
            requests.send(VmRequest::StopOnIoError);
        }
        action
    }
}
