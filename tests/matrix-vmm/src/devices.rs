//! Devices that users plug into a bus, and devices that need none and may come and go.

use device_model::{device::Plug, prelude::*};

use crate::{in_each_status, with_each_feature};

/// A device that needs no bus
#[qom_type(abstract, parent = Device, class_data = LOOSE)]
pub(crate) trait LooseDevice: Device {}

static LOOSE: Plug = Plug { bus: None, hotpluggable: true };

macro_rules! device {
    ($class:ident, $name:ident, $($statement:tt)*) => {
        /// Device of one status
        #[qom_type($($statement)* parent = $class)]
        #[derive(Debug)]
        struct $name;

        impl Device for $name {
            fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
                Ok(())
            }
        }

        impl $class for $name {}
    };
}

macro_rules! isa_device {
    ($($parts:tt)*) => { device!(IsaDevice, $($parts)*); };
}

macro_rules! loose_device {
    ($($parts:tt)*) => { device!(LooseDevice, $($parts)*); };
}

in_each_status!(isa_device: SecureIsaDevice, InsecureIsaDevice, UndeclaredIsaDevice);
in_each_status!(loose_device: SecureLooseDevice, InsecureLooseDevice, UndeclaredLooseDevice);
with_each_feature!(isa_device: DeprecatedIsaDevice, UnstableIsaDevice);
with_each_feature!(loose_device: DeprecatedLooseDevice, UnstableLooseDevice);
