//! The failure of one KVM ioctl.

use std::io;

/// A KVM ioctl that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("{request} failed")]
pub struct IoctlFailed {
    /// The ioctl's name as the kernel's `Documentation/virt/kvm/api.rst` spells it.
    pub request: &'static str,
    /// The kernel's answer.
    pub source: io::Error,
}

impl IoctlFailed {
    /// Gives the failure of `request`, for `map_err`.
    pub(super) fn of(request: &'static str) -> impl Fn(kvm_ioctls::Error) -> Self {
        move |errno| Self { request, source: errno.into() }
    }
}
