//! Doorbells: addresses of guest memory whose writes reach a device with no exit of the processor.

use std::{io, os::fd::OwnedFd};

use qom_core::{Object, qom_interface};

/// What can turn a guest's write into an event
///
/// An accelerator offers it. Where there is none, the guest's writes reach the device by its
/// registers alone.
#[qom_interface]
pub trait Doorbells: Object {
    /// From here on, a write of four bytes of this value to that guest-physical address is counted in
    /// the eventfd that this returns, and reaches no register.
    ///
    /// # Errors
    /// If the host can't do it, or not for another one.
    fn attach(&self, address: u64, value: u32) -> io::Result<OwnedFd>;

    /// Such writes reach the register again.
    fn detach(&self, address: u64, value: u32);
}
