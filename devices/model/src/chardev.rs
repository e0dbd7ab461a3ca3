//! Character devices: streams of bytes between a device and something on the host.

mod class;

use std::{
    fmt, io,
    os::fd::OwnedFd,
    sync::{Arc, Weak},
};

pub use class::{ChardevClass, Complete, DataCase, DataMember, MemberValue};
use qom_core::{Object, qom_type};

use crate::{event_loop::EventLoop, platform::Platform};

/// A stream of bytes to and from the host
///
/// A device calls it with no lock held that its [`ChardevFrontend`] takes, since the stream may call
/// that at once, and may hold a writer up.
#[qom_type(abstract, parent = Object, boundary(client), category = "Character devices")]
pub trait Chardev: Object {
    /// Opens the host's side, which the platform's loop waits for, and files by the platform.
    ///
    /// # Errors
    /// If the host refuses.
    fn open(&self, platform: &Platform) -> io::Result<()>;

    /// Closes the host's side and puts it back as it was.
    fn close(&self);

    /// Writes all of `bytes`. A host that takes none holds the caller up, or loses them: a device
    /// has no use for an error here.
    fn write(&self, bytes: &[u8]);

    /// While `true`, no write waits for the host: those that wait give up, and what the host does
    /// not take at once is lost. The processors of a machine that starts over are stopped so, as
    /// each may be held up in a write. A stream whose writes never wait has nothing to do here.
    fn set_nonblocking(&self, _nonblocking: bool) {}

    /// Connects the one device that reads from the stream. False if there is one already.
    ///
    /// A device calls [`RealizeContext::connect`](crate::realize::RealizeContext::connect), which
    /// alone makes a [`Frontend`], instead of this.
    fn connect(&self, frontend: Frontend) -> bool;

    /// Takes away what [`Chardev::connect`] connected.
    fn disconnect(&self);

    /// The device has room again.
    fn accept_input(&self);

    /// Ends the connection with whoever is at the host's end, if others can come after it: a socket's
    /// peer. A stream that can't be connected anew has nothing to do here.
    fn hang_up(&self) {}

    /// Takes the oldest of the descriptors that whoever is at the host's end has passed and the
    /// device has not taken: as many of them as may wait are kept, for a device that
    /// [takes them](ChardevFrontend::takes_descriptors), until that end changes hands. Only Unix
    /// sockets pass any.
    fn take_descriptor(&self) -> Option<OwnedFd> {
        None
    }

    /// Where the host's end is, as `query-chardev` shows it: `unix:/run/vm.sock,server=on`,
    /// `disconnected:tcp:localhost:4444`, `pty:/dev/pts/3`.
    fn filename(&self) -> String;
}

/// The device that reads from a character device, for the latter to keep. The reference is weak,
/// since the device keeps the stream.
///
/// Only [`RealizeContext::connect`](crate::realize::RealizeContext::connect) makes one, for a device
/// of the machine's tree:
///
/// ```compile_fail,E0308
/// use device_model::prelude::*;
/// use std::sync::Weak;
///
/// fn smuggle(stream: &dyn Chardev, reader: Weak<dyn ChardevFrontend>) -> bool {
///     stream.connect(reader)
/// }
/// ```
///
/// ```compile_fail,E0451
/// use device_model::{chardev::Frontend, prelude::*};
/// use std::sync::Weak;
///
/// fn forge(reader: Weak<dyn ChardevFrontend>) -> Frontend {
///     Frontend { device: reader, events: None }
/// }
/// ```
pub struct Frontend {
    device: Weak<dyn ChardevFrontend>,
    events: Option<Arc<EventLoop>>,
}

impl Frontend {
    pub(crate) fn new(device: Weak<dyn ChardevFrontend>, events: Option<Arc<EventLoop>>) -> Self {
        Self { device, events }
    }

    /// The device, unless it has gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Arc<dyn ChardevFrontend>> {
        self.device.upgrade()
    }

    /// The loop on whose thread the device is to be called, while it is connected; that which the
    /// stream was opened on, unless there is one here.
    #[must_use]
    pub const fn events(&self) -> Option<&Arc<EventLoop>> {
        self.events.as_ref()
    }
}

impl fmt::Debug for Frontend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frontend")
    }
}

/// The device's end of a character device.
pub trait ChardevFrontend: Send + Sync {
    /// How many bytes the device can take now.
    fn can_receive(&self) -> usize;

    /// Takes bytes that the host sent, at most [`ChardevFrontend::can_receive`] of them.
    fn receive(&self, bytes: &[u8]);

    /// Whether the device has a use for descriptors that are passed with bytes. They are there when
    /// it receives the first of those bytes.
    fn takes_descriptors(&self) -> bool {
        false
    }

    /// Somebody has come to the host's end, or has left it. Told at once of who is there already
    /// when the device is connected.
    fn host_changed(&self, _presence: Presence) {}
}

/// Whether there is somebody at the host's end of a character device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Somebody new: what is sent from here on is not a continuation of what came before.
    Came,
    /// Nobody any more.
    Left,
}
