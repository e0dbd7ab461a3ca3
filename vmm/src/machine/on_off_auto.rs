//! A switch that may be left to what else there is.

use device_model::qom_core::PropertyEnum;

/// A switch that may be left to what else there is
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
pub enum OnOffAuto {
    /// As what else there is has it.
    #[default]
    Auto,
    /// On.
    On,
    /// Off.
    Off,
}
