//! What is known of a type before anything is created: the record that the macros write.

use std::{any::Any, any::TypeId, fmt, sync::Arc};

use crate::{
    Boundaries, Children, Configuration, Object, PlanError, PropertyInfo, SecurityStatus,
    cast::CastTable,
    instance::{ConstructError, Construction},
    permit::Permit,
};

/// One type, as its author declared it. `#[qom_type]` and `#[qom_interface]` write these; a test
/// may build them by hand.
pub struct TypeInfo {
    /// Name by which users and other types know it, in kebab-case; unique in a program.
    pub name: &'static str,
    /// First line of the author's documentation.
    pub description: &'static str,
    /// Whether it can be instantiated, and how.
    pub kind: TypeKind,
    /// Name of the class that it descends from; none for the two roots.
    pub parent: Option<&'static str>,
    /// Names of the interfaces that it adds to those of its ancestors.
    pub interfaces: &'static [&'static str],
    /// What its author says of its security. Never inherited.
    pub status: SecurityStatus,
    /// Boundaries that it adds to those of its ancestors and interfaces.
    pub boundaries: Boundaries,
    /// The heading under which help lists it; inherited if not stated.
    pub category: Option<&'static str>,
    /// What to use instead, if the type is deprecated.
    pub deprecated: Option<&'static str>,
    /// Whether it may still change or go without notice.
    pub unstable: bool,
    /// Properties that it adds to those of its ancestors.
    pub properties: &'static [PropertyInfo],
    /// Facts for others to find by the class alone, each of a type that they agree on. The nearest
    /// ancestor's is used if a type has none of that type.
    pub class_data: &'static [&'static (dyn Any + Sync)],
    /// Who makes these statements.
    pub statement: Statement,
}

impl TypeInfo {
    /// A type of which nothing more is stated: a start for a record that is written by hand.
    ///
    /// ```
    /// use qom_core::{Statement, TypeInfo, TypeKind};
    ///
    /// const STATEMENT: Statement = Statement {
    ///     crate_name: "fast-disks",
    ///     crate_ident: "disks",
    ///     crate_version: "1.0.0",
    ///     file: "disk.rs",
    ///     line: 7,
    /// };
    /// const DISK: TypeInfo = TypeInfo {
    ///     parent: Some("object"),
    ///     ..TypeInfo::undeclared("disk", "A disk", TypeKind::Abstract, STATEMENT)
    /// };
    /// assert_eq!(DISK.status.name(), "undeclared");
    /// ```
    #[must_use]
    pub const fn undeclared(
        name: &'static str,
        description: &'static str,
        kind: TypeKind,
        statement: Statement,
    ) -> Self {
        Self {
            name,
            description,
            kind,
            parent: None,
            interfaces: &[],
            status: SecurityStatus::Undeclared,
            boundaries: Boundaries::NONE,
            category: None,
            deprecated: None,
            unstable: false,
            properties: &[],
            class_data: &[],
            statement,
        }
    }
}

/// Where a type's statements stand and which crate makes them. Any linked crate may call its own
/// types secure, so whoever shows a status shows this too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Name of the package, from its manifest.
    pub crate_name: &'static str,
    /// Name of the crate as it calls itself in code, which is the package's with underscores
    /// unless its manifest says otherwise. Who depends on it may call it something else again.
    pub crate_ident: &'static str,
    /// Version of the crate.
    pub crate_version: &'static str,
    /// Source file, as the compiler was given it.
    pub file: &'static str,
    /// Line of the type's name in that file.
    pub line: u32,
}

/// The name of the crate in which the `module_path!()` is.
#[doc(hidden)]
#[must_use]
pub const fn crate_ident(module_path: &'static str) -> &'static str {
    let bytes = module_path.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b':' {
        end += 1;
    }
    module_path.split_at(end).0
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.crate_name, self.crate_version)
    }
}

/// Whether a type can be instantiated.
#[derive(Clone, Copy)]
pub enum TypeKind {
    /// A class that only descendants instantiate.
    Abstract,
    /// A stateless set of methods that classes of any ancestry may offer.
    Interface,
    /// A final class with instances.
    Concrete(&'static Implementation),
}

impl TypeKind {
    /// `abstract`, `interface` or `concrete`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Abstract => "abstract",
            Self::Interface => "interface",
            Self::Concrete(_) => "concrete",
        }
    }
}

impl fmt::Debug for TypeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The code behind a concrete type.
#[derive(Debug)]
pub struct Implementation {
    /// The Rust type.
    pub type_id: fn() -> TypeId,
    /// Makes an instance out of a judged configuration, with a permit for exactly this type.
    pub construct: ConstructFn,
    /// Lists the classes that a handle can be cast to.
    pub casts: fn(&mut CastTable),
    /// Lists the children that an instance of this configuration will have.
    pub children: Option<ChildrenFn>,
}

/// Makes one object out of what it is configured to be; consumes the permit for it.
pub type ConstructFn = fn(Permit, &mut Construction) -> Result<Arc<dyn Object>, ConstructError>;

/// Tells, for one configuration and before anything is constructed, which children will be made.
pub type ChildrenFn = fn(&Configuration<'_>, &mut Children) -> Result<(), PlanError>;

impl fmt::Debug for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeInfo")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("parent", &self.parent)
            .field("status", &self.status)
            .field("statement", &self.statement)
            .finish_non_exhaustive()
    }
}

/// A Rust type that stands for a QOM type: the `dyn Trait` of a class or interface, or the struct
/// of a concrete type. The macros implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a QOM type",
    label = "not a QOM type",
    note = "put `#[qom_type(...)]` or `#[qom_interface]` on its definition; a class is named by its trait, as in `dyn Device`"
)]
pub trait ClassType: 'static {
    /// The name of the type. Apart from the record, so that two classes can link to each other:
    /// the record of each names the other.
    const NAME: &'static str = Self::INFO.name;

    /// The record of the type.
    const INFO: &'static TypeInfo;
}

/// The `dyn Trait` of an abstract class, from which types can descend. The macros implement it.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this is not a class, so no type descends from it",
    label = "not a class",
    note = "write `parent = …` with a trait that has `#[qom_type(abstract, …)]`, `parent = Object` if there is none closer; an interface goes in `interfaces(…)`"
)]
pub trait AbstractClass: ClassType {
    /// Its name, for the records of its descendants.
    const AS_PARENT: &'static str = Self::NAME;
}

/// The `dyn Trait` of an interface, which types can offer. The macros implement it.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this is not an interface, so no type offers it",
    label = "not an interface",
    note = "write `interfaces(…)` with traits that have `#[qom_interface]`; a class goes in `parent = …`"
)]
pub trait InterfaceClass: ClassType {
    /// Its name, for the records of the types that offer it.
    const AS_INTERFACE: &'static str = Self::NAME;
}

/// A type's record on its way into the registry.
#[derive(Debug)]
pub struct Registration(pub &'static TypeInfo);

inventory::collect!(Registration);
