//! Character devices: streams of bytes between a device and something on the host.

use std::{
    io,
    sync::{Arc, Weak},
};

use qom_core::{Object, qom_type};

use crate::event_loop::EventLoop;

/// A stream of bytes to and from the host
///
/// A device calls it with no lock held that its [`ChardevFrontend`] takes, since the stream may call
/// that at once, and may hold a writer up.
#[qom_type(abstract, parent = Object, boundary(client), category = "Character devices")]
pub trait Chardev: Object {
    /// Opens the host's side.
    ///
    /// # Errors
    /// If the host refuses.
    fn open(&self, events: &Arc<EventLoop>) -> io::Result<()>;

    /// Closes the host's side and puts it back as it was.
    fn close(&self);

    /// Writes all of `bytes`. A host that takes none holds the caller up, or loses them: a device
    /// has no use for an error here.
    fn write(&self, bytes: &[u8]);

    /// Connects the one device that reads from the stream. False if there is one already.
    ///
    /// The reference is weak, since the device keeps the stream. A device calls
    /// [`RealizeContext::connect`](crate::realize::RealizeContext::connect) instead of this.
    fn connect(&self, frontend: Weak<dyn ChardevFrontend>) -> bool;

    /// Takes away what [`Chardev::connect`] connected.
    fn disconnect(&self);

    /// The device has room again.
    fn accept_input(&self);
}

/// The device's end of a character device.
pub trait ChardevFrontend: Send + Sync {
    /// How many bytes the device can take now.
    fn can_receive(&self) -> usize;

    /// Takes bytes that the host sent, at most [`ChardevFrontend::can_receive`] of them.
    fn receive(&self, bytes: &[u8]);
}
