//! Realizing a device: giving it its place in a machine, and taking it away.

use std::{
    io,
    sync::{Arc, Weak},
};

use qom_core::{BoxedError, Completion, Link, Obj};
use thiserror::Error;

use crate::{
    block::{self, BlockBackend, BlockError, BlockNode, BlockWatcher},
    bus::ClaimError,
    chardev::{Chardev, ChardevFrontend},
    clock::{Clock, Timer},
    device::Device,
    event_loop::EventLoop,
    interrupt::{InterruptLine, LineError, MsiSink},
    netdev::{Netdev, NetdevPeer},
    platform::{ConnectError, GuestMemory, Platform, RoleError},
    request::VmRequests,
    user_creatable::UserCreatable,
    virtio::{VirtioBusError, VirtioDevice},
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
    /// A role that a machine has one object for.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// Something that only some machines have.
    #[error("the machine has no {0}")]
    Missing(&'static str),
    /// Its bus.
    #[error(transparent)]
    Bus(#[from] VirtioBusError),
    /// Its backend.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The disk behind it.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The host refuses something.
    #[error("can't {action}: {source}")]
    Host {
        /// What was tried.
        action: String,
        /// What the host says.
        source: io::Error,
    },
    /// What the user configured can't be. See [`DeviceError::configuration`].
    #[error(transparent)]
    Configuration(BoxedError),
    /// The object that a helper was given is not the device that is being realized.
    #[error("a device of type '{realizing}' asked for something in the name of another object")]
    NotThis {
        /// Type of the device.
        realizing: &'static str,
    },
    /// An error of another kind.
    #[error(transparent)]
    Other(#[from] BoxedError),
}

impl DeviceError {
    /// That what the user configured can't be: for the reason that a model gives, whose error is
    /// kept (`Model::new(…).map_err(DeviceError::configuration)?`), or in words.
    pub fn configuration(problem: impl Into<BoxedError>) -> Self {
        Self::Configuration(problem.into())
    }
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

    /// A reference to the device that keeps nothing alive, for callbacks: `cx.this(self)?`.
    ///
    /// # Errors
    /// If `device` is not the device that is being realized.
    pub fn this<T: Device>(&self, device: &T) -> Result<Weak<T>, DeviceError> {
        let this = self.object.cast::<T>().filter(|this| std::ptr::eq(Arc::as_ptr(this), device));
        let realizing = self.object.class().name();
        this.map(|this| Arc::downgrade(&this)).ok_or(DeviceError::NotThis { realizing })
    }

    /// Claims `count` I/O ports from `first` on; the device calls them region `number`.
    ///
    /// # Errors
    /// If they are taken or don't exist.
    pub fn claim_ports(&mut self, number: u8, first: u16, count: u64) -> Result<(), DeviceError> {
        Ok(self.platform.ports().claim(self.object, number, first.into(), count)?)
    }

    /// Claims `size` bytes of guest-physical addresses; the device calls them region `number`.
    ///
    /// # Errors
    /// If they are taken or don't exist.
    pub fn claim_memory(&mut self, number: u8, first: u64, size: u64) -> Result<(), DeviceError> {
        Ok(self.platform.memory_io().claim(self.object, number, first, size)?)
    }

    /// Makes the device, an [`InterruptController`](crate::interrupt::InterruptController), the one
    /// that the machine's interrupt lines lead to.
    ///
    /// # Errors
    /// If the machine has one.
    pub fn claim_interrupts(&mut self) -> Result<(), DeviceError> {
        Ok(self.platform.set_interrupts(self.object)?)
    }

    /// Makes the device, an [`MsiSink`], the one that takes the machine's message-signalled
    /// interrupts.
    ///
    /// # Errors
    /// If the machine has one.
    pub fn claim_msi(&mut self) -> Result<(), DeviceError> {
        Ok(self.platform.set_msi(self.object)?)
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

    /// Gives the device its place on a virtio bus: `cx.plug_virtio(self)?`. The guest may reach it
    /// from here on, so that this comes last.
    ///
    /// # Errors
    /// If the bus that it names is not there or taken, or none is free.
    pub fn plug_virtio<T: VirtioDevice>(&mut self, device: &T) -> Result<(), DeviceError> {
        self.this(device)?;
        Ok(self.platform.plug_virtio(self.object)?)
    }

    /// Offers a bus of that name to one virtio device, as a transport does.
    ///
    /// # Errors
    /// If there is a bus of that name.
    pub fn offer_virtio_bus(&mut self, name: String) -> Result<(), DeviceError> {
        Ok(self.platform.offer_virtio_bus(self.object, name)?)
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

    /// What the device takes its time from.
    #[must_use]
    pub fn clock(&self) -> &'a Clock {
        self.platform.clock()
    }

    /// A timer that calls a method of the device each time it expires, on the main thread, or on that
    /// of whoever steps the machine's clock by hand:
    /// `cx.timer(self, Self::expired)?`. It does not keep the device alive. The device keeps it in
    /// a [`Realized`](crate::realized::Realized), and clears that in [`Device::unrealize`].
    ///
    /// # Errors
    /// If the process has no descriptors left, or `device` is not the device that is being realized.
    pub fn timer<T: Device>(
        &self,
        device: &T,
        expired: impl Fn(&T) + Send + 'static,
    ) -> Result<Timer, DeviceError> {
        let this = self.this(device)?;
        let callback = move || {
            if let Some(device) = this.upgrade() {
                expired(&device);
            }
        };
        self.clock()
            .timer(self.events(), callback)
            .map_err(|source| DeviceError::Host { action: "create a timer".to_owned(), source })
    }

    /// Lets the device read from a character device, if the link leads to one:
    /// `cx.connect(self, &self.chardev)?`. The device is called from here on, so that this comes
    /// after what it needs for that.
    ///
    /// # Errors
    /// If another device reads from it, or `device` is not the device that is being realized, is
    /// another tree's or has left its tree.
    pub fn connect<T: Device + ChardevFrontend>(
        &mut self,
        device: &T,
        chardev: &Link<dyn Chardev>,
    ) -> Result<(), DeviceError> {
        let this = self.this(device)?;
        Ok(self.platform.connect(self.object, chardev, this, None)?)
    }

    /// Plugs the device, a network card, into a network backend, if the link leads to one:
    /// `cx.connect_network(self, &self.netdev, None)?`. The device is called from here on, on the
    /// thread of `events`, or else on the main one, so that this comes after what it needs for that.
    ///
    /// # Errors
    /// If another is plugged in there, or `device` is not the device that is being realized, is
    /// another tree's or has left its tree.
    pub fn connect_network<T: Device + NetdevPeer>(
        &mut self,
        device: &T,
        netdev: &Link<dyn Netdev>,
        events: Option<Arc<EventLoop>>,
    ) -> Result<(), DeviceError> {
        let this = self.this(device)?;
        Ok(self.platform.connect_network(self.object, netdev, this, events)?)
    }

    /// Gives the device the block node that the link leads to, to write to it or only to read; none
    /// if the link is empty. The device is told when that changes its length.
    ///
    /// # Errors
    /// If it is to write and the node can't be written to, another uses the node in a way that
    /// excludes this one, or `device` is not the device that is being realized.
    pub fn attach<T: Device + BlockWatcher>(
        &mut self,
        device: &T,
        drive: &Link<dyn BlockNode>,
        writes: bool,
    ) -> Result<Option<Arc<BlockBackend>>, DeviceError> {
        let this = self.this(device)?;
        let Some(node) = drive.handle() else { return Ok(None) };
        Ok(Some(block::attach(self.platform, self.object, node, writes, this)?))
    }
}

/// Realizes the devices, opens the character devices, network backends and block nodes and completes
/// the user-creatable objects of a plan on a platform; leaves every other object alone.
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
        if let Some(chardev) = object.cast::<dyn Chardev>() {
            return Ok(chardev.open(self.platform)?);
        }
        if let Some(netdev) = object.cast::<dyn Netdev>() {
            return netdev
                .open(object, self.platform)
                .inspect_err(|_| self.platform.release(object));
        }
        if object.is::<dyn BlockNode>() {
            return Ok(block::open(object, self.platform)?);
        }
        if let Some(created) = object.cast::<dyn UserCreatable>() {
            return created.complete(object, self.platform);
        }
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
        if let Some(chardev) = object.cast::<dyn Chardev>() {
            chardev.close();
        } else if let Some(netdev) = object.cast::<dyn Netdev>() {
            // The port of a hub may be another backend's peer.
            self.platform.release(object);
            netdev.close();
        } else if object.is::<dyn BlockNode>() {
            block::close(object, self.platform);
        } else if let Some(created) = object.cast::<dyn UserCreatable>() {
            created.undo();
        } else if let Some(device) = object.cast::<dyn Device>() {
            // First, so that no access that begins now finds it without what it needs.
            self.platform.release(object);
            device.unrealize();
        }
    }
}
