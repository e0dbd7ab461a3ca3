//! A secure device, some of whose settings are not.

use device_model::prelude::*;

/// Device that is fit for use but in some settings
#[qom_type(secure, parent = IsaDevice)]
#[derive(Debug)]
pub struct ConditionalDevice {
    /// How it listens
    #[property(
        default = "closed",
        insecure_if("open", String::from("ajar"), reason = "anybody comes in")
    )]
    door: String,
    /// Number of guards
    #[property(
        default = 1,
        insecure_when(nobody_watches, reason = "nobody watches a door that is not locked")
    )]
    guards: u8,
    /// Whether the door is locked
    #[property(default = true, live)]
    locked: Live<bool>,
}

fn nobody_watches(config: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(config.get::<u8>("guards")? == 0 && !config.get::<bool>("locked")?)
}

impl Device for ConditionalDevice {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl IsaDevice for ConditionalDevice {}
