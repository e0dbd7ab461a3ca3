//! JSON values whose objects have each key once: to take the last of two would be to guess.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads any value whose objects have each key once.
#[derive(Clone, Copy)]
pub(crate) struct UniqueKeys {
    /// How deep it may nest; none if something else bounds that.
    pub(crate) nesting: Option<Nesting>,
    /// Shows a key in a message.
    pub(crate) show: fn(&str) -> String,
}

/// How deep a value may nest.
#[derive(Clone, Copy)]
pub(crate) struct Nesting {
    /// The bound, for messages.
    pub(crate) most: usize,
    /// What is left of it.
    pub(crate) left: usize,
}

impl UniqueKeys {
    /// That an object has a key twice.
    pub(crate) fn given_twice<E: de::Error>(self, key: &str) -> E {
        E::custom(format_args!("key '{}' is given twice", (self.show)(key)))
    }

    /// What reads the values of an array or an object.
    fn within<E: de::Error>(self) -> Result<Self, E> {
        let Some(Nesting { most, left }) = self.nesting else { return Ok(self) };
        let deeper = || E::custom(format_args!("nested deeper than {most} levels"));
        let left = left.checked_sub(1).ok_or_else(deeper)?;
        Ok(Self { nesting: Some(Nesting { most, left }), ..self })
    }
}

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let within = self.within()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(within)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let within = self.within()?;
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(self.given_twice(&key));
            }
            let value = members.next_value_seed(within)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}
