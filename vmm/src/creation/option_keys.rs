//! What the value of each option can be made of: the keys that the option reads and the properties of
//! the types that it can name.

use device_model::qom_core::{
    Access, Class, ClassType, CompatPolicy, PropertyInfo, Registry, Value,
};

use super::{block, block::DRIVE_KEYS, device, object};
use crate::{
    cpu,
    monitor::MonitorQmp,
    options::{
        command_line::{HelpTopic, own_keys},
        key::{Key, KeyKind},
    },
};

/// A key of an option.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionKey {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: KeyKind,
    /// What it says; of properties of several types of the same name, that of the first.
    pub description: String,
    /// What holds if it is not given, where types agree.
    pub default: Option<Value>,
}

/// The types that an option can name, sorted by name, but for those that a policy hides.
pub fn nameable(
    registry: &Registry,
    topic: HelpTopic,
    compat: CompatPolicy,
) -> impl Iterator<Item = &Class> {
    let below = |parent: &'static str| {
        let is_one = move |class: &&Class| !class.is_abstract() && class.is_a(parent);
        registry.classes().map(|class| &**class).filter(is_one).collect()
    };
    let all: Vec<&Class> = match topic {
        HelpTopic::Machine => below("machine"),
        HelpTopic::Accelerator => below("accelerator"),
        HelpTopic::Cpu => below("cpu"),
        HelpTopic::Blockdev => block::all_drivers(registry).map(|class| &**class).collect(),
        HelpTopic::Chardev => below("chardev"),
        HelpTopic::Netdev => below("netdev"),
        HelpTopic::Device => device::all_pluggable(registry).map(|(class, _)| &**class).collect(),
        HelpTopic::Object => object::all_creatable(registry).map(|class| &**class).collect(),
    };
    all.into_iter().filter(move |class| !compat.hides(class.info().features()))
}

/// The properties of a class that users can give: what is computed can't be, and a policy hides some.
pub fn settable(
    class: &Class,
    compat: CompatPolicy,
) -> impl Iterator<Item = &'static PropertyInfo> {
    let properties = class.properties().map(|(property, _)| property);
    properties.filter(move |property| {
        property.access != Access::Computed && !compat.hides(property.features())
    })
}

/// The child of a block node that a property stands for, and what is behind its name there.
pub fn child(class: &Class, property: &str) -> Option<(&'static str, &'static str)> {
    use device_model::block::{LINK_SUFFIX, OPTIONS_SUFFIX, slots};
    slots(class).find_map(|slot| match property.strip_prefix(slot)? {
        LINK_SUFFIX => Some((slot, LINK_SUFFIX)),
        OPTIONS_SUFFIX => Some((slot, OPTIONS_SUFFIX)),
        _ => None,
    })
}

fn kind(property: &PropertyInfo) -> KeyKind {
    match &*property.type_name() {
        "bool" => KeyKind::Switch,
        "size" => KeyKind::Size,
        name if name.starts_with("uint") || name.starts_with("int") => KeyKind::Number,
        _ => KeyKind::Text,
    }
}

/// The keys of the option called `name`, without dashes: its own, then properties, sorted by name. None
/// for an option whose value is not made of keys.
pub fn option_keys(registry: &Registry, name: &str, compat: CompatPolicy) -> Vec<OptionKey> {
    let own = |key: Key| OptionKey {
        name: key.name,
        kind: key.kind,
        description: key.description.to_owned(),
        default: None,
    };
    let mut keys: Vec<_> = own_keys(name).into_iter().map(own).collect();
    if name == "drive" {
        keys.retain(|key| DRIVE_KEYS.iter().all(|of_drive| of_drive.name != key.name));
        keys.extend(DRIVE_KEYS.map(own));
    }
    let classes: Vec<_> = match HelpTopic::of_option(name) {
        // Its value has the features of processors, and no property.
        Some(HelpTopic::Cpu) => {
            let feature = |feature: &cpu::features::Feature| {
                own(Key::switch(feature.name, "Feature that CPUID tells of"))
            };
            return cpu::features::all().iter().map(feature).collect();
        }
        Some(topic) => nameable(registry, topic, compat).collect(),
        None if name == "mon" => {
            registry.class(MonitorQmp::INFO.name).map(|class| &**class).into_iter().collect()
        }
        None => Vec::new(),
    };
    let mut properties: Vec<OptionKey> = Vec::new();
    for class in classes {
        for property in settable(class, compat) {
            let name = child(class, property.name).map_or(property.name, |(slot, _)| slot);
            if let Some(own) = keys.iter_mut().find(|key| key.name == name) {
                own.description = property.description.to_owned();
                continue;
            }
            let default = Some(property.default_value()).filter(|default| !default.is_null());
            let key = OptionKey {
                name,
                kind: kind(property),
                description: property.description.to_owned(),
                default,
            };
            match properties.iter_mut().find(|known| known.name == name) {
                Some(known) => {
                    if known.kind != key.kind {
                        known.kind = KeyKind::Text;
                    }
                    if known.default != key.default {
                        known.default = None;
                    }
                }
                None => properties.push(key),
            }
        }
    }
    properties.sort_unstable_by_key(|key| key.name);
    keys.extend(properties);
    keys
}
