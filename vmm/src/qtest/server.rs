//! `qtest`: the server of the protocol as a type, on its character device.

use std::{io, path::Path, sync::Arc};

use device_model::{
    chardev::{Chardev, ChardevFrontend, Presence},
    control::VmControl,
    interrupt::LineWatcher,
    platform::Platform,
    qom_core::{BoxedError, Link, Obj, qom_type},
    realized::Realized,
};
use thiserror::Error;

use super::{QtestAccel, irq::Interception, log::Log, service::Service};
use crate::{accelerator::Accelerator, monitor::Monitor};

/// Server of the qtest protocol, whose client drives the devices in place of processors
///
/// Nobody has judged it: it is for tests.
#[qom_type(parent = Monitor)]
#[derive(Debug)]
pub struct Qtest {
    /// Where its client comes from
    #[property(required, link = dyn Chardev)]
    chardev: Link<dyn Chardev>,
    /// The accelerator that leaves the devices to it
    #[property(required, link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// File for a log of what is said; none if empty
    #[property(default = "")]
    log: String,
    service: Realized<Arc<Service>>,
}

/// Why there is no server.
#[derive(Debug, Error)]
enum ServerError {
    #[error(
        "expected the accelerator 'qtest-accel', which leaves devices to a client; given '{0}'"
    )]
    Accelerator(&'static str),
    #[error("the machine has a server of the qtest protocol already")]
    Second,
    #[error("something asked to read in the name of an object of type '{0}'")]
    NotThis(&'static str),
}

impl Monitor for Qtest {
    fn connect(&self, object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        let type_name = object.class().name();
        let not_this = || ServerError::NotThis(type_name);
        let this = object.cast::<Self>().ok_or_else(not_this)?;
        let stream = self.chardev.get().ok_or_else(not_this)?;
        let accelerator = self.accel.handle().ok_or_else(not_this)?;
        let driven = accelerator
            .cast::<QtestAccel>()
            .ok_or_else(|| ServerError::Accelerator(accelerator.class().name()))?;
        let log = match &*self.log {
            "" => None,
            file => Some(Log::open(Path::new(file))?),
        };
        let service = Service::new(Arc::clone(stream), driven, log)?;
        let events = Arc::clone(service.events());
        let lines: std::sync::Weak<Interception> = Arc::downgrade(service.interception());
        let lines: std::sync::Weak<dyn LineWatcher> = lines;
        self.service.set(service);
        platform.connect(object, &self.chardev, Arc::downgrade(&this), Some(events))?;
        if !platform.watch_lines(lines) {
            platform.release(object);
            return Err(ServerError::Second.into());
        }
        Ok(())
    }

    fn start(&self, _: &Obj, vm: Arc<dyn VmControl>) -> io::Result<()> {
        self.service.get().map_or(Ok(()), |service| service.start(vm))
    }

    fn stop(&self) {
        if let Some(service) = self.service.get() {
            service.stop();
        }
    }
}

impl ChardevFrontend for Qtest {
    fn can_receive(&self) -> usize {
        self.service.with(|service| service.room()).unwrap_or(0)
    }

    fn receive(&self, bytes: &[u8]) {
        self.service.with(|service| service.receive(bytes));
    }

    fn host_changed(&self, presence: Presence) {
        self.service.with(|service| service.host_changed(presence));
    }
}
