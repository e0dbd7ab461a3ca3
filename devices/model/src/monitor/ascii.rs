//! JSON in ASCII: whatever else a string has is escaped.

use std::io::{Result, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// Appends a value to `out`, on one line or indented.
pub fn write(out: &mut Vec<u8>, value: &impl Serialize, pretty: bool) {
    let written = if pretty {
        let indented = Ascii(PrettyFormatter::with_indent(b"    "));
        value.serialize(&mut Serializer::with_formatter(out, indented))
    } else {
        value.serialize(&mut Serializer::with_formatter(out, Ascii(Spaced)))
    };
    // Memory takes all that is written, and every key of a JSON value is a string.
    debug_assert!(written.is_ok(), "{written:?}");
}

/// On one line, with a space after each colon and comma, as QEMU writes.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        out.write_all(b": ")
    }
}

/// As another formatter, in ASCII.
struct Ascii<F>(F);

/// Passes on what is the other formatter's.
macro_rules! pass_on {
    ($($name:ident($($argument:ident: $type:ty)?);)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, out: &mut W, $($argument: $type)?) -> Result<()> {
            self.0.$name(out, $($argument)?)
        })*
    };
}

impl<F: Formatter> Formatter for Ascii<F> {
    pass_on! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> Result<()> {
        let mut rest = fragment;
        // The first byte of what is to be escaped is the first of a character.
        let is_plain = |byte: u8| (b' '..=b'~').contains(&byte);
        while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
            let (plain, from) = rest.split_at(at);
            out.write_all(plain.as_bytes())?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn written(value: &Value, pretty: bool) -> String {
        let mut out = Vec::new();
        write(&mut out, value, pretty);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_line_has_spaces_where_qemu_has_them() {
        let value = json!({"a": [1, null, []], "b": {}, "c": "x"});
        assert_eq!(written(&value, false), r#"{"a": [1, null, []], "b": {}, "c": "x"}"#);
    }

    #[test]
    fn pretty_is_indented() {
        let value = json!({"a": [1, 2], "b": {}});
        let lines = "{\n    \"a\": [\n        1,\n        2\n    ],\n    \"b\": {}\n}";
        assert_eq!(written(&value, true), lines);
    }

    #[test]
    fn what_is_not_ascii_is_escaped_in_utf16() {
        let value = json!({"\u{e9}\u{20ac}x": "\u{1f600}\u{7f}\u{1}\n\"\\~"});
        let text = r#"{"\u00e9\u20acx": "\ud83d\ude00\u007f\u0001\n\"\\~"}"#;
        assert_eq!(written(&value, false), text);
    }

    proptest! {
        #[test]
        fn any_string_comes_back(text: String, pretty: bool) {
            let value = json!({ text.clone(): [text] });
            let line = written(&value, pretty);
            prop_assert!(line.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        }
    }
}
