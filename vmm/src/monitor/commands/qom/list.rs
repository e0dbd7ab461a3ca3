//! What an object or a type has: `qom-list`, `qom-list-properties`, `device-list-properties`.

use device_model::{
    device::Device,
    monitor::{Command, CommandContext, CommandError, ErrorClass, register_command},
    qom_core::{Class, ClassType, CompatPolicy, Obj, PropertyDescription, Value},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name under which every object tells its type.
pub(super) const TYPE: &str = "type";
/// What every device of QEMU has, which says nothing of one type.
const OF_EVERY_DEVICE: [&str; 5] = [TYPE, "realized", "hotpluggable", "hotplugged", "parent_bus"];

/// A property, a child or a link.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Property {
    /// Its name.
    pub(super) name: String,
    /// Type of its values; `child<TYPE>` is an object that this one holds, `link<TYPE>` one that it
    /// refers to.
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'static str>,
    /// The value that holds if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    default_value: Option<Value>,
    /// Which values are insecure, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    insecure: Vec<Insecure>,
    /// True if it will go; left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deprecated: bool,
    /// What to use instead of what will go.
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<&'static str>,
    /// True if it may change or go without notice; left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unstable: bool,
}

/// That some values of a property are insecure.
#[derive(Debug, Serialize, JsonSchema)]
struct Insecure {
    /// Which, in words, or the values themselves.
    when: Value,
    /// Why.
    reason: &'static str,
}

impl Property {
    fn plain(name: impl Into<String>, type_name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            type_name: type_name.into(),
            description: None,
            default_value: None,
            insecure: Vec::new(),
            deprecated: false,
            replacement: None,
            unstable: false,
        }
    }
}

impl From<PropertyDescription> for Property {
    fn from(described: PropertyDescription) -> Self {
        let insecure = described.insecure.into_iter();
        Self {
            name: described.name.to_owned(),
            type_name: described.type_name,
            description: Some(described.description).filter(|text| !text.is_empty()),
            default_value: Some(described.default_value).filter(|value| !value.is_null()),
            insecure: insecure
                .map(|statement| Insecure { when: statement.when, reason: statement.reason })
                .collect(),
            deprecated: described.deprecated.is_some(),
            replacement: described.deprecated,
            unstable: described.unstable,
        }
    }
}

/// What every object of a class has: its type, and its properties sorted by name, but for those that
/// a policy hides.
fn of_class(class: &Class, compat: CompatPolicy) -> Vec<Property> {
    let mut all = Vec::new();
    if class.property(TYPE).is_none() {
        all.push(Property::plain(TYPE, "string"));
    }
    let shown = class.properties().filter(|(property, _)| !compat.hides(property.features()));
    let described = shown.map(|(property, owner)| PropertyDescription::of(property, owner.name));
    all.extend(described.map(Property::from));
    all
}

/// What an object has: its type, its properties and its children, each sorted by name, but for the
/// properties that a policy hides.
pub(super) fn of_object(object: &Obj, compat: CompatPolicy) -> Vec<Property> {
    let mut all = of_class(object.class(), compat);
    let children = object.children().into_iter();
    all.extend(
        children
            .map(|(name, child)| Property::plain(name, format!("child<{}>", child.class().name()))),
    );
    all
}

/// `qom-list`.
struct QomList;

/// Where to look.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QomListArguments {
    /// Canonical or partial path of an object.
    path: String,
}

impl Command for QomList {
    const NAME: &'static str = "qom-list";
    type Arguments = QomListArguments;
    type Returns = Vec<Property>;

    fn run(
        context: &CommandContext<'_>,
        arguments: QomListArguments,
    ) -> Result<Vec<Property>, CommandError> {
        Ok(of_object(&context.tree().resolve(&arguments.path)?, context.compat()))
    }
}

register_command!(QomList);

/// Which type.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TypeArguments {
    /// Name of the type.
    typename: String,
}

fn class<'a>(context: &CommandContext<'a>, name: &str) -> Result<&'a Class, CommandError> {
    context.tree().registry().class(name).map(|class| &**class).ok_or_else(|| {
        CommandError::new(ErrorClass::DeviceNotFound, format!("Class '{name}' not found"))
    })
}

/// `qom-list-properties`.
struct QomListProperties;

impl Command for QomListProperties {
    const NAME: &'static str = "qom-list-properties";
    type Arguments = TypeArguments;
    type Returns = Vec<Property>;

    fn run(
        context: &CommandContext<'_>,
        arguments: TypeArguments,
    ) -> Result<Vec<Property>, CommandError> {
        Ok(of_class(class(context, &arguments.typename)?, context.compat()))
    }
}

register_command!(QomListProperties);

/// `device-list-properties`.
struct DeviceListProperties;

impl Command for DeviceListProperties {
    const NAME: &'static str = "device-list-properties";
    type Arguments = TypeArguments;
    type Returns = Vec<Property>;

    fn run(
        context: &CommandContext<'_>,
        arguments: TypeArguments,
    ) -> Result<Vec<Property>, CommandError> {
        let class = class(context, &arguments.typename)?;
        if !class.is_a(<dyn Device as ClassType>::INFO.name) {
            return Err(CommandError::generic("Parameter 'typename' expects a device type"));
        }
        if class.is_abstract() {
            return Err(CommandError::generic(
                "Parameter 'typename' expects a non-abstract device type",
            ));
        }
        let mut properties = of_class(class, context.compat());
        properties.retain(|property| !OF_EVERY_DEVICE.contains(&&*property.name));
        Ok(properties)
    }
}

register_command!(DeviceListProperties);
