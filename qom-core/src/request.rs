//! Requests: what somebody asks to be created, and who asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::{ClassType, Container, planner::MOST_OBJECTS, value::Given};

/// Who asked for an object, as messages show it: the option, configuration line or command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// An origin in the words that the asker used, such as `-device isa-serial,id=s0`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who asked for an object, and for those of its properties that somebody else asked for.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    object: Origin,
    properties: BTreeMap<String, Origin>,
}

impl Origins {
    /// One asker for all.
    pub(crate) const fn all(object: Origin) -> Self {
        Self { object, properties: BTreeMap::new() }
    }

    pub(crate) const fn object(&self) -> &Origin {
        &self.object
    }

    /// Says who asked for a property.
    pub(crate) fn set(&mut self, property: &str, origin: Origin) {
        self.properties.insert(property.to_owned(), origin);
    }

    /// Says that whoever asked for the object asked for a property.
    pub(crate) fn clear(&mut self, property: &str) {
        self.properties.remove(property);
    }

    /// Who asked for a property.
    pub(crate) fn of(&self, property: Option<&str>) -> &Origin {
        property.and_then(|property| self.properties.get(property)).unwrap_or(&self.object)
    }
}

/// One object that somebody asks for.
///
/// ```
/// use qom_core::{Origin, Request};
///
/// let request = Request::new("isa-serial", "/machine/peripheral", "serial1")
///     .set("iobase", "0x2f8")
///     .from(Origin::new("-device isa-serial,id=serial1,iobase=0x2f8"));
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) type_name: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) properties: Vec<(String, Given)>,
    pub(crate) origins: Origins,
}

impl Request {
    /// Asks for an object of type `type_name`, to be called `name` in the container at `parent`.
    pub fn new(
        type_name: impl Into<String>,
        parent: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        let type_name = type_name.into();
        let origins = Origins::all(Origin(type_name.clone()));
        Self {
            type_name,
            parent: parent.into(),
            name: name.into(),
            properties: Vec::new(),
            origins,
        }
    }

    /// Gives a property a value. The last of several for one property holds.
    #[must_use]
    pub fn set(mut self, property: impl Into<String>, value: impl Into<Given>) -> Self {
        self.properties.push((property.into(), value.into()));
        self
    }

    /// As [`Request::set`], for another asker than the object's: messages about the property, and
    /// about the children that it is the reason for, name that one.
    #[must_use]
    pub fn set_by(
        mut self,
        origin: Origin,
        property: impl Into<String>,
        value: impl Into<Given>,
    ) -> Self {
        let property = property.into();
        self.origins.properties.insert(property.clone(), origin);
        self.set(property, value)
    }

    /// Whether the object would stand at that absolute path.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        fn parts(path: &str) -> impl Iterator<Item = &str> {
            path.split('/').filter(|part| !part.is_empty())
        }
        parts(&self.parent).chain([&*self.name]).eq(parts(path))
    }

    /// Says who asks. If nobody says, messages name the type.
    #[must_use]
    pub fn from(mut self, origin: Origin) -> Self {
        self.origins.object = origin;
        self
    }
}

/// A child that a class announces for one configuration.
#[derive(Clone, Debug)]
pub struct ChildRequest {
    pub(crate) type_name: String,
    pub(crate) name: String,
    pub(crate) properties: Vec<(String, Given)>,
    /// The property of its parent for which it is announced.
    pub(crate) because_of: Option<&'static str>,
}

impl ChildRequest {
    /// Says for which property of its parent the child is announced, so that messages about it name
    /// whoever asked for that.
    pub fn because_of(&mut self, property: &'static str) -> &mut Self {
        self.because_of = Some(property);
        self
    }

    /// Gives a property of the child a value.
    pub fn set(&mut self, property: &str, value: impl Into<Given>) -> &mut Self {
        self.properties.push((property.to_owned(), value.into()));
        self
    }

    /// Points a link of the child to the object at that path, which must precede it in the plan or
    /// exist already. A `null` path leaves the link empty.
    pub fn link(&mut self, property: &str, path: Option<String>) -> &mut Self {
        self.set(property, path.map_or(Value::Null, Value::String))
    }
}

/// The children that a class announces, in the order of their creation.
#[derive(Debug)]
pub struct Children {
    path: String,
    requests: Vec<ChildRequest>,
    containers: BTreeSet<String>,
    /// Whether more were announced than any plan can hold.
    too_many: bool,
}

impl Children {
    pub(crate) fn of(path: String) -> Self {
        Self { path, requests: Vec::new(), containers: BTreeSet::new(), too_many: false }
    }

    /// What was announced; none if no plan can hold it.
    pub(crate) fn into_requests(self) -> Option<Vec<ChildRequest>> {
        (!self.too_many).then_some(self.requests)
    }

    /// Announces a child by its name and the name of its type, which any linked crate may define.
    /// A name with slashes stands in containers, which are announced with it.
    pub fn add(&mut self, name: impl Into<String>, type_name: &str) -> &mut ChildRequest {
        let name = name.into();
        for (slash, _) in name.match_indices('/') {
            let container = &name[..slash];
            if self.containers.insert(container.to_owned()) {
                self.push(container.to_owned(), Container::INFO.name);
            }
        }
        if type_name == Container::INFO.name {
            self.containers.insert(name.clone());
        }
        self.push(name, type_name)
    }

    fn push(&mut self, name: String, type_name: &str) -> &mut ChildRequest {
        // A number that a user gave may be behind it: the memory for it is bounded here.
        if self.requests.len() >= MOST_OBJECTS {
            self.too_many = true;
            self.requests.clear();
            self.containers.clear();
        }
        let type_name = type_name.to_owned();
        self.requests.push(ChildRequest {
            type_name,
            name,
            properties: Vec::new(),
            because_of: None,
        });
        let last = self.requests.len() - 1;
        &mut self.requests[last]
    }

    /// Announces an empty container, for what users add later.
    pub fn add_container(&mut self, name: &str) {
        if !self.containers.contains(name) {
            self.add(name, Container::INFO.name);
        }
    }

    /// The path that a child of this name will have, for links between siblings.
    #[must_use]
    pub fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}
