//! The 8254 timer in the kernel.

use device_model::prelude::*;
use serde_json::{Value, json};

use super::{kernel, open_vm, vm};
use crate::{accelerator::Accelerator, kvm::PitSnapshot};

/// 8254 timer in the kernel
#[qom_type(secure, parent = SysBusDevice)]
pub struct KvmPit {
    /// What keeps it
    #[property(link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// Mode and count of the three channels
    #[property(get = Self::channels)]
    channels: Computed<Value>,
    pristine: Realized<PitSnapshot>,
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
        let vm = open_vm(&self.accel)?;
        vm.create_pit().map_err(kernel)?;
        self.pristine.set(vm.keep_pit().map_err(kernel)?);
        Ok(())
    }

    fn reset(&self) {
        if let (Some(vm), Some(pristine)) = (vm(&self.accel), self.pristine.get()) {
            // The kernel takes back what it gave.
            let _ = vm.restore_pit(&pristine);
        }
    }
}

impl SysBusDevice for KvmPit {}
