//! A whole message as a JSON value. How deep it nests is the framer's to bound.

use serde::de::DeserializeSeed;
use serde_json::Value;

use crate::unique_keys::UniqueKeys;

/// Characters of a key that a message shows.
const KEY_SHOWN: usize = 64;

/// Reads one value of plain JSON.
///
/// # Errors
/// Malformed text, anything after the value, a key given twice in one object.
pub(super) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    deserializer.disable_recursion_limit();
    let unique = UniqueKeys { nesting: None, show: |key| format!("{key:.KEY_SHOWN$}") };
    let value = unique.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
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
