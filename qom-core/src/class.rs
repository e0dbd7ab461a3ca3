//! A class as the registry resolved it: its ancestors, boundaries, properties and casts.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{
    Boundaries, SecurityStatus, Statement,
    cast::CastTable,
    property::PropertyInfo,
    suggestion::Suggestion,
    type_info::{Implementation, TypeInfo, TypeKind},
};

/// A registered type together with what it has from its ancestors.
pub struct Class {
    info: &'static TypeInfo,
    parent: Option<Arc<Class>>,
    interfaces: Vec<Arc<Class>>,
    boundaries: Boundaries,
    /// By name; each with the type that declared it.
    properties: BTreeMap<&'static str, (&'static PropertyInfo, &'static TypeInfo)>,
    casts: OnceLock<CastTable>,
}

impl Class {
    /// Resolves a type whose parent and interfaces are resolved.
    pub(crate) fn new(
        info: &'static TypeInfo,
        parent: Option<Arc<Self>>,
        interfaces: Vec<Arc<Self>>,
    ) -> Self {
        let mut boundaries = info.boundaries;
        let mut properties = BTreeMap::new();
        for ancestor in parent.iter().chain(&interfaces) {
            boundaries = boundaries.union(ancestor.boundaries);
            properties.extend(ancestor.properties.iter().map(|(name, entry)| (*name, *entry)));
        }
        properties.extend(info.properties.iter().map(|property| (property.name, (property, info))));
        Self { info, parent, interfaces, boundaries, properties, casts: OnceLock::new() }
    }

    /// The record that its author wrote.
    #[must_use]
    pub const fn info(&self) -> &'static TypeInfo {
        self.info
    }

    /// The type's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.info.name
    }

    /// What its author says of its security.
    #[must_use]
    pub const fn status(&self) -> SecurityStatus {
        self.info.status
    }

    /// Every boundary it stands at: its own, its ancestors' and its interfaces'.
    #[must_use]
    pub const fn boundaries(&self) -> Boundaries {
        self.boundaries
    }

    /// Who makes its statements, and where.
    #[must_use]
    pub const fn statement(&self) -> Statement {
        self.info.statement
    }

    /// The class that it descends from.
    #[must_use]
    pub const fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// The chain from the class itself up to its root.
    pub fn ancestry(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |class| class.parent.as_deref())
    }

    /// The interfaces that it adds to those of its ancestors.
    #[must_use]
    pub fn interfaces(&self) -> &[Arc<Self>] {
        &self.interfaces
    }

    /// Whether it is, descends from, or offers the class or interface of that name.
    #[must_use]
    pub fn is_a(&self, name: &str) -> bool {
        self.ancestry().any(|class| {
            class.name() == name || class.interfaces.iter().any(|interface| interface.is_a(name))
        })
    }

    /// The heading under which help lists it: its own or the nearest ancestor's.
    #[must_use]
    pub fn category(&self) -> Option<&'static str> {
        self.ancestry().find_map(|class| class.info.category)
    }

    /// The class data of type `T` that it or the nearest ancestor carries.
    #[must_use]
    pub fn data<T: Any>(&self) -> Option<&'static T> {
        self.ancestry().flat_map(|class| class.info.class_data).find_map(|data| {
            let data: &'static dyn Any = *data;
            data.downcast_ref::<T>()
        })
    }

    /// All its properties, sorted by name, each with the type that declared it.
    pub fn properties(
        &self,
    ) -> impl Iterator<Item = (&'static PropertyInfo, &'static TypeInfo)> + '_ {
        self.properties.values().copied()
    }

    /// The property of that name, with the type that declared it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<(&'static PropertyInfo, &'static TypeInfo)> {
        self.properties.get(name).copied()
    }

    /// The property name most like one that does not exist.
    #[must_use]
    pub fn suggest_property(&self, name: &str) -> Suggestion {
        Suggestion::of(name, self.properties.keys().copied())
    }

    /// Whether it has no instances of its own.
    #[must_use]
    pub const fn is_abstract(&self) -> bool {
        !matches!(self.info.kind, TypeKind::Concrete(_))
    }

    /// The code behind it, if it is concrete.
    #[must_use]
    pub(crate) const fn implementation(&self) -> Option<&'static Implementation> {
        match self.info.kind {
            TypeKind::Concrete(implementation) => Some(implementation),
            TypeKind::Abstract | TypeKind::Interface => None,
        }
    }

    /// The Rust type of its instances, if it is concrete.
    #[must_use]
    pub fn type_id(&self) -> Option<TypeId> {
        self.implementation().map(|implementation| (implementation.type_id)())
    }

    pub(crate) fn cast_table(&self) -> Option<&CastTable> {
        let implementation = self.implementation()?;
        Some(self.casts.get_or_init(|| {
            let mut table = CastTable::default();
            (implementation.casts)(&mut table);
            table
        }))
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Class").field(&self.name()).finish()
    }
}
