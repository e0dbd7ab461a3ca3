//! What can be said of a type without making one: for help, monitors and the audit.

use serde::Serialize;
use serde_json::Value;

use crate::{
    Boundaries,
    class::Class,
    property::{Access, InsecureCondition, PropertyInfo},
};

/// All that is known of a type.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TypeDescription {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// `abstract`, `interface` or `concrete`.
    pub kind: &'static str,
    /// The class that it descends from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<&'static str>,
    /// The interfaces that it adds.
    pub interfaces: Vec<&'static str>,
    /// `secure`, `insecure` or `undeclared`.
    pub security: &'static str,
    /// Why it is insecure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Where untrusted input reaches it.
    pub boundaries: Boundaries,
    /// The heading under which help lists it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<&'static str>,
    /// What to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<&'static str>,
    /// Whether it may change without notice.
    pub unstable: bool,
    /// Crate and version that make these statements.
    pub stated_by: String,
    /// Where they stand: file and line.
    pub stated_at: String,
    /// Its properties, sorted by name.
    pub properties: Vec<PropertyDescription>,
}

/// All that is known of a property.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PropertyDescription {
    /// Its name.
    pub name: &'static str,
    /// QOM's name for the type of its values.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it is.
    pub description: &'static str,
    /// The value that holds if none is given.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub default_value: Value,
    /// The words that an enumeration accepts.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub values: &'static [&'static str],
    /// Least and greatest accepted integer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<(i128, i128)>,
    /// Whether one must be given.
    pub required: bool,
    /// `creation`, `live` or `computed`: when it can be written.
    pub access: &'static str,
    /// The type that declares it.
    pub declared_by: &'static str,
    /// What was said of the security of its values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub insecure: Vec<InsecureDescription>,
    /// What to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<&'static str>,
    /// Whether it may change without notice; left out if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unstable: bool,
}

/// That some values of a property are insecure.
#[derive(Clone, Debug, Serialize)]
pub struct InsecureDescription {
    /// Which, in words or as the values themselves.
    pub when: Value,
    /// Why.
    pub reason: &'static str,
}

impl TypeDescription {
    /// Describes a class.
    #[must_use]
    pub fn of(class: &Class) -> Self {
        let info = class.info();
        Self {
            name: info.name,
            description: info.description,
            kind: info.kind.name(),
            parent: info.parent,
            interfaces: info.interfaces.to_vec(),
            security: info.status.name(),
            reason: info.status.reason(),
            boundaries: class.boundaries(),
            category: class.category(),
            deprecated: info.deprecated,
            unstable: info.unstable,
            stated_by: info.statement.to_string(),
            stated_at: format!("{}:{}", info.statement.file, info.statement.line),
            properties: class
                .properties()
                .map(|(property, owner)| PropertyDescription::of(property, owner.name))
                .collect(),
        }
    }
}

impl PropertyDescription {
    /// Describes a property that the type `declared_by` declares.
    #[must_use]
    pub fn of(property: &PropertyInfo, declared_by: &'static str) -> Self {
        Self {
            name: property.name,
            type_name: property.type_name(),
            description: property.description,
            default_value: property.default_value(),
            values: (property.value_type)().words,
            range: property.range,
            required: property.required,
            access: match property.access {
                Access::Creation => "creation",
                Access::Live => "live",
                Access::Computed => "computed",
            },
            declared_by,
            deprecated: property.deprecated,
            unstable: property.unstable,
            insecure: property
                .insecure
                .iter()
                .map(|statement| InsecureDescription {
                    when: match statement.condition {
                        InsecureCondition::NotDefault => Value::from("not the default"),
                        InsecureCondition::Values(values) => Value::from(values()),
                        InsecureCondition::When(_) => Value::from("depends on the configuration"),
                    },
                    reason: statement.reason,
                })
                .collect(),
        }
    }
}
