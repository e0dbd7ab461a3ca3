//! The part of every object that the framework owns, and the values that an object starts with.

use std::{collections::BTreeMap, fmt, sync::Arc};

use parking_lot::RwLock;
use serde_json::Value;
use thiserror::Error;

use crate::{
    Link, Obj, PropertyType, Storage, TreeId,
    class::Class,
    permit::PermitError,
    value::{Given, ValueError},
};

/// What the macro adds to each struct: which class and tree an object belongs to, and the
/// properties that its classes declared for it. Only a redeemed permit makes one, so that no
/// struct literal outside the framework can make an object.
pub struct Instance {
    class: Arc<Class>,
    tree: TreeId,
    class_values: Vec<ClassValue>,
}

struct ClassValue {
    name: &'static str,
    value: RwLock<Value>,
    link: Option<Obj>,
}

impl Instance {
    /// The class of the object.
    #[must_use]
    pub fn class(&self) -> &Arc<Class> {
        &self.class
    }

    /// The tree that it was made for.
    #[must_use]
    pub fn tree(&self) -> TreeId {
        self.tree
    }

    /// The value of a property that a class declared; the trait's getter calls this.
    ///
    /// Every declared property is there, with a value that its own type made, so the fallback to
    /// `T`'s reading of `null` or nothing is not reached by a type that passed the registry.
    #[doc(hidden)]
    pub fn class_value<T: PropertyType + Default>(&self, name: &str) -> T {
        self.raw(name).and_then(|value| T::from_json(&value).ok()).unwrap_or_default()
    }

    /// The target of a link that a class declared.
    #[doc(hidden)]
    pub fn class_link<C: ?Sized + 'static>(&self, name: &str) -> Option<Arc<C>> {
        self.slot(name)?.link.as_ref()?.cast::<C>()
    }

    pub(crate) fn raw(&self, name: &str) -> Option<Value> {
        let slot = self.slot(name)?;
        Some(slot.value.read().clone())
    }

    pub(crate) fn set_raw(&self, name: &str, value: Value) -> bool {
        let Some(slot) = self.slot(name) else {
            return false;
        };
        *slot.value.write() = value;
        true
    }

    fn slot(&self, name: &str) -> Option<&ClassValue> {
        self.class_values.iter().find(|slot| slot.name == name)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("class", &self.class.name()).finish_non_exhaustive()
    }
}

/// Why an object could not be constructed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConstructError {
    /// The permit was not for this construction.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// A value that passed its check was refused after all.
    #[error("Parameter '{property}' {source}")]
    Value {
        /// Name of the property.
        property: &'static str,
        /// What was wrong.
        source: ValueError,
    },
    /// A link's target is not of the link's class.
    #[error("Invalid parameter type for '{property}', expected: {expected}, got: {found}")]
    LinkClass {
        /// Name of the property.
        property: &'static str,
        /// The class that the link must point to.
        expected: &'static str,
        /// The class of the target.
        found: &'static str,
    },
}

/// The values and link targets of one object that is about to be constructed.
#[derive(Debug)]
pub struct Construction {
    class: Arc<Class>,
    tree: TreeId,
    values: BTreeMap<&'static str, Value>,
    links: BTreeMap<&'static str, Obj>,
}

impl Construction {
    pub(crate) fn new(
        class: Arc<Class>,
        tree: TreeId,
        values: BTreeMap<&'static str, Value>,
        links: BTreeMap<&'static str, Obj>,
    ) -> Self {
        Self { class, tree, values, links }
    }

    pub(crate) const fn tree(&self) -> TreeId {
        self.tree
    }

    pub(crate) fn instance(&self) -> Instance {
        let class_values = self
            .class
            .properties()
            .filter(|(info, _)| matches!(info.storage, Storage::Class))
            .map(|(info, _)| ClassValue {
                name: info.name,
                value: RwLock::new(
                    self.values.get(info.name).cloned().unwrap_or_else(|| info.default_value()),
                ),
                link: self.links.get(info.name).cloned(),
            })
            .collect();
        Instance { class: Arc::clone(&self.class), tree: self.tree, class_values }
    }

    /// The value for a field.
    ///
    /// # Errors
    /// If the value is not one of type `T`.
    #[doc(hidden)]
    pub fn value<T: PropertyType>(&mut self, property: &'static str) -> Result<T, ConstructError> {
        let value = self.values.get(property).cloned().unwrap_or(Value::Null);
        T::from_given(&Given::Json(value))
            .map_err(|source| ConstructError::Value { property, source })
    }

    /// The link for a field; empty if the user linked nothing.
    ///
    /// # Errors
    /// If the target is not a `C`.
    #[doc(hidden)]
    pub fn link<C: ?Sized + crate::ClassType>(
        &mut self,
        property: &'static str,
    ) -> Result<Link<C>, ConstructError> {
        let Some(target) = self.links.get(property) else {
            return Ok(Link::default());
        };
        Link::to(target.clone()).ok_or_else(|| ConstructError::LinkClass {
            property,
            expected: C::INFO.name,
            found: target.class().name(),
        })
    }
}
