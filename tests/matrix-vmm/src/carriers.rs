//! Secure devices that bring another, which need not be secure, or may be deprecated.

use device_model::prelude::*;

use crate::devices::LooseDevice;

macro_rules! carrier {
    ($name:ident, $bring:ident: $child:literal) => {
        /// Device that brings another
        #[qom_type(secure, parent = LooseDevice, children = $bring)]
        #[derive(Debug)]
        struct $name;

        fn $bring(_: &Configuration<'_>, children: &mut Children) -> Result<(), PlanError> {
            children.add("passenger", $child);
            Ok(())
        }

        impl Device for $name {
            fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
                Ok(())
            }
        }

        impl LooseDevice for $name {}
    };
}

carrier!(CarrierOfSecure, bring_secure: "secure-loose-device");
carrier!(CarrierOfInsecure, bring_insecure: "insecure-loose-device");
carrier!(CarrierOfUndeclared, bring_undeclared: "undeclared-loose-device");
carrier!(CarrierOfDeprecated, bring_deprecated: "deprecated-loose-device");
