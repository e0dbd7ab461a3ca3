//! Realizing a device: giving it its place in a machine, and taking it away.

use std::{io, sync::Arc};

use qom_core::{BoxedError, Completion, Obj};
use thiserror::Error;

use crate::{
    bus::ClaimError,
    device::Device,
    event_loop::{EventLoop, Timer},
    interrupt::{InterruptLine, LineError, MsiSink},
    platform::{GuestMemory, Platform},
    request::VmRequests,
};

/// Why a device could not be realized.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Its addresses.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Its interrupt line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Something that only some machines have.
    #[error("the machine has no {0}")]
    Missing(&'static str),
    /// A backend that another device uses.
    #[error("'{backend}' is in use by another device")]
    BackendInUse {
        /// Path of the backend.
        backend: String,
    },
    /// The host refuses something.
    #[error("can't {action}: {source}")]
    Host {
        /// What was tried.
        action: String,
        /// What the host says.
        source: io::Error,
    },
    /// What the user configured can't be, in the device's words.
    #[error("{0}")]
    Configuration(String),
    /// An error of another kind.
    #[error(transparent)]
    Other(#[from] BoxedError),
}

/// What a device can claim while it is realized.
#[derive(Debug)]
pub struct RealizeContext<'a> {
    object: &'a Obj,
    platform: &'a Platform,
}

impl<'a> RealizeContext<'a> {
    /// The handle of the device itself.
    #[must_use]
    pub const fn object(&self) -> &'a Obj {
        self.object
    }

    /// The machine's platform.
    #[must_use]
    pub const fn platform(&self) -> &'a Platform {
        self.platform
    }

    /// Claims `count` I/O ports from `first` on; the device calls them region `number`.
    ///
    /// # Errors
    /// If they are taken or don't exist.
    pub fn claim_ports(&mut self, number: u8, first: u16, count: u16) -> Result<(), DeviceError> {
        Ok(self.platform.ports().claim(self.object, number, first.into(), count.into())?)
    }

    /// Claims `size` bytes of guest-physical addresses; the device calls them region `number`.
    ///
    /// # Errors
    /// If they are taken or don't exist.
    pub fn claim_memory(&mut self, number: u8, first: u64, size: u64) -> Result<(), DeviceError> {
        Ok(self.platform.memory_io().claim(self.object, number, first, size)?)
    }

    /// Lays a line to a pin of the machine's interrupt controller.
    ///
    /// # Errors
    /// If there is no such pin or another device has it.
    pub fn interrupt_line(&mut self, pin: u32) -> Result<InterruptLine, DeviceError> {
        Ok(self.platform.line(self.object, pin)?)
    }

    /// What takes message-signalled interrupts.
    ///
    /// # Errors
    /// If the machine has nothing that does.
    pub fn msi(&self) -> Result<Arc<dyn MsiSink>, DeviceError> {
        self.platform.msi().ok_or(DeviceError::Missing("message-signalled interrupts"))
    }

    /// The guest's memory.
    ///
    /// # Errors
    /// If the machine has none.
    pub fn memory(&self) -> Result<&'a Arc<GuestMemory>, DeviceError> {
        self.platform.memory().ok_or(DeviceError::Missing("memory"))
    }

    /// Where to ask for the machine to stop or start over.
    #[must_use]
    pub const fn requests(&self) -> &'a Arc<VmRequests> {
        self.platform.requests()
    }

    /// The main thread's loop.
    #[must_use]
    pub const fn events(&self) -> &'a Arc<EventLoop> {
        self.platform.events()
    }

    /// A timer that calls back on the main thread.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn timer(&self, callback: impl FnMut() + Send + 'static) -> Result<Timer, DeviceError> {
        self.events()
            .timer(callback)
            .map_err(|source| DeviceError::Host { action: "create a timer".to_owned(), source })
    }
}

/// Realizes the devices of a plan on a platform; leaves every other object alone.
#[derive(Debug)]
pub struct DeviceRealizer<'a> {
    platform: &'a Platform,
}

impl<'a> DeviceRealizer<'a> {
    /// Realizes on that platform.
    #[must_use]
    pub const fn new(platform: &'a Platform) -> Self {
        Self { platform }
    }
}

impl Completion for DeviceRealizer<'_> {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        let Some(device) = object.cast::<dyn Device>() else {
            return Ok(());
        };
        let mut context = RealizeContext { object, platform: self.platform };
        device.realize(&mut context).map_err(|error| {
            self.platform.release(object);
            error.into()
        })
    }

    fn undo(&mut self, object: &Obj) {
        if let Some(device) = object.cast::<dyn Device>() {
            // First, so that no access that begins now finds it without what it needs.
            self.platform.release(object);
            device.unrealize();
        }
    }
}
