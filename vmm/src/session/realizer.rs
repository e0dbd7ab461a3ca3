//! Giving each object of a plan its work, by its class.

use std::collections::BTreeMap;

use device_model::{
    platform::Platform,
    preparation::{Prepared, Prepares},
    qom_core::{BoxedError, Completion, Obj},
    realize::DeviceRealizer,
};

use crate::{accelerator::Accelerator, loader::Loader, machine::Machine, monitor::Monitor};

/// Gives objects their work on one platform.
#[derive(Debug)]
pub(super) struct Realizer<'a> {
    platform: &'a Platform,
    /// What was prepared for objects, by their paths.
    prepared: BTreeMap<String, Prepared>,
}

impl<'a> Realizer<'a> {
    pub(super) const fn new(platform: &'a Platform) -> Self {
        Self { platform, prepared: BTreeMap::new() }
    }

    /// The same, with what was prepared for objects, by their paths.
    pub(super) fn with_prepared(self, prepared: BTreeMap<String, Prepared>) -> Self {
        Self { prepared, ..self }
    }
}

impl Completion for Realizer<'_> {
    fn complete(&mut self, object: &Obj) -> Result<(), BoxedError> {
        if let Some(prepares) = object.cast::<dyn Prepares>()
            && let Some(prepared) = object.path().and_then(|path| self.prepared.remove(&path))
        {
            prepares.accept(prepared);
        }
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
