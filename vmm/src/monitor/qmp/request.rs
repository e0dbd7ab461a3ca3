//! What a client asks for: a JSON value with the members of a request.

use device_model::monitor::CommandError;
use serde_json::{Map, Value};

/// A request that has the form of one. Whether there is such a command is another matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The command's name.
    pub command: String,
    /// What it is given, by name.
    pub arguments: Map<String, Value>,
    /// What the answer repeats, so that the client knows which request it belongs to.
    pub id: Option<Value>,
    /// Whether it is to overtake others.
    pub out_of_band: bool,
}

/// A value that is no request.
#[derive(Clone, Debug, PartialEq)]
pub struct Malformed {
    /// What is wrong.
    pub error: CommandError,
    /// What the answer repeats nevertheless.
    pub id: Option<Value>,
    /// Whether it was to overtake others, and so does its error.
    pub out_of_band: bool,
}

/// The longest excerpt of a client's own words that an error repeats, in characters.
pub(super) const EXCERPT: usize = 128;

impl Request {
    /// Reads a request: QEMU, docs/interop/qmp-spec.rst, "Issuing Commands". `exec-oob` is known
    /// only to clients that negotiated the capability `oob`.
    ///
    /// # Errors
    /// What is not a request, with the identity that it has.
    pub fn from_value(value: Value, oob: bool) -> Result<Self, Malformed> {
        let Value::Object(mut members) = value else {
            let error = CommandError::generic("QMP input must be a JSON object");
            return Err(Malformed { error, id: None, out_of_band: false });
        };
        let id = members.remove("id");
        let out_of_band =
            oob && members.contains_key("exec-oob") && !members.contains_key("execute");
        match read(members, oob) {
            Ok((command, arguments)) => Ok(Self { command, arguments, id, out_of_band }),
            Err(desc) => Err(Malformed { error: CommandError::generic(desc), id, out_of_band }),
        }
    }
}

/// The command and its arguments, or what is wrong.
fn read(members: Map<String, Value>, oob: bool) -> Result<(String, Map<String, Value>), String> {
    let mut command = None;
    let mut arguments = Map::new();
    for (name, value) in members {
        match (name.as_str(), value) {
            ("execute", value) => set(&mut command, "execute", value)?,
            ("exec-oob", value) if oob => set(&mut command, "exec-oob", value)?,
            ("arguments", Value::Object(given)) => arguments = given,
            ("arguments", _) => {
                return Err("QMP input member 'arguments' must be an object".to_owned());
            }
            _ => return Err(format!("QMP input member '{name:.EXCERPT$}' is unexpected")),
        }
    }
    let (_, command) = command.ok_or("QMP input lacks member 'execute'")?;
    Ok((command, arguments))
}

fn set(
    command: &mut Option<(&'static str, String)>,
    member: &'static str,
    value: Value,
) -> Result<(), String> {
    let Value::String(name) = value else {
        return Err(format!("QMP input member '{member}' must be a string"));
    };
    match command.replace((member, name)) {
        None => Ok(()),
        Some((other, _)) => Err(format!("QMP input member '{member}' clashes with '{other}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(value: Value, oob: bool) -> String {
        let malformed = Request::from_value(value, oob).unwrap_err();
        assert_eq!(malformed.error.class(), device_model::monitor::ErrorClass::GenericError);
        malformed.error.to_string()
    }

    #[test]
    fn a_request_is_a_command_with_arguments_and_an_id() {
        let value = json!({"execute": "stop", "arguments": {"a": [1]}, "id": {"x": null}});
        let request = Request::from_value(value, false).unwrap();
        assert_eq!(request.command, "stop");
        assert_eq!(Value::from(request.arguments), json!({"a": [1]}));
        assert_eq!(request.id, Some(json!({"x": null})));
        assert!(!request.out_of_band);
    }

    #[test]
    fn arguments_and_id_may_be_missing_and_an_id_may_be_null() {
        let request = Request::from_value(json!({"execute": "stop"}), false).unwrap();
        assert!(request.arguments.is_empty());
        assert_eq!(request.id, None);
        let request = Request::from_value(json!({"execute": "stop", "id": null}), false).unwrap();
        assert_eq!(request.id, Some(Value::Null));
    }

    #[test]
    fn exec_oob_is_a_member_for_those_who_negotiated_it() {
        let request = Request::from_value(json!({"exec-oob": "stop"}), true).unwrap();
        assert_eq!((request.command.as_str(), request.out_of_band), ("stop", true));
        assert!(!Request::from_value(json!({"execute": "stop"}), true).unwrap().out_of_band);
        let unexpected = "QMP input member 'exec-oob' is unexpected";
        assert_eq!(error(json!({"exec-oob": "stop"}), false), unexpected);
    }

    #[test]
    fn each_mistake_has_its_text() {
        let object = "QMP input must be a JSON object";
        for (value, text) in [
            (json!(null), object),
            (json!([]), object),
            (json!("execute"), object),
            (json!({}), "QMP input lacks member 'execute'"),
            (json!({"arguments": {}, "id": 1}), "QMP input lacks member 'execute'"),
            (json!({"execute": true}), "QMP input member 'execute' must be a string"),
            (
                json!({"execute": "x", "arguments": []}),
                "QMP input member 'arguments' must be an object",
            ),
            (
                json!({"execute": "x", "arguments": null}),
                "QMP input member 'arguments' must be an object",
            ),
            (json!({"execute": "x", "extra": 1}), "QMP input member 'extra' is unexpected"),
        ] {
            assert_eq!(error(value.clone(), false), text);
            assert_eq!(error(value, true), text);
        }
        assert_eq!(
            error(json!({"exec-oob": 1}), true),
            "QMP input member 'exec-oob' must be a string"
        );
        assert_eq!(
            error(json!({"execute": "x", "exec-oob": "x"}), true),
            "QMP input member 'execute' clashes with 'exec-oob'"
        );
    }

    #[test]
    fn an_error_keeps_the_id_and_its_place() {
        let malformed = Request::from_value(json!({"exec-oob": 1, "id": [7]}), true).unwrap_err();
        assert_eq!((malformed.id, malformed.out_of_band), (Some(json!([7])), true));
        let malformed =
            Request::from_value(json!({"exec-oob": "x", "execute": "x"}), true).unwrap_err();
        assert_eq!((malformed.id, malformed.out_of_band), (None, false));
    }

    #[test]
    fn an_error_repeats_no_more_than_an_excerpt() {
        let name = "é".repeat(100_000);
        assert!(error(json!({ name: 1 }), false).len() < 4 * EXCERPT);
    }
}
