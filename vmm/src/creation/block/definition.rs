//! From the options of a node to a request: references to other nodes become links, and nodes that
//! are described in place what their parent's class announces.

use device_model::{
    block::{LINK_SUFFIX, OPTIONS_SUFFIX, TYPE_PREFIX, slots},
    qom_core::{Access, Class, Given, Origin, Registry, Request, Suggestion, Value},
};
use serde_json::{Map, json};

use super::{BLOCKDEVS, BlockdevError, NodeNames, driver};
use crate::options::{
    json::MAX_DEPTH,
    nesting::{Node, nest},
};

/// The keys that say what a node is, rather than how.
const DRIVER: &str = "driver";
const NODE_NAME: &str = "node-name";

/// Where a definition stands that is made into a request.
#[derive(Debug)]
pub struct Place<'a> {
    /// The types that there are.
    pub registry: &'a Registry,
    /// The nodes that there are.
    pub names: &'a mut NodeNames,
}

/// What a node is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    members: Vec<(String, Node)>,
}

/// A property, and the key for which it is set.
type Property = (String, String, Given);

impl Definition {
    /// The keys of an option or command, dotted or in JSON.
    ///
    /// # Errors
    /// If they do not describe one structure.
    pub fn new(entries: &[(String, Given)]) -> Result<Self, BlockdevError> {
        Ok(Self { members: nest(entries)? })
    }

    /// Of keys that have a structure already.
    pub(super) const fn of(members: Vec<(String, Node)>) -> Self {
        Self { members }
    }

    /// The request for such a node, and its name. `origin` tells who gives a key.
    ///
    /// # Errors
    /// If the definition is wrong. Names of nodes within it may have been taken then.
    pub fn request(
        self,
        place: Place<'_>,
        origin: impl Fn(&str) -> Origin,
    ) -> Result<(Request, String), BlockdevError> {
        let Place { registry, names } = place;
        let mut assembly = Assembly { registry, names };
        let mut members = self.members;
        let class = assembly.class(&mut members, "")?;
        let name = take_text(&mut members, NODE_NAME, "")?.ok_or(BlockdevError::Nameless)?;
        let path = format!("{BLOCKDEVS}/{name}");
        assembly.names.claim(&name, &path)?;
        let level = Level { class, prefix: "", path: &path, depth: 1 };
        let properties = assembly.properties(level, members)?;
        let request =
            Request::new(class.name(), BLOCKDEVS, &*name).set(NODE_NAME, Value::from(&*name));
        let request = properties.into_iter().fold(request, |request, (key, property, value)| {
            request.set_by(origin(&key), property, value)
        });
        Ok((request, name))
    }
}

/// Where in a definition the keys of one node are.
#[derive(Clone, Copy)]
struct Level<'a> {
    /// The class of the node.
    class: &'a Class,
    /// What comes before each of its keys in messages.
    prefix: &'a str,
    /// The path that it will have.
    path: &'a str,
    depth: usize,
}

struct Assembly<'a> {
    registry: &'a Registry,
    names: &'a mut NodeNames,
}

impl<'a> Assembly<'a> {
    /// The class of a node, by its driver, which is taken out of the keys.
    fn class(
        &self,
        members: &mut Vec<(String, Node)>,
        prefix: &str,
    ) -> Result<&'a Class, BlockdevError> {
        let key = format!("{prefix}{DRIVER}");
        let name = take_text(members, DRIVER, prefix)?
            .ok_or_else(|| BlockdevError::Missing { key: key.clone() })?;
        Ok(driver(self.registry, &key, &name)?)
    }

    /// The properties that the keys of a node stand for.
    fn properties(
        &mut self,
        level: Level<'_>,
        members: Vec<(String, Node)>,
    ) -> Result<Vec<Property>, BlockdevError> {
        let mut properties = Vec::new();
        for (name, node) in members {
            self.property(level, name, node, &mut properties)?;
        }
        Ok(properties)
    }

    /// What one key stands for.
    fn property(
        &mut self,
        level: Level<'_>,
        name: String,
        node: Node,
        properties: &mut Vec<Property>,
    ) -> Result<(), BlockdevError> {
        let Level { class, prefix, path, depth } = level;
        let key = format!("{prefix}{name}");
        if depth > MAX_DEPTH {
            return Err(BlockdevError::Depth { key });
        }
        let node = opened(node);
        if slots(class).any(|slot| slot == name) {
            let (suffix, value) = match node {
                Node::Value(given) => {
                    let expected = "the name of a node, or an object that describes one";
                    let wrong = || BlockdevError::Kind { key: key.clone(), expected };
                    let target = self.names.path(given.as_text().ok_or_else(wrong)?)?;
                    (LINK_SUFFIX, Value::from(target))
                }
                Node::Object(members) => {
                    let path = format!("{path}/{name}");
                    (OPTIONS_SUFFIX, self.in_place(members, &key, &path, depth)?)
                }
                Node::List(_) => {
                    return Err(BlockdevError::Kind { key, expected: "a node and not a list" });
                }
            };
            properties.push((key, format!("{name}{suffix}"), Given::Json(value)));
            return Ok(());
        }
        if is_settable(class, &name) {
            let value = match node {
                Node::Value(given) => given,
                structure => Given::Json(json_of(structure, &key, depth)?),
            };
            properties.push((key, name, value));
            return Ok(());
        }
        match node {
            // `cache.direct` is one property, whether it is written so or as an object.
            Node::Object(members) if !members.is_empty() && begins_a_name(class, &name) => {
                for (below, node) in members {
                    let name = format!("{name}.{below}");
                    let level = Level { depth: depth + 1, ..level };
                    self.property(level, name, node, properties)?;
                }
                Ok(())
            }
            _ => Err(unexpected(class, key, &name)),
        }
    }

    /// A node that is described in place, as its parent's property has it.
    fn in_place(
        &mut self,
        mut members: Vec<(String, Node)>,
        key: &str,
        path: &str,
        depth: usize,
    ) -> Result<Value, BlockdevError> {
        let prefix = format!("{key}.");
        let class = self.class(&mut members, &prefix)?;
        let name = match take_text(&mut members, NODE_NAME, &prefix)? {
            Some(name) => {
                self.names.claim(&name, path)?;
                name
            }
            None => self.names.generate(path),
        };
        let mut values = Map::new();
        values.insert(NODE_NAME.to_owned(), Value::from(name));
        let level = Level { class, prefix: &prefix, path, depth: depth + 1 };
        for (key, name, given) in self.properties(level, members)? {
            let (info, _) =
                class.property(&name).ok_or_else(|| unexpected(class, key.clone(), &name))?;
            // In its canonical form, as it stands in an object of others now.
            let value = match info.link {
                Some(_) => given.as_text().map(Value::from).unwrap_or_default(),
                None => info.parse(&given).map_err(|error| BlockdevError::Value { key, error })?,
            };
            values.insert(name, value);
        }
        Ok(json!({"type": class.name(), "properties": values}))
    }
}

/// Whether users may set a property of that name: not what stands for a child, or is set for them.
fn is_settable(class: &Class, name: &str) -> bool {
    let of_slot = |suffix| {
        name.strip_suffix(suffix).is_some_and(|slot| slots(class).any(|known| known == slot))
    };
    name != NODE_NAME
        && !of_slot(LINK_SUFFIX)
        && !of_slot(OPTIONS_SUFFIX)
        && class.property(name).is_some_and(|(info, _)| info.access != Access::Computed)
}

/// Whether properties have names that go on with a dot after `name`.
fn begins_a_name(class: &Class, name: &str) -> bool {
    class
        .properties()
        .any(|(info, _)| info.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn unexpected(class: &Class, key: String, name: &str) -> BlockdevError {
    let known = class.properties().map(|(info, _)| info.name);
    let known = known.filter(|name| is_settable(class, name)).chain(slots(class));
    BlockdevError::Unexpected { key, suggestion: Suggestion::of(name, known) }
}

/// Takes the text out that a key has.
fn take_text(
    members: &mut Vec<(String, Node)>,
    key: &str,
    prefix: &str,
) -> Result<Option<String>, BlockdevError> {
    let Some(at) = members.iter().position(|(name, _)| name == key) else { return Ok(None) };
    match members.remove(at).1 {
        Node::Value(Given::Text(text) | Given::Json(Value::String(text))) => Ok(Some(text)),
        _ => Err(BlockdevError::Kind { key: format!("{prefix}{key}"), expected: "a string" }),
    }
}

/// The structure of a JSON value, one level of it.
fn opened(node: Node) -> Node {
    match node {
        Node::Value(Given::Json(Value::Object(members))) => {
            let node = |(key, value)| (key, Node::Value(Given::Json(value)));
            Node::Object(members.into_iter().map(node).collect())
        }
        Node::Value(Given::Json(Value::Array(elements))) => {
            Node::List(elements.into_iter().map(|it| Node::Value(Given::Json(it))).collect())
        }
        other => other,
    }
}

/// A structure for a property that has one.
fn json_of(node: Node, key: &str, depth: usize) -> Result<Value, BlockdevError> {
    if depth > MAX_DEPTH {
        return Err(BlockdevError::Depth { key: key.to_owned() });
    }
    Ok(match node {
        Node::Value(Given::Text(text)) => Value::String(text),
        Node::Value(Given::Json(value)) => value,
        Node::List(elements) => {
            let elements = elements.into_iter().map(|node| json_of(node, key, depth + 1));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        Node::Object(members) => {
            let mut values = Map::new();
            for (name, node) in members {
                values.insert(name, json_of(node, key, depth + 1)?);
            }
            Value::Object(values)
        }
    })
}

/// The driver's name, as users write it.
pub(super) fn driver_name(class: &Class) -> &str {
    class.name().strip_prefix(TYPE_PREFIX).unwrap_or(class.name())
}

#[cfg(test)]
mod tests;
