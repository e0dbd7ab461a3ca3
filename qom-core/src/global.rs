//! Values that a user sets for all objects of a class, present and future.

use std::{
    collections::BTreeSet,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    class::Class, registry::Registry, request::Origin, suggestion::Suggestion, value::Given,
};

/// One global setting: `driver.property=value`.
#[derive(Debug)]
pub struct Global {
    /// Name of the class.
    pub driver: String,
    /// Name of the property.
    pub property: String,
    /// The value.
    pub value: Given,
    origin: Option<Origin>,
    used: AtomicBool,
}

impl Global {
    /// A setting of `property` for every object whose class is, or descends from, `driver`.
    pub fn new(
        driver: impl Into<String>,
        property: impl Into<String>,
        value: impl Into<Given>,
    ) -> Self {
        Self {
            driver: driver.into(),
            property: property.into(),
            value: value.into(),
            origin: None,
            used: AtomicBool::new(false),
        }
    }

    /// Says who makes the setting, so that messages about it name that one.
    #[must_use]
    pub fn from(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Who makes the setting, if somebody said.
    #[must_use]
    pub const fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }
}

impl Clone for Global {
    /// The same setting, used as far as this one is; what uses either later does not use the other.
    fn clone(&self) -> Self {
        Self {
            driver: self.driver.clone(),
            property: self.property.clone(),
            value: self.value.clone(),
            origin: self.origin.clone(),
            used: AtomicBool::new(self.used.load(Ordering::Relaxed)),
        }
    }
}

impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}={}", self.driver, self.property, self.value)
    }
}

/// The property that was meant, if no object that the setting could be for has one of that name.
fn misspelt(registry: &Registry, global: &Global) -> Suggestion {
    let concerned = registry.classes().filter(|class| class.is_a(&global.driver));
    let properties = concerned.flat_map(|class| class.properties()).map(|(info, _)| info.name);
    let names: BTreeSet<_> = properties.collect();
    if names.contains(&*global.property) {
        return Suggestion::default();
    }
    Suggestion::of(&global.property, names)
}

/// All global settings, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Globals(Vec<Global>);

impl Globals {
    /// The settings given, the first first.
    #[must_use]
    pub fn new(globals: Vec<Global>) -> Self {
        Self(globals)
    }

    /// Those that hold for a class, in the order in which they were made: of two for one property,
    /// the later holds, whichever class it names.
    pub(crate) fn of(&self, class: &Class) -> impl Iterator<Item = (&Global, &Given)> {
        self.0
            .iter()
            .filter(|global| class.is_a(&global.driver))
            // A setting may name a class of which only some descendants have the property.
            .filter(|global| {
                global.driver == class.name() || class.property(&global.property).is_some()
            })
            .map(|global| {
                global.used.store(true, Ordering::Relaxed);
                (global, &global.value)
            })
    }

    /// What is odd about them, once all that was asked for exists.
    #[must_use]
    pub fn warnings(&self, registry: &Registry) -> Vec<String> {
        self.0
            .iter()
            .filter(|global| !global.used.load(Ordering::Relaxed))
            .map(|global| match registry.class(&global.driver) {
                Some(_) => format!("global {global} not used{}", misspelt(registry, global)),
                None => {
                    let classes = registry.classes().map(|class| class.name());
                    let suggestion = Suggestion::of(&global.driver, classes);
                    format!("global {global} has invalid class name{suggestion}")
                }
            })
            .collect()
    }
}
