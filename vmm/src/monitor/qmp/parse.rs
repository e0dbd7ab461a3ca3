//! A whole message as a JSON value. How deep it nests is the framer's to bound.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one value of plain JSON.
///
/// # Errors
/// Malformed text, anything after the value, a key given twice in one object.
pub(super) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.disable_recursion_limit();
    let value = Unique.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Any value whose objects have each key once.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
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
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(Unique)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("key '{key:.64}' is given twice")));
            }
            let value = members.next_value_seed(Unique)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_value_is_read() {
        let text = br#" {"a":[null,true,-1,18446744073709551615,2.5,"\u00e9"],"b":{}} "#;
        let value = json!({"a": [null, true, -1, u64::MAX, 2.5, "\u{e9}"], "b": {}});
        assert_eq!(parse(text).unwrap(), value);
    }

    #[test]
    fn what_is_not_one_value_is_refused() {
        for text in
            ["", "{", "{} {}", "{1 2}", "[1,]", "nul", "1e999", "01", r#""\x""#, r#""\ud800""#]
        {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_given_twice_is_refused_at_any_level() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"b":{"a":1,"a":2}}]"#] {
            let message = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with("key 'a' is given twice at line 1"), "{message}");
        }
        let long = "x".repeat(10_000);
        let text = format!(r#"{{"{long}":1,"{long}":2}}"#);
        assert!(parse(text.as_bytes()).unwrap_err().to_string().len() < 200);
    }
}
