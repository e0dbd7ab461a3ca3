//! What a character device leads to, as QEMU's `ChardevBackend` says it: a type that some linked
//! crate has, and the data that this type takes. What clients are told of it and their arguments are
//! checked against comes from the registry.

use std::borrow::Cow;

use device_model::{
    chardev::{DataMember, MemberValue},
    descriptors::DescriptorProperty,
    qom_core::{Class, PropertyInfo, Registry, Value},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, json};

use crate::creation::chardev;

/// What a character device leads to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::monitor::commands) struct Backend {
    /// Its type, as `-chardev` takes it.
    #[serde(rename = "type")]
    pub(in crate::monitor::commands) type_name: String,
    /// How it is to be.
    pub(in crate::monitor::commands) data: Map<String, Value>,
}

impl JsonSchema for Backend {
    fn schema_name() -> Cow<'static, str> {
        "ChardevBackend".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // A program with a registry that contradicts itself has no monitor.
        let cases: Vec<_> = Registry::global().map_or_else(
            |_| Vec::new(),
            |registry| {
                chardev::all_backends(registry).map(|(name, class)| of(name, class)).collect()
            },
        );
        json_schema!({ "oneOf": cases })
    }
}

/// `{"type": NAME, "data": {…}}`, as schemars has an enum with a tag and content.
fn case(name: &str, data: Value) -> Value {
    json!({
        "type": "object",
        "properties": { "type": { "const": name }, "data": data },
        "required": ["type", "data"],
    })
}

/// A type, with what it takes. That it is deprecated or unstable is judged where all types are, when
/// one is planned.
fn of(name: &str, class: &Class) -> Value {
    case(name, object(class, &chardev::members(class)))
}

fn mark(schema: &mut Value, deprecated: bool, unstable: bool) {
    if let Some(schema) = schema.as_object_mut() {
        for (key, _) in
            [("deprecated", deprecated), ("unstable", unstable)].iter().filter(|it| it.1)
        {
            schema.insert((*key).to_owned(), true.into());
        }
    }
}

fn object(class: &Class, members: &[DataMember]) -> Value {
    let properties: Map<String, Value> =
        members.iter().map(|member| (member.name.to_owned(), value(class, member))).collect();
    let required: Vec<_> =
        members.iter().filter(|member| member.required).map(|member| member.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn value(class: &Class, member: &DataMember) -> Value {
    let info = |property| class.property(property).map(|(info, _)| info);
    match member.value {
        MemberValue::Of(property) => info(property).map_or(Value::Bool(true), property_schema),
        MemberValue::TextOf(property) => {
            let mut schema = json!({ "type": "string" });
            if let Some(info) = info(property) {
                mark(&mut schema, info.deprecated.is_some(), info.unstable);
            }
            schema
        }
        MemberValue::OneOf(cases) => {
            let cases: Vec<_> =
                cases.iter().map(|one| case(one.name, object(class, one.members))).collect();
            json!({ "oneOf": cases })
        }
    }
}

/// The JSON values of a property.
fn property_schema(info: &PropertyInfo) -> Value {
    let value_type = (info.value_type)();
    let mut schema = match &*value_type.name {
        _ if info.link.is_some() => json!({ "type": "string" }),
        _ if !value_type.words.is_empty() => json!({ "enum": value_type.words }),
        // By the name that it was passed under, or by its number.
        _ if DescriptorProperty::of(info) == Some(DescriptorProperty::Number) => {
            json!({ "type": ["string", "integer"], "format": "uint32" })
        }
        _ if DescriptorProperty::of(info).is_some() => json!({ "type": "string" }),
        "bool" => json!({ "type": "boolean" }),
        "str" => json!({ "type": "string" }),
        "size" => json!({ "type": "integer", "format": "uint64" }),
        name if name.starts_with("int") || name.starts_with("uint") => {
            json!({ "type": "integer", "format": name })
        }
        name if name.starts_with("list<") => json!({ "type": "array" }),
        // The property's own type says what it takes.
        _ => json!({}),
    };
    if let (Some((least, greatest)), Some(members)) = (info.range, schema.as_object_mut()) {
        let bounds = [("minimum", least), ("maximum", greatest)];
        for (key, bound) in bounds {
            if let Ok(bound) = i64::try_from(bound) {
                members.insert(key.to_owned(), bound.into());
            }
        }
    }
    mark(&mut schema, info.deprecated.is_some(), info.unstable);
    schema
}
