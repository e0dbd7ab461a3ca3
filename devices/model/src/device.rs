//! The classes that devices descend from.

use qom_core::{Object, qom_type};

use crate::realize::{DeviceError, RealizeContext};

/// A part of a machine that the guest can see
#[qom_type(abstract, parent = Object, boundary(guest), category = "Misc devices")]
pub trait Device: Object {
    /// Claims what the device needs of its machine: addresses, interrupt lines, backends. What it
    /// claimed through `cx` is released by the framework, here if this fails and when it goes.
    ///
    /// # Errors
    /// If something that it needs can't be had.
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError>;

    /// Gives back what [`Device::realize`] took by other ways than its context.
    fn unrealize(&self) {}

    /// Returns to the state after power-on.
    fn reset(&self) {}

    /// The machine goes on, or starts: its processors run from here on. What a device put off when
    /// it asked for a stop, it does now. Called on the main thread.
    fn resumed(&self) {}
}

/// A device that its board wires up
#[qom_type(abstract, parent = Device)]
pub trait SysBusDevice: Device {}

/// A device on the ISA bus
#[qom_type(abstract, parent = Device, class_data = ISA)]
pub trait IsaDevice: Device {}

static ISA: Plug = Plug { bus: Some("ISA"), hotpluggable: false };

/// That users may create devices of a class, rather than only boards: class data of such a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plug {
    /// The kind of bus that they plug into; none if they need none.
    pub bus: Option<&'static str>,
    /// Whether one can be added to a machine that runs, and taken from it.
    pub hotpluggable: bool,
}
