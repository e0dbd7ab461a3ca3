//! The effective configuration of an object that is planned or alive, as judges and planners see it.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use crate::{
    Obj, PropertyType,
    class::Class,
    error::PlanError,
    path,
    plan::{LinkTarget, Planned},
    registry::Registry,
    snapshot::Snapshot,
};

/// Where the value of a property came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The property's declaration.
    Default,
    /// A global setting for its class.
    Global,
    /// Whoever asked for the object.
    Given,
}

/// The value of a property and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) source: Source,
}

/// What surrounds all objects of a tree.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) context: Option<&'a Context>,
}

/// What a VM gives its tree for judges and planners to ask.
pub(crate) type Context = dyn Any + Send + Sync;

/// All values of one object, defaults and global settings included, and what it links to.
#[derive(Clone, Copy)]
pub struct Configuration<'a> {
    pub(crate) class: &'a Class,
    pub(crate) path: &'a str,
    pub(crate) settings: &'a BTreeMap<&'static str, Setting>,
    pub(crate) links: &'a BTreeMap<&'static str, LinkTarget>,
    pub(crate) planned: &'a [Planned],
    pub(crate) surroundings: Surroundings<'a>,
    /// The object, if it lives.
    pub(crate) object: Option<&'a Obj>,
    /// What a living object would be after the change that is being judged.
    pub(crate) change: Option<&'a Snapshot>,
}

impl<'a> Configuration<'a> {
    /// The object's class.
    #[must_use]
    pub const fn class(&self) -> &'a Class {
        self.class
    }

    /// All types of the program, for a class that chooses among them.
    #[must_use]
    pub const fn registry(&self) -> &'a Registry {
        self.surroundings.registry
    }

    /// What the tree was given for judges and planners to ask, if it is a `T`. See
    /// [`Tree::with_context`](crate::Tree::with_context).
    #[must_use]
    pub fn context<T: Any>(&self) -> Option<&'a T> {
        self.surroundings.context?.downcast_ref()
    }

    /// The object itself, once it has taken up its work: it may hold what its properties only name,
    /// and is judged by that.
    #[must_use]
    pub const fn object(&self) -> Option<&'a Obj> {
        self.object
    }

    /// The object's canonical path, as it is or will be.
    #[must_use]
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// The value of a property.
    ///
    /// # Errors
    /// If the class has no such property, or its values are of another type.
    pub fn get<T: PropertyType>(&self, property: &str) -> Result<T, PlanError> {
        let setting = self.setting(property)?;
        typed(self.class, property, &setting.value)
    }

    /// Where the value of a property came from.
    ///
    /// # Errors
    /// If the class has no such property.
    pub fn source(&self, property: &str) -> Result<Source, PlanError> {
        self.setting(property).map(|setting| setting.source)
    }

    /// What a link points to; none if it is empty.
    ///
    /// # Errors
    /// If the class has no such property.
    pub fn linked(&self, property: &str) -> Result<Option<Linked<'a>>, PlanError> {
        self.setting(property)?;
        Ok(self.links.get(property).and_then(|target| match target {
            LinkTarget::Existing(object) => Some(match self.change {
                Some(after) if after.is_of(object) => {
                    Linked::Planned(after.configuration(self.surroundings, None))
                }
                _ => Linked::Existing(object),
            }),
            LinkTarget::Planned(position) => {
                let planned = self.planned.get(*position)?;
                Some(Linked::Planned(planned.configuration(self.planned, self.surroundings)))
            }
        }))
    }

    /// Everybody else who links to what this property links to: of the same plan, wherever in it, and
    /// alive. Sorted by path; none if the link is empty.
    ///
    /// Whoever judges by them is asked again when another comes to share the link: see
    /// [`Plan::judge`](crate::Plan::judge).
    ///
    /// # Errors
    /// If the class has no such property.
    pub fn sharers(&self, property: &str) -> Result<Vec<Sharer>, PlanError> {
        self.setting(property)?;
        let Some(target) = self.links.get(property) else { return Ok(Vec::new()) };
        let planned = self.planned.iter().filter(|planned| planned.links_to(target));
        let mut sharers: Vec<_> = planned
            .map(|planned| Sharer {
                class: Arc::clone(planned.class()),
                path: planned.path().to_owned(),
            })
            .collect();
        if let LinkTarget::Existing(target) = target {
            let living = path::users(target).into_iter().map(|user| Sharer {
                class: Arc::clone(user.class()),
                path: user.path().unwrap_or_default(),
            });
            sharers.extend(living);
        }
        sharers.retain(|sharer| sharer.path != self.path);
        sharers.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sharers)
    }

    fn setting(&self, property: &str) -> Result<&'a Setting, PlanError> {
        self.settings.get(property).ok_or_else(|| PlanError::unknown_property(self.class, property))
    }
}

fn typed<T: PropertyType>(class: &Class, property: &str, value: &Value) -> Result<T, PlanError> {
    T::from_json(value).map_err(|source| PlanError::Value {
        property: class.property(property).map_or_else(String::new, |(info, _)| info.name.into()),
        source: Box::new(source),
    })
}

impl fmt::Debug for Configuration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("class", &self.class)
            .field("path", &self.path)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// An object that links to the same as another.
#[derive(Clone, Debug)]
pub struct Sharer {
    class: Arc<Class>,
    path: String,
}

impl Sharer {
    /// Its class.
    #[must_use]
    pub const fn class(&self) -> &Arc<Class> {
        &self.class
    }

    /// Its canonical path, as it is or will be.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// An object that a link points to: still planned, or alive.
#[derive(Clone, Debug)]
pub enum Linked<'a> {
    /// It precedes the linking object in the same plan, or this is what it would be after a change
    /// that is being judged.
    Planned(Configuration<'a>),
    /// It exists.
    Existing(&'a Obj),
}

impl Linked<'_> {
    /// The object's class.
    #[must_use]
    pub fn class(&self) -> &Class {
        match self {
            Self::Planned(configuration) => configuration.class,
            Self::Existing(object) => object.class(),
        }
    }

    /// The object's canonical path; empty if it has left the tree.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Planned(configuration) => configuration.path.to_owned(),
            Self::Existing(object) => object.path().unwrap_or_default(),
        }
    }

    /// The value of one of its properties.
    ///
    /// # Errors
    /// If its class has no such property, or its values are of another type.
    pub fn get<T: PropertyType>(&self, property: &str) -> Result<T, PlanError> {
        match self {
            Self::Planned(configuration) => configuration.get(property),
            Self::Existing(object) => {
                let class = object.class();
                let value = object
                    .get(property)
                    .ok_or_else(|| PlanError::unknown_property(class, property))?;
                typed(class, property, &value)
            }
        }
    }
}
