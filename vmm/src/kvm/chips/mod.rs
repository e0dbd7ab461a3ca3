//! The interrupt chips, timers and clocks that KVM keeps in the kernel, as types of their own.

pub mod apic;
pub mod clock;
pub mod i8259;
pub mod ioapic;
pub mod pit;

use device_model::{prelude::DeviceError, qom_core::Link};

use super::accel::KvmAccel;
use crate::accelerator::Accelerator;

/// The KVM behind a chip's link.
fn accelerator(link: &Link<dyn Accelerator>) -> Result<std::sync::Arc<KvmAccel>, DeviceError> {
    link.handle()
        .and_then(|handle| handle.cast::<KvmAccel>())
        .ok_or(DeviceError::Missing("KVM accelerator"))
}

/// The VM behind a chip's link, for a chip that is being realized.
fn open_vm(link: &Link<dyn Accelerator>) -> Result<std::sync::Arc<super::Vm>, DeviceError> {
    accelerator(link)?.vm().ok_or(DeviceError::Missing("open accelerator"))
}

/// An error of the kernel's as a device's.
fn kernel(error: super::IoctlFailed) -> DeviceError {
    DeviceError::Other(error.into())
}

/// The VM behind a chip's link, for what it shows of its state; none before it is realized.
fn vm(link: &Link<dyn Accelerator>) -> Option<std::sync::Arc<super::Vm>> {
    accelerator(link).ok()?.vm()
}
