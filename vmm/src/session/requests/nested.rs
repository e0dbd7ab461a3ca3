//! Dotted keys of an option, as properties that have a structure.

use device_model::qom_core::{Given, Request};
use serde_json::Value;

use super::{super::error::StartError, origin_of, refuse};
use crate::options::{
    command_line::Entry,
    keyval::OptionArgs,
    nesting::{Node, nest},
};

/// The properties among the keys of an option. Those with dots make up one property, which is given
/// as JSON text: the words in it are for the property's type to read.
pub(super) fn with_nested_arguments(
    request: Request,
    entry: &Entry,
    arguments: &OptionArgs,
) -> Result<Request, StartError> {
    let nodes = nest(&arguments.entries).map_err(|problem| refuse(entry, problem.into()))?;
    let request =
        nodes.into_iter().filter(|(key, _)| key != "id").fold(request, |request, (name, node)| {
            let (key, given) = match node {
                Node::Value(given) => (&name, given),
                node => {
                    let below = |key: &str| {
                        key.strip_prefix(&*name).is_some_and(|rest| rest.starts_with('.'))
                    };
                    let mut keys = arguments.entries.iter().map(|(key, _)| key);
                    let key = keys.find(|key| below(key)).unwrap_or(&name);
                    (key, Given::Text(json(node).to_string()))
                }
            };
            let origin = origin_of(entry, key);
            request.set_by(origin, name.clone(), given)
        });
    Ok(request)
}

fn json(node: Node) -> Value {
    match node {
        Node::Value(Given::Text(text)) => text.into(),
        Node::Value(Given::Json(value)) => value,
        Node::Object(members) => {
            members.into_iter().map(|(name, node)| (name, json(node))).collect()
        }
        Node::List(elements) => elements.into_iter().map(json).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_keep_their_order_and_their_words() {
        let text = |key: &str, value: &str| (key.to_owned(), Given::from(value));
        let entries = [text("a.b", "1"), text("a.c.0", "x"), text("a.c.1", "y"), text("d", "2")];
        let mut nodes = nest(&entries).unwrap().into_iter();
        let (name, node) = nodes.next().unwrap();
        assert_eq!((&*name, json(node)), ("a", serde_json::json!({"b": "1", "c": ["x", "y"]})));
    }
}
