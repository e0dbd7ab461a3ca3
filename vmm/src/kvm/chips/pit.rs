//! The 8254 timer in the kernel.

use device_model::prelude::*;
use serde_json::{Value, json};

use super::{accelerator, vm};
use crate::accelerator::Accelerator;

/// 8254 timer in the kernel
#[qom_type(secure, parent = SysBusDevice)]
pub struct KvmPit {
    /// What keeps it
    #[property(link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// Mode and count of the three channels
    #[property(get = Self::channels)]
    channels: Computed<Value>,
}

impl KvmPit {
    fn channels(&self) -> Value {
        let Some(state) = vm(&self.accel).and_then(|vm| vm.pit_state().ok()) else {
            return Value::Null;
        };
        let shown = state.channels.map(|channel| {
            json!({ "mode": channel.mode, "count": channel.count, "gate": channel.gate != 0 })
        });
        json!(shown)
    }
}

impl Device for KvmPit {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        let vm = accelerator(&self.accel)?.vm();
        let vm = vm.ok_or(DeviceError::Missing("open accelerator"))?;
        vm.create_pit().map_err(|error| DeviceError::Other(error.into()))
    }
}

impl SysBusDevice for KvmPit {}
