//! What a living object is configured to be at one moment, for judges.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Access, Obj,
    configuration::{Configuration, Setting, Source, Surroundings},
    plan::LinkTarget,
};

/// The configuration of a living object: as it is, or as it would be after a change.
#[derive(Debug)]
pub(crate) struct Snapshot {
    object: Obj,
    path: String,
    settings: BTreeMap<&'static str, Setting>,
    links: BTreeMap<&'static str, LinkTarget>,
}

impl Snapshot {
    /// The configuration of an object as it is.
    pub(crate) fn of(object: &Obj) -> Self {
        let settings = object
            .class()
            .properties()
            .filter(|(info, _)| info.access != Access::Computed)
            .map(|(info, _)| {
                let (value, source) = (object.read(info), object.source(info.name));
                (info.name, Setting { value, source })
            })
            .collect();
        let links = object
            .links()
            .map(|(name, target)| (name, LinkTarget::Existing(target.clone())))
            .collect();
        let path = object.path().unwrap_or_default();
        Self { object: object.clone(), path, settings, links }
    }

    /// The same with another value of one property.
    pub(crate) fn with(mut self, property: &'static str, value: Value) -> Self {
        self.settings.insert(property, Setting { value, source: Source::Given });
        self
    }

    /// Whether it is one of that object.
    pub(crate) fn is_of(&self, object: &Obj) -> bool {
        self.object.same(object)
    }

    /// As judges see it, with an object that it links to as `change` has it.
    pub(crate) fn configuration<'a>(
        &'a self,
        surroundings: Surroundings<'a>,
        change: Option<&'a Self>,
    ) -> Configuration<'a> {
        Configuration {
            class: self.object.class(),
            path: &self.path,
            settings: &self.settings,
            links: &self.links,
            planned: &[],
            surroundings,
            object: Some(&self.object),
            change,
        }
    }
}
