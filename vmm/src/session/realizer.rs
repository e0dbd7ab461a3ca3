//! Giving each object of a plan its work, by its class.

use device_model::{
    platform::Platform,
    qom_core::{BoxedError, Completion, Obj},
    realize::DeviceRealizer,
};

use crate::{accelerator::Accelerator, loader::Loader, machine::Machine, monitor::Monitor};

/// Gives objects their work on one platform.
#[derive(Debug)]
pub(super) struct Realizer<'a> {
    platform: &'a Platform,
}

impl<'a> Realizer<'a> {
    pub(super) const fn new(platform: &'a Platform) -> Self {
        Self { platform }
    }
}

impl Completion for Realizer<'_> {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        if let Some(accelerator) = object.cast::<dyn Accelerator>() {
            accelerator.open(object, self.platform)
        } else if let Some(machine) = object.cast::<dyn Machine>() {
            machine.prepare(self.platform)
        } else if let Some(loader) = object.cast::<dyn Loader>() {
            loader.load(self.platform)
        } else if let Some(monitor) = object.cast::<dyn Monitor>() {
            monitor.connect(object, self.platform)
        } else {
            DeviceRealizer::new(self.platform).complete(object)
        }
    }

    fn undo(&mut self, object: &Obj) {
        if object.is::<dyn Monitor>() {
            self.platform.release(object);
        } else if let Some(accelerator) = object.cast::<dyn Accelerator>() {
            self.platform.release(object);
            accelerator.close();
        } else {
            DeviceRealizer::new(self.platform).undo(object);
        }
    }
}
