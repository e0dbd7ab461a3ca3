//! Reads objects: their members, those of what is flattened into them, and their variants.

use serde_json::{Map, Value};

use super::{
    super::types::{Enum, EnumValue, Member, Object, Type, TypeId, Variants},
    Reader, features, pure_reference,
};

/// What a variant without further members is called: as the empty object elsewhere.
const EMPTY: &str = "Nothing";

impl<'s> Reader<'s, '_> {
    /// An object type, or anything if the protocol has no words for the schema.
    pub(super) fn object(&mut self, schema: &'s Map<String, Value>, name: &str) -> Type {
        let is_object = ["type", "properties", "oneOf", "allOf", "$ref"];
        if !is_object.iter().any(|key| schema.contains_key(*key)) {
            return Type::Any;
        }
        let mut object = Object::empty(name);
        match self.gather(schema, name, None, &mut Vec::new(), &mut object) {
            Some(()) => Type::Object(object),
            None => Type::Any,
        }
    }

    /// Adds to an object what a schema says of it, but for the member `except`. `within` are the
    /// references being followed.
    fn gather(
        &mut self,
        schema: &'s Map<String, Value>,
        name: &str,
        except: Option<&str>,
        within: &mut Vec<&'s str>,
        object: &mut Object,
    ) -> Option<()> {
        if schema.contains_key("anyOf")
            || schema.contains_key("patternProperties")
            || schema.get("type").is_some_and(|words| !may_be_object(words))
        {
            return None;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            if within.contains(&target) {
                return None;
            }
            within.push(target);
            let definition = self.definition(target)?.as_object()?;
            self.gather(definition, self.name(target), None, within, object)?;
            within.pop();
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.gather(part.as_object()?, name, None, within, object)?;
        }
        self.members(schema, name, except, object);
        for key in ["additionalProperties", "unevaluatedProperties"] {
            match schema.get(key) {
                None | Some(Value::Bool(false)) => {}
                Some(others) => object.others = Some(self.type_of(others, name)),
            }
        }
        if let Some(options) = schema.get("oneOf").and_then(Value::as_array) {
            if object.variants.is_some() {
                return None;
            }
            object.variants = Some(self.variants(options, name)?);
        }
        Some(())
    }

    fn members(
        &mut self,
        schema: &'s Map<String, Value>,
        name: &str,
        except: Option<&str>,
        object: &mut Object,
    ) {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |key: &str| required.is_some_and(|list| list.iter().any(|it| it == key));
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, property) in properties.into_iter().flatten() {
            if Some(key.as_str()) == except {
                continue;
            }
            let optional = !is_required(key);
            let own = format!("{name}-{key}");
            let type_id = if optional {
                self.type_of_optional(property, &own)
            } else {
                self.type_of(property, &own)
            };
            let features = property.as_object().map(features).unwrap_or_default();
            object.members.push(Member { name: key.clone(), type_id, optional, features });
        }
    }

    fn variants(&mut self, options: &'s [Value], name: &str) -> Option<Variants> {
        let tag = tag(options)?;
        let mut cases = Vec::new();
        let mut values = Vec::new();
        for option in options {
            let value = tag_value(option, tag)?;
            let option = option.as_object()?;
            values.push(EnumValue { name: value.to_owned(), features: features(option) });
            cases.push((value.to_owned(), self.case(option, tag, &format!("{name}-{value}"))?));
        }
        let tag_type = self.add(Type::Enum(Enum { name: format!("{name}-{tag}"), values }));
        Some(Variants { tag: tag.to_owned(), tag_type, cases })
    }

    /// The type of the members that a variant has besides its tag.
    fn case(&mut self, option: &'s Map<String, Value>, tag: &str, name: &str) -> Option<TypeId> {
        let properties = option.get("properties").and_then(Value::as_object);
        let only_tag = properties.is_some_and(|properties| properties.len() == 1);
        let composed = ["oneOf", "anyOf", "allOf"].iter().any(|key| option.contains_key(*key));
        if let Some(target) = option.get("$ref").and_then(Value::as_str)
            && only_tag
            && !composed
        {
            let definition = self.definition(target)?;
            let is_object = definition.get("type").is_some_and(|word| word == "object")
                || definition.get("oneOf").is_some()
                || pure_reference(definition).is_some();
            return is_object.then(|| self.reference(target));
        }
        let mut object = Object::empty(name);
        self.gather(option, name, Some(tag), &mut Vec::new(), &mut object)?;
        if object.members.is_empty() && object.others.is_none() && object.variants.is_none() {
            EMPTY.clone_into(&mut object.name);
        }
        Some(self.add(Type::Object(object)))
    }
}

impl Object {
    fn empty(name: &str) -> Self {
        Self { name: name.to_owned(), members: Vec::new(), others: None, variants: None }
    }
}

/// Whether one of the kinds that a schema states is an object; others are other types' concern.
fn may_be_object(words: &Value) -> bool {
    words == "object" || words.as_array().is_some_and(|words| words.iter().any(|it| it == "object"))
}

/// The member whose value tells the variants apart.
fn tag(options: &[Value]) -> Option<&str> {
    let first = options.first()?.get("properties")?.as_object()?;
    let mut keys = first.keys().map(String::as_str);
    keys.find(|key| options.iter().all(|option| tag_value(option, key).is_some()))
}

fn tag_value<'s>(option: &'s Value, tag: &str) -> Option<&'s str> {
    option.get("properties")?.get(tag)?.get("const")?.as_str()
}
