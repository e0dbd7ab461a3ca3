//! The class of monitors.

use std::{io, os::fd::OwnedFd, sync::Arc};

use device_model::{
    control::VmControl,
    platform::Platform,
    qom_core::{BoxedError, Obj, Object, qom_type},
};

/// A way to control the VM for whoever is at the other end of a character device
///
/// Its client is as powerful as the user who started the program.
#[qom_type(abstract, parent = Object, boundary(management), new_category = "Monitors")]
pub trait Monitor: Object {
    /// Reads from its character device from here on, and answers nothing yet; `object` is its own
    /// handle.
    ///
    /// # Errors
    /// If another reads from that, or it lacks something else that it needs.
    fn connect(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError>;

    /// Does as its clients say from here on, on a thread of its own.
    ///
    /// # Errors
    /// If the host has no thread for it.
    fn start(&self, object: &Obj, vm: Arc<dyn VmControl>) -> io::Result<()>;

    /// Takes the oldest descriptor that its client has passed and no command has taken.
    fn take_descriptor(&self) -> Option<OwnedFd> {
        None
    }

    /// Ends what it is at, and does nothing any more. A client that does not take what it is told
    /// is not waited for.
    fn stop(&self);
}
