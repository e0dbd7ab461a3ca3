//! Places of virtio devices in a machine: buses with room for one device each.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use qom_core::{Obj, Object, TreeId, qom_interface};
use thiserror::Error;

use super::device::{BUS, VirtioDevice};
use crate::bus::is_attached;

/// A transport: it shows one virtio device to the guest
///
/// It takes its place by
/// [`RealizeContext::offer_virtio_bus`](crate::realize::RealizeContext::offer_virtio_bus).
#[qom_interface]
pub trait VirtioBus: Object {
    /// A device stands on the bus from here on. There was none.
    fn plug(&self, device: Arc<dyn VirtioDevice>);

    /// The device leaves. When this returns, it has been stopped, and no access that begins later
    /// reaches it.
    fn unplug(&self);
}

/// Why a device or a bus has no place in a machine.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VirtioBusError {
    /// No bus is free.
    #[error("No '{BUS}' bus found for device '{device}'")]
    None {
        /// The device's type.
        device: &'static str,
    },
    /// No bus of that name.
    #[error("Bus '{0}' not found")]
    Unknown(String),
    /// A device stands there.
    #[error("Bus '{bus}' is full: '{owner}' (type '{owner_type}') stands there")]
    Full {
        /// The bus's name.
        bus: String,
        /// Path of the device that is there.
        owner: String,
        /// Its type.
        owner_type: &'static str,
    },
    /// Another bus has that name.
    #[error("there is a bus '{0}' already")]
    Duplicate(String),
    /// It is not of that kind.
    #[error("type '{type_name}' is no {role}")]
    Unable {
        /// The object's type.
        type_name: &'static str,
        /// What it would have to be.
        role: &'static str,
    },
    /// The handle is of another tree.
    #[error("the object of type '{type_name}' belongs to another object tree")]
    Foreign {
        /// The object's type.
        type_name: &'static str,
    },
    /// The object has left the tree, or never stood in it.
    #[error("the object of type '{type_name}' stands in no object tree")]
    Detached {
        /// The object's type.
        type_name: &'static str,
    },
}

/// The buses of one machine, in the order in which they came.
#[derive(Default)]
pub(crate) struct VirtioBuses(Mutex<Vec<Place>>);

struct Place {
    name: String,
    owner: Obj,
    bus: Arc<dyn VirtioBus>,
    device: Option<Obj>,
}

fn check(tree: TreeId, object: &Obj) -> Result<(), VirtioBusError> {
    let type_name = object.class().name();
    if object.tree() != tree {
        return Err(VirtioBusError::Foreign { type_name });
    }
    if !is_attached(object) {
        return Err(VirtioBusError::Detached { type_name });
    }
    Ok(())
}

impl VirtioBuses {
    /// Offers a bus.
    pub(crate) fn offer(
        &self,
        tree: TreeId,
        owner: &Obj,
        name: String,
    ) -> Result<(), VirtioBusError> {
        check(tree, owner)?;
        let bus = owner.cast::<dyn VirtioBus>().ok_or(VirtioBusError::Unable {
            type_name: owner.class().name(),
            role: "virtio bus",
        })?;
        let mut places = self.0.lock();
        if places.iter().any(|place| place.name == name) {
            return Err(VirtioBusError::Duplicate(name));
        }
        places.push(Place { name, owner: owner.clone(), bus, device: None });
        Ok(())
    }

    /// Takes the bus of the name that the device says, or the first that is free.
    pub(crate) fn plug(&self, tree: TreeId, object: &Obj) -> Result<(), VirtioBusError> {
        check(tree, object)?;
        let type_name = object.class().name();
        let device = object
            .cast::<dyn VirtioDevice>()
            .ok_or(VirtioBusError::Unable { type_name, role: "virtio device" })?;
        let name = device.bus();
        let bus = {
            let mut places = self.0.lock();
            let place = if name.is_empty() {
                let free = places.iter_mut().find(|place| place.device.is_none());
                free.ok_or(VirtioBusError::None { device: type_name })?
            } else {
                let named = places.iter_mut().find(|place| place.name == name);
                named.ok_or(VirtioBusError::Unknown(name))?
            };
            if let Some(there) = &place.device {
                return Err(VirtioBusError::Full {
                    bus: place.name.clone(),
                    owner: there.path().unwrap_or_default(),
                    owner_type: there.class().name(),
                });
            }
            place.device = Some(object.clone());
            Arc::clone(&place.bus)
        };
        // Without the lock: a bus has locks of its own.
        bus.plug(device);
        Ok(())
    }

    /// Takes away what an object has here: the bus that it offers, or its place on one.
    pub(crate) fn release(&self, object: &Obj) {
        let left: Vec<_> = {
            let mut places = self.0.lock();
            let mut left = Vec::new();
            places.retain_mut(|place| {
                let goes = place.owner.same(object);
                let left_by = place.device.take_if(|device| goes || device.same(object));
                if left_by.is_some() {
                    left.push(Arc::clone(&place.bus));
                }
                !goes
            });
            left
        };
        for bus in left {
            bus.unplug();
        }
    }

    /// The names of the buses, each with the device that stands on it.
    pub(crate) fn list(&self) -> Vec<(String, Option<Obj>)> {
        self.0.lock().iter().map(|place| (place.name.clone(), place.device.clone())).collect()
    }
}

impl fmt::Debug for VirtioBuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.list()).finish()
    }
}
