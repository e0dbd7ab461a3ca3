//! The paravirtual clock that KVM keeps for its guests.

use device_model::prelude::*;

use super::{accelerator, vm};
use crate::accelerator::Accelerator;

/// Paravirtual clock
#[qom_type(secure, name = "kvmclock", parent = SysBusDevice)]
pub struct KvmClock {
    /// What keeps it
    #[property(link = dyn Accelerator)]
    accel: Link<dyn Accelerator>,
    /// Guest time in nanoseconds; null if it can't be read
    #[property(get = Self::clock)]
    clock: Computed<Option<u64>>,
}

impl KvmClock {
    fn clock(&self) -> Option<u64> {
        Some(vm(&self.accel)?.clock().ok()?.clock)
    }
}

impl Device for KvmClock {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        accelerator(&self.accel).map(|_| ())
    }
}

impl SysBusDevice for KvmClock {}
