//! Two options that give one property: they have to say the same of it.

use device_model::qom_core::{Class, Given, Origin, Request};
use serde_json::Value;

use super::{
    super::error::{OptionError, StartError},
    Builder, Chosen, IRQCHIP, origin, refuse,
};
use crate::options::{command_line::Entry, keyval::OptionArgs};

/// A property of the machine that an option other than `-machine` gives.
pub(super) struct Agreed<'a> {
    property: &'a str,
    value: Value,
    /// Who gives it.
    pub(super) origin: Origin,
}

impl Agreed<'_> {
    pub(super) fn apply(self, request: Request) -> Request {
        request.set_by(self.origin, self.property, self.value)
    }
}

impl Builder<'_> {
    /// A property of the machine as the option `entry` gives it, unless `-machine` gives another
    /// value.
    pub(super) fn agreed<'a>(
        &self,
        machine: &Chosen<'_>,
        entry: &Entry,
        property: &'a str,
        value: Value,
    ) -> Result<Agreed<'a>, StartError> {
        if let Some((other, given)) = self.machine_property(property)
            && differ(machine.class, property, given, &Given::Json(value.clone()))
        {
            return Err(contradicted(entry, other, property));
        }
        Ok(Agreed { property, value, origin: origin(entry) })
    }

    /// Checks that `-accel` and `-machine` have the same interrupt chips, if both say so.
    pub(super) fn agree_on_irqchip(
        &self,
        entry: &Entry,
        accelerator: &str,
        arguments: &OptionArgs,
    ) -> Result<(), StartError> {
        let class = self.class(&format!("{accelerator}-accel"), "accelerator");
        match (class, arguments.get(IRQCHIP), self.machine_property(IRQCHIP)) {
            (Some(class), Some(here), Some((other, there)))
                if differ(class, IRQCHIP, here, there) =>
            {
                Err(contradicted(entry, other, IRQCHIP))
            }
            _ => Ok(()),
        }
    }
}

fn contradicted(entry: &Entry, other: &Entry, property: &str) -> StartError {
    let other = other.place_of(property);
    refuse(entry, OptionError::Contradiction { property: property.to_owned(), other })
}

/// Whether two values for a property are both good and mean different things. What is wrong with a
/// bad one is told when the property is set.
fn differ(class: &Class, property: &str, one: &Given, other: &Given) -> bool {
    let Some((info, _)) = class.property(property) else { return false };
    let (Ok(one), Ok(other)) = (info.parse(one), info.parse(other)) else { return false };
    match (info.link, one.as_str(), other.as_str()) {
        (Some(_), Some(one), Some(other)) => !same_path(one, other) && !same_path(other, one),
        _ => one != other,
    }
}

/// Whether the end of a path is the whole of another one.
fn same_path(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
