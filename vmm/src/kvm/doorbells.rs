//! Guest writes that KVM turns into events, with no exit: which are attached at present.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use parking_lot::Mutex;
use rustix::event::EventfdFlags;
use vmm_sys_util::eventfd::EventFd;

use super::{EventAddress, EventMatch, Vm};

/// The events of one VM, by address and value.
#[derive(Debug, Default)]
pub(super) struct Attached(Mutex<BTreeMap<(u64, u32), EventFd>>);

impl Attached {
    /// Has KVM count writes of that value in the event that this returns.
    pub(super) fn attach(&self, vm: &Vm, address: u64, value: u32) -> io::Result<OwnedFd> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let event = EventFd::new(i32::try_from(flags.bits()).map_err(io::Error::other)?)?;
        let own = duplicate(&event)?;
        let mut attached = self.0.lock();
        vm.register_ioevent(&event, EventAddress::Memory(address), EventMatch::Dword(value))
            .map_err(io::Error::other)?;
        attached.insert((address, value), event);
        Ok(own)
    }

    /// Lets such writes exit again.
    pub(super) fn detach(&self, vm: &Vm, address: u64, value: u32) {
        if let Some(event) = self.0.lock().remove(&(address, value)) {
            let (address, value) = (EventAddress::Memory(address), EventMatch::Dword(value));
            // It was registered like that. The kernel itself lets go of it with the VM.
            let _ = vm.unregister_ioevent(&event, address, value);
        }
    }

    /// The VM goes.
    pub(super) fn clear(&self) {
        self.0.lock().clear();
    }
}

/// A second descriptor of the same event.
#[allow(unsafe_code)] // The event's own type has no other way to its descriptor.
fn duplicate(event: &EventFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open as long as `event`, which outlives this borrow.
    let borrowed = unsafe { BorrowedFd::borrow_raw(event.as_raw_fd()) };
    borrowed.try_clone_to_owned()
}
