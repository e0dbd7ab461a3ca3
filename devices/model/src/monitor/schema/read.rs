//! Reads types out of the JSON schemas that schemars derives.
//!
//! What the protocol has no words for becomes [`Type::Any`]: enums that carry data without a tag,
//! tuples, patterns.

mod object;

use std::collections::{BTreeMap, BTreeSet};

use qom_core::Features;
use schemars::Schema;
use serde_json::{Map, Value};

use super::types::{
    Alternate, Enum, EnumValue, Integers, Kind, Object, Type, TypeId, Types, whole,
};

/// Where schemars keeps the schemas that others refer to.
const DEFINITIONS: &str = "#/$defs/";

impl Types {
    /// Adds the type of a schema and all to which it refers, and tells its index.
    pub(in crate::monitor) fn read(&mut self, schema: &Schema) -> TypeId {
        let first = self.list.len();
        let root = schema.as_value();
        let mut reader = Reader { types: self, root, known: BTreeMap::new() };
        let id = reader.reference("#");
        self.settle(first);
        id
    }

    /// Whether a variant of an object is, through variants alone, the object itself. A check of it
    /// would find no end.
    fn has_itself_as_variant(&self, id: TypeId) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            let Type::Object(Object { variants: Some(variants), .. }) = self.get(next) else {
                continue;
            };
            for (_, case) in &variants.cases {
                if *case == id {
                    return true;
                }
                if seen.insert(*case) {
                    open.push(*case);
                }
            }
        }
        false
    }

    /// Makes alternates among the types from `first` on ones of the options in the end, and of
    /// those that can't be told apart anything, as of objects without end.
    fn settle(&mut self, first: TypeId) {
        for id in first..self.list.len() {
            if self.has_itself_as_variant(id)
                && let Some(slot) = self.list.get_mut(id)
            {
                *slot = Type::Any;
            }
            if let Type::Alternate(alternate) = self.get(id) {
                let name = alternate.name.clone();
                let options = self.options(id);
                let settled = options
                    .map_or(Type::Any, |options| Type::Alternate(Alternate { name, options }));
                if let Some(slot) = self.list.get_mut(id) {
                    *slot = settled;
                }
            }
        }
    }

    /// The options of an alternate and of those that it has as options; none if two are of one kind.
    fn options(&self, alternate: TypeId) -> Option<Vec<TypeId>> {
        let mut seen = BTreeSet::new();
        let mut open = vec![alternate];
        let mut options = Vec::new();
        let mut kinds = Vec::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.get(id) {
                Type::Alternate(inner) => open.extend(inner.options.iter().rev()),
                option => {
                    let kind = option.kind()?;
                    if kinds.contains(&kind) {
                        // Several ways to say that there is nothing are one.
                        if kind == Kind::Null {
                            continue;
                        }
                        return None;
                    }
                    kinds.push(kind);
                    options.push(id);
                }
            }
        }
        Some(options)
    }
}

struct Reader<'s, 't> {
    types: &'t mut Types,
    root: &'s Value,
    /// What was referred to already.
    known: BTreeMap<&'s str, TypeId>,
}

impl<'s> Reader<'s, '_> {
    fn add(&mut self, kind: Type) -> TypeId {
        self.types.list.push(kind);
        self.types.list.len() - 1
    }

    /// The type that a reference leads to.
    fn reference(&mut self, target: &'s str) -> TypeId {
        let mut target = target;
        let mut passed = BTreeSet::new();
        while let Some(next) = self.definition(target).and_then(pure_reference)
            && passed.insert(target)
        {
            target = next;
        }
        if let Some(&id) = self.known.get(target) {
            return id;
        }
        // The place is taken first: the type may refer to itself.
        let id = self.add(Type::Any);
        self.known.insert(target, id);
        if let Some(definition) = self.definition(target) {
            let name = self.name(target);
            let read = self.read(definition, name);
            if let Some(slot) = self.types.list.get_mut(id) {
                *slot = read;
            }
        }
        id
    }

    fn definition(&self, target: &str) -> Option<&'s Value> {
        if target == "#" {
            return Some(self.root);
        }
        self.root.get("$defs")?.get(target.strip_prefix(DEFINITIONS)?)
    }

    fn name(&self, target: &'s str) -> &'s str {
        if target == "#" {
            return self.root.get("title").and_then(Value::as_str).unwrap_or("Anonymous");
        }
        target.strip_prefix(DEFINITIONS).unwrap_or(target)
    }

    /// The index of a schema's type. Its name is that if it has none of its own.
    fn type_of(&mut self, schema: &'s Value, name: &str) -> TypeId {
        if let Some(target) = pure_reference(schema) {
            return self.reference(target);
        }
        let read = self.read(schema, name);
        self.add(read)
    }

    /// As [`Self::type_of`], of something that is left out rather than null.
    fn type_of_optional(&mut self, schema: &'s Value, name: &str) -> TypeId {
        if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
            let mut others = options.iter().filter(|option| !is_null(option));
            if let (Some(only), None) = (others.next(), others.next()) {
                return self.type_of(only, name);
            }
        }
        let id = self.type_of(schema, name);
        if let Type::Alternate(alternate) = self.types.get(id)
            && pure_reference(schema).is_none()
        {
            let mut options = alternate.options.clone();
            options.retain(|option| !matches!(self.types.get(*option), Type::Null));
            if let [only] = options[..] {
                return only;
            }
            let name = name.to_owned();
            return self.add(Type::Alternate(Alternate { name, options }));
        }
        id
    }

    fn read(&mut self, schema: &'s Value, name: &str) -> Type {
        let Some(schema) = schema.as_object() else {
            return Type::Any;
        };
        if let Some(values) = words(schema) {
            let nullable = values.iter().any(|(word, _)| word.is_null());
            let values = values.into_iter().filter_map(|(word, features)| {
                Some(EnumValue { name: word.as_str()?.to_owned(), features })
            });
            let read = Type::Enum(Enum { name: name.to_owned(), values: values.collect() });
            return if nullable { self.or_null(read, name) } else { read };
        }
        if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
            if ["properties", "$ref", "oneOf", "allOf"].iter().any(|key| schema.contains_key(*key))
            {
                return Type::Any;
            }
            let options = options.iter().map(|option| self.type_of(option, name)).collect();
            return Type::Alternate(Alternate { name: name.to_owned(), options });
        }
        match schema.get("type") {
            Some(Value::String(word)) => self.plain(word, schema, name),
            Some(Value::Array(words)) => {
                let words = words.iter().filter_map(Value::as_str);
                let options = words.map(|word| {
                    let option = self.plain(word, schema, name);
                    self.add(option)
                });
                Type::Alternate(Alternate { name: name.to_owned(), options: options.collect() })
            }
            _ => self.object(schema, name),
        }
    }

    fn or_null(&mut self, read: Type, name: &str) -> Type {
        let options = vec![self.add(read), self.add(Type::Null)];
        Type::Alternate(Alternate { name: name.to_owned(), options })
    }

    fn plain(&mut self, word: &str, schema: &'s Map<String, Value>, name: &str) -> Type {
        match word {
            "null" => Type::Null,
            "boolean" => Type::Bool,
            "string" => Type::Str,
            "number" => Type::Number,
            "integer" => Type::Int(integers(schema)),
            "array" => Type::Array(match schema.get("items") {
                Some(items) => self.type_of(items, name),
                None => self.add(Type::Any),
            }),
            "object" => self.object(schema, name),
            _ => Type::Any,
        }
    }
}

/// What a schema refers to, if it says nothing else about the values.
fn pure_reference(schema: &Value) -> Option<&str> {
    let schema = schema.as_object()?;
    let speaks = ["type", "properties", "oneOf", "anyOf", "allOf"];
    if speaks.iter().any(|key| schema.contains_key(*key)) {
        return None;
    }
    schema.get("$ref")?.as_str()
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

/// The values of an enum without data, if it is one.
fn words(schema: &Map<String, Value>) -> Option<Vec<(&Value, Features)>> {
    let is_word = |value: &Value| value.is_string() || value.is_null();
    if let Some(word) = schema.get("const") {
        return is_word(word).then(|| vec![(word, features(schema))]);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = words.iter().map(|word| is_word(word).then_some((word, Features::NONE)));
        return words.collect();
    }
    // With documentation of its own, each is a schema.
    let options = schema.get("oneOf")?.as_array()?;
    let options = options.iter().map(|option| words(option.as_object()?));
    Some(options.collect::<Option<Vec<_>>>()?.concat())
}

/// What the author marked with `#[deprecated]` or `#[schemars(extend("unstable" = true))]`.
fn features(schema: &Map<String, Value>) -> Features {
    let marked = |key| schema.get(key).and_then(Value::as_bool) == Some(true);
    Features { deprecated: marked("deprecated"), unstable: marked("unstable") }
}

/// The numbers of a Rust type by the name that schemars has for it. Those of 128 bits end where the
/// numbers of serde's values do.
fn integers(schema: &Map<String, Value>) -> Integers {
    let (minimum, maximum, name) = match schema.get("format").and_then(Value::as_str) {
        Some("int8") => (i8::MIN.into(), i8::MAX.into(), "int8"),
        Some("int16") => (i16::MIN.into(), i16::MAX.into(), "int16"),
        Some("int32") => (i32::MIN.into(), i32::MAX.into(), "int32"),
        Some("uint8") => (0, u8::MAX.into(), "uint8"),
        Some("uint16") => (0, u16::MAX.into(), "uint16"),
        Some("uint32") => (0, u32::MAX.into(), "uint32"),
        Some("uint64" | "uint" | "uint128") => (0, u64::MAX.into(), "uint64"),
        Some("int64" | "int") => (i64::MIN.into(), i64::MAX.into(), "int64"),
        _ => (i64::MIN.into(), i128::from(u64::MAX), "an integer"),
    };
    let bound = |key| schema.get(key).and_then(whole);
    let narrow_minimum = bound("minimum").map_or(minimum, |bound| bound.max(minimum));
    let narrow_maximum = bound("maximum").map_or(maximum, |bound| bound.min(maximum));
    let name = if (narrow_minimum, narrow_maximum) == (minimum, maximum) {
        name.to_owned()
    } else {
        format!("an integer from {narrow_minimum} to {narrow_maximum}")
    };
    Integers { minimum: narrow_minimum, maximum: narrow_maximum, name }
}
