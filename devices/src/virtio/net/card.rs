//! The card apart from its driver: the network that it is plugged into, the link, and the address.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use device_model::{
    netdev::{Offloads, VnetHeader},
    prelude::*,
};

use super::{layout::Layout, mac::MacAddress, spec::config};

/// The card, whoever drives it.
pub(super) struct Card {
    layout: Layout,
    /// None if it is plugged into nothing.
    netdev: Option<Arc<dyn Netdev>>,
    is_up: AtomicBool,
    /// As the driver has it at present.
    address: Mutex<MacAddress>,
}

impl Card {
    pub(super) fn new(layout: Layout, netdev: Option<Arc<dyn Netdev>>) -> Self {
        let address = Mutex::new(layout.mac());
        Self { layout, netdev, is_up: AtomicBool::new(false), address }
    }

    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) const fn netdev(&self) -> Option<&Arc<dyn Netdev>> {
        self.netdev.as_ref()
    }

    pub(super) fn address(&self) -> MacAddress {
        *self.address.lock()
    }

    pub(super) fn set_address(&self, address: MacAddress) {
        *self.address.lock() = address;
    }

    pub(super) fn set_link(&self, up: bool) {
        self.is_up.store(up, Ordering::Release);
    }

    pub(super) fn config(&self) -> [u8; config::SIZE] {
        self.layout.config(self.address(), self.is_up.load(Ordering::Acquire))
    }

    /// Has the network leave frames as unfinished as that.
    ///
    /// # Errors
    /// If it can't.
    pub(super) fn accept_unfinished(&self, accepted: Offloads) -> io::Result<()> {
        match &self.netdev {
            Some(netdev) if self.layout.has_header() => {
                netdev.set_offloads(VnetHeader::Modern, accepted)
            }
            _ => Ok(()),
        }
    }

    /// Has the network give the frames that it was told to give later. Called with no lock held that
    /// receiving takes.
    pub(super) fn accept_frames(&self, queues: impl IntoIterator<Item = u16>) {
        if let Some(netdev) = &self.netdev {
            queues.into_iter().for_each(|queue| netdev.accept_frames(queue));
        }
    }

    /// No driver is there any more: what waited for one is lost. What the network leaves unfinished
    /// is set for the next; meanwhile it matters to nobody, and somebody else may be plugged in by now.
    pub(super) fn end(&self) {
        self.set_address(self.layout.mac());
        self.accept_frames(0..self.layout.queues());
    }
}
