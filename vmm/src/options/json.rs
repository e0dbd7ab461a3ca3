//! JSON objects as option values: members in the order written, bounded depth, no duplicate keys.

use std::{collections::HashSet, fmt};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::excerpt::excerpt;
use crate::unique_keys::{Nesting, UniqueKeys};

/// How deep arrays and objects may stand in one another; the outermost object counts.
pub const MAX_DEPTH: usize = 32;

/// Text that starts like a JSON object and is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON: {message}")]
pub struct JsonError {
    /// What is wrong, with line and column.
    pub message: String,
}

/// Reads one JSON object and keeps the order of its members.
///
/// # Errors
/// Malformed text, anything after the object, a key given twice in one object (at any level), and
/// values nested deeper than [`MAX_DEPTH`].
pub fn parse_object(text: &str) -> Result<Vec<(String, Value)>, JsonError> {
    // The parser would quote what is there instead, however long it is.
    if !text.trim_start().starts_with('{') {
        return Err(JsonError { message: "expected an object".to_owned() });
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Members);
    members
        .and_then(|members| deserializer.end().map(|()| members))
        .map_err(|error| JsonError { message: error.to_string() })
}

/// Collects an object's members.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let nesting = Nesting { most: MAX_DEPTH, left: MAX_DEPTH - 1 };
        let values = UniqueKeys { nesting: Some(nesting), show: excerpt };
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(values.given_twice(&key));
            }
            members.push((key, map.next_value_seed(values)?));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn members_keep_their_order_and_types() {
        let members = parse_object(r#"{"z":1,"a":"x","m":[true,null,{"k":-2.5}]}"#).unwrap();
        assert_eq!(
            members,
            [
                ("z".to_owned(), json!(1)),
                ("a".to_owned(), json!("x")),
                ("m".to_owned(), json!([true, null, {"k": -2.5}])),
            ]
        );
    }

    #[test]
    fn a_key_given_twice_is_refused_at_any_level() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"b":[{"a":1,"a":2}]}"#] {
            let message = parse_object(text).unwrap_err().to_string();
            assert!(message.starts_with("invalid JSON: key 'a' is given twice"), "{message}");
            assert!(message.contains("column"), "{message}");
        }
    }

    #[test]
    fn the_depth_limit_is_exact() {
        let nested =
            |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(parse_object(&nested(MAX_DEPTH)).is_ok());
        let message = parse_object(&nested(MAX_DEPTH + 1)).unwrap_err().to_string();
        assert!(message.contains("nested deeper than 32 levels"), "{message}");
        assert!(parse_object(&nested(100_000)).is_err());
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in ["", "{", "[]", "1", "{} x", "{}{}", r#"{"a":}"#, r#"{"a":1e999}"#, "{'a':1}"] {
            assert!(parse_object(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in r#"[{}\[\]",:a0\\ue.-]{0,60}|.*"#) {
            let _ = parse_object(&text);
        }
    }
}
