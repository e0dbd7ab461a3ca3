//! Asking a guest to switch itself off.

use qom_core::{Object, qom_interface};

/// A device by which a guest hears that somebody pressed the power button
///
/// What the guest makes of it is up to it.
#[qom_interface]
pub trait PowerButton: Object {
    /// Presses it.
    fn press(&self);
}
