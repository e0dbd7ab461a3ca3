//! Network backends that users make for network cards to use, and where they stand.

use std::sync::Arc;

use device_model::{
    netdev::Netdev,
    qom_core::{Class, ClassType, Given, Registry, Request, Suggestion, Value},
};
use thiserror::Error;

use super::prefixed;
use crate::options::keyval::{MAX_KEY_DEPTH, OptionArgs};

/// Where they stand.
pub const NETDEVS: &str = "/netdevs";
/// Before the names of their types, which users leave out.
pub const TYPE_PREFIX: &str = "netdev-";

/// Begins the name of a property's type whose values are lists.
const LIST: &str = "list<";

/// No linked crate has a network backend of that name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Parameter 'type' does not accept value '{name}'{suggestion}")]
pub struct NetdevTypeError {
    /// What was asked for.
    pub name: String,
    /// What may have been meant.
    pub suggestion: Suggestion,
}

/// The type that users call `name`.
///
/// # Errors
/// If there is none.
pub fn backend<'a>(registry: &'a Registry, name: &str) -> Result<&'a Arc<Class>, NetdevTypeError> {
    let class = <dyn Netdev as ClassType>::INFO.name;
    prefixed::find(registry, class, TYPE_PREFIX, name)
        .map_err(|suggestion| NetdevTypeError { name: name.to_owned(), suggestion })
}

/// Asks for a network backend of that id.
pub fn with_id(name: &str, id: &str) -> Request {
    Request::new(format!("{TYPE_PREFIX}{name}"), NETDEVS, id)
}

/// What users give, as properties of a class: the members of an object are properties of their own,
/// `{"addr": {"type": "unix"}}` being `addr.type=unix`, and what is given several times for a
/// property whose values are lists makes a list.
pub fn properties(
    class: &Class,
    given: impl IntoIterator<Item = (String, Given)>,
) -> Vec<(String, Given)> {
    let mut properties: Vec<(String, Given)> = Vec::new();
    for (name, value) in given {
        flatten(name, value, MAX_KEY_DEPTH, &mut |name, value| {
            let is_list = || {
                let property = class.property(&name);
                property.is_some_and(|(info, _)| (info.value_type)().name.starts_with(LIST))
            };
            match (value, properties.iter_mut().find(|(known, _)| *known == name)) {
                (Given::Text(text), known) if is_list() => match known {
                    Some((_, Given::Json(Value::Array(list)))) => list.push(Value::from(text)),
                    _ => properties.push((name, Given::Json(vec![text].into()))),
                },
                (value, Some((_, known))) => *known = value,
                (value, None) => properties.push((name, value)),
            }
        });
    }
    properties
}

fn flatten(name: String, value: Given, depth: usize, found: &mut impl FnMut(String, Given)) {
    match value {
        Given::Json(Value::Object(members)) if depth > 0 => {
            for (member, value) in members {
                flatten(format!("{name}.{member}"), Given::Json(value), depth - 1, found);
            }
        }
        value => found(name, value),
    }
}

/// All that an option gives but the id, what was given several times included. Of what is no list
/// the last counts.
pub fn all_given(arguments: &OptionArgs) -> Vec<(String, Given)> {
    let earlier = arguments.overridden().iter();
    earlier.chain(&arguments.entries).filter(|(key, _)| key != "id").cloned().collect()
}

#[cfg(test)]
mod tests {
    use device_model::{
        prelude::*,
        qom_core::{BoxedError, ValueError, ValueType},
    };
    use serde_json::json;

    use super::*;
    use crate::options::keyval::{Syntax, Words};

    /// Several of a kind.
    #[derive(Clone, Default)]
    struct Doors(Vec<Value>);

    impl PropertyType for Doors {
        fn value_type() -> ValueType {
            ValueType::plain("list<str>")
        }

        fn from_text(text: &str) -> Result<Self, ValueError> {
            Ok(Self(vec![text.into()]))
        }

        fn from_json(value: &Value) -> Result<Self, ValueError> {
            Ok(Self(value.as_array().cloned().unwrap_or_default()))
        }

        fn to_json(&self) -> Value {
            Value::from(self.0.clone())
        }
    }

    /// Network of two rooms
    #[qom_type(secure, name = "netdev-rooms", parent = Netdev)]
    struct Rooms {
        /// Doors
        #[property]
        door: Doors,
        /// Where it is
        #[property(name = "at.floor")]
        floor: u8,
    }

    impl Netdev for Rooms {
        fn open(&self, _: &Obj, _: &Platform) -> Result<(), BoxedError> {
            Ok(())
        }

        fn close(&self) {}

        fn connect(&self, _: PeerHandle) -> bool {
            false
        }

        fn disconnect(&self) {}

        fn send(&self, _: u16, _: &[std::io::IoSlice<'_>]) -> Sending {
            Sending::Taken
        }

        fn accept_frames(&self, _: u16) {}

        fn is_link_up(&self) -> bool {
            false
        }

        fn counters(&self) -> device_model::netdev::Counters {
            device_model::netdev::Counters::default()
        }

        fn info(&self) -> String {
            "rooms".to_owned()
        }
    }

    fn read(text: &str) -> Vec<(String, Given)> {
        let syntax = Syntax { implied_key: Some("type"), words: Words::Flags, json: true };
        let arguments = OptionArgs::parse(text, syntax).unwrap();
        let registry = Registry::global().unwrap();
        properties(backend(registry, "rooms").unwrap(), all_given(&arguments))
    }

    #[test]
    fn members_of_objects_are_properties_of_their_own() {
        assert_eq!(
            read(r#"{"type":"rooms","id":"r","at":{"floor":3,"deep":{"er":[1]}}}"#),
            [
                ("at.deep.er".to_owned(), Given::Json(json!([1]))),
                ("at.floor".to_owned(), Given::Json(json!(3))),
            ]
        );
        assert_eq!(read("rooms,id=r,at.floor=3"), [("at.floor".to_owned(), Given::from("3"))]);
    }

    #[test]
    fn what_is_given_several_times_makes_a_list_where_there_can_be_one() {
        let doors = |doors| ("door".to_owned(), Given::Json(doors));
        assert_eq!(read("rooms,id=r,door=a,door=b,door=c"), [doors(json!(["a", "b", "c"]))]);
        assert_eq!(read("rooms,door=a"), [doors(json!(["a"]))]);
        assert_eq!(read(r#"{"type":"rooms","door":["a"]}"#), [doors(json!(["a"]))]);
        let floors = read("rooms,at.floor=1,at.floor=2");
        assert_eq!(floors, [("at.floor".to_owned(), Given::from("2"))]);
    }

    #[test]
    fn an_unknown_type_is_told_with_what_may_have_been_meant() {
        let error = backend(Registry::global().unwrap(), "rooma").unwrap_err();
        let text = "Parameter 'type' does not accept value 'rooma'; did you mean 'rooms'?";
        assert_eq!(error.to_string(), text);
    }
}
