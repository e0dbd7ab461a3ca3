//! `monitor-qmp`: the monitor for programs, on its character device and its threads.

mod conversation;
mod outbox;
mod service;

use std::{io, os::fd::OwnedFd, sync::Arc};

use device_model::{
    chardev::{Chardev, ChardevFrontend, Presence},
    control::VmControl,
    device::Device,
    monitor::{EventListener, Occurrence},
    platform::{ConnectError, Platform},
    qom_core::{BoxedError, ClassType, Configuration, Link, Obj, PlanError, qom_type},
    realized::Realized,
};

use self::service::Service;
use super::Monitor;

/// Monitor that speaks the QEMU machine protocol, for programs
#[qom_type(secure, parent = Monitor)]
#[derive(Debug)]
pub struct MonitorQmp {
    /// Where its client comes from
    #[property(
        required,
        link = dyn Chardev,
        insecure_when(
            is_shared_with_a_device,
            reason = "a guest's device uses the same character device, so that the guest could \
                      speak to the monitor"
        )
    )]
    chardev: Link<dyn Chardev>,
    /// Whether what it says is laid out for people
    #[property]
    pretty: bool,
    service: Realized<Arc<Service>>,
}

/// Whether the guest has a way to the character device.
fn is_shared_with_a_device(config: &Configuration<'_>) -> Result<bool, PlanError> {
    let device = <dyn Device as ClassType>::INFO.name;
    Ok(config.sharers("chardev")?.iter().any(|sharer| sharer.class().is_a(device)))
}

impl Monitor for MonitorQmp {
    fn connect(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let type_name = object.class().name();
        let this = object.cast::<Self>().ok_or(ConnectError::NotThis { type_name })?;
        let stream = self.chardev.get().ok_or(ConnectError::NotThis { type_name })?;
        let service = Service::new(Arc::clone(stream), self.pretty)?;
        let events = Arc::clone(service.events());
        self.service.set(service);
        let this = Arc::downgrade(&this);
        platform.connect(object, &self.chardev, this.clone(), Some(events))?;
        platform.listen(this);
        Ok(())
    }

    fn start(&self, object: &Obj, vm: Arc<dyn VmControl>) -> io::Result<()> {
        self.service.get().map_or(Ok(()), |service| service.start(object, vm))
    }

    fn take_descriptor(&self) -> Option<OwnedFd> {
        self.chardev.get()?.take_descriptor()
    }

    fn stop(&self) {
        if let Some(service) = self.service.get() {
            service.stop();
        }
    }
}

impl ChardevFrontend for MonitorQmp {
    fn can_receive(&self) -> usize {
        self.service.with(|service| service.room()).unwrap_or(0)
    }

    fn receive(&self, bytes: &[u8]) {
        self.service.with(|service| service.receive(bytes));
    }

    fn takes_descriptors(&self) -> bool {
        true
    }

    fn host_changed(&self, presence: Presence) {
        self.service.with(|service| service.host_changed(presence));
    }
}

impl EventListener for MonitorQmp {
    fn hear(&self, occurrence: &Occurrence) {
        self.service.with(|service| service.hear(occurrence));
    }
}

#[cfg(test)]
mod tests;
