//! What can go wrong between a request and a finished object.

use std::fmt;

use thiserror::Error;

use crate::{
    ClassType, Object, class::Class, compat::CompatFinding, instance::ConstructError,
    permit::PermitError, policy::LooseningError, registry::Registry, request::Origin,
    suggestion::Suggestion, value::ValueError, verdict::Refusal,
};

/// An error of somebody else's, kept as it was.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request can't be planned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// No linked crate defines the type.
    #[error("invalid object type: {name}{suggestion}")]
    UnknownType {
        /// The name that was asked for.
        name: String,
        /// A name that may have been meant.
        suggestion: Suggestion,
    },
    /// The type has no instances of its own.
    #[error("object type '{name}' is abstract")]
    Abstract {
        /// The type.
        name: &'static str,
    },
    /// The class has no such property.
    #[error("Property '{class}.{property}' not found{suggestion}")]
    UnknownProperty {
        /// The class.
        class: &'static str,
        /// The name that was given.
        property: String,
        /// A name that may have been meant.
        suggestion: Suggestion,
    },
    /// A value was not accepted.
    #[error("Parameter '{property}' {source}")]
    Value {
        /// The property.
        property: String,
        /// What was wrong with the value.
        source: Box<ValueError>,
    },
    /// A value that must be given was not.
    #[error("Parameter '{property}' is missing")]
    Missing {
        /// The property.
        property: &'static str,
    },
    /// A property that is computed was given a value.
    #[error("Property '{class}.{property}' is read-only")]
    ReadOnly {
        /// The class.
        class: &'static str,
        /// The property.
        property: &'static str,
    },
    /// A property that is fixed at creation was to be changed.
    #[error("Property '{class}.{property}' can't be changed once the object exists")]
    Fixed {
        /// The class.
        class: &'static str,
        /// The property.
        property: &'static str,
    },
    /// A link to nothing.
    #[error("Parameter '{property}' refers to '{target}', which does not exist{suggestion}")]
    LinkMissing {
        /// The property.
        property: &'static str,
        /// What it was to point to.
        target: String,
        /// A name that may have been meant.
        suggestion: Suggestion,
    },
    /// A link to something of another class.
    #[error("Invalid parameter type for '{property}', expected: {expected}, got: {found}")]
    LinkClass {
        /// The property.
        property: &'static str,
        /// The class that it must point to.
        expected: &'static str,
        /// The class of what it was to point to.
        found: &'static str,
    },
    /// A link to an object that contains the linking one, which would keep both alive for ever.
    #[error("Parameter '{property}' refers to '{target}', which contains the object itself")]
    LinkAncestor {
        /// The property.
        property: &'static str,
        /// What it was to point to.
        target: String,
    },
    /// A path that fits several objects.
    #[error("Path '{path}' is ambiguous")]
    Ambiguous {
        /// The path.
        path: String,
    },
    /// The name is taken.
    #[error("attempt to add duplicate property '{name}' to object (type '{parent}')")]
    Duplicate {
        /// The name.
        name: String,
        /// The type of the object that has a child of that name.
        parent: &'static str,
    },
    /// A name that can't be part of a path.
    #[error("'{name}' can't name an object: 1 to 255 bytes, no '/' and no control characters")]
    Name {
        /// The name.
        name: String,
    },
    /// A child that the parent's class did not announce.
    #[error("'{parent}' (type '{class}') takes no children but those that its class announces")]
    Unannounced {
        /// Path of the parent.
        parent: String,
        /// Its class.
        class: &'static str,
    },
    /// A plan that grows without end.
    #[error("the plan exceeds {limit}: the last object was '{path}'")]
    TooLarge {
        /// What was exceeded.
        limit: &'static str,
        /// Where.
        path: String,
    },
    /// What the plan counted on has left the tree since.
    #[error("'{path}' can't be created: its parent or what it links to has left the tree")]
    Stale {
        /// Path of the planned object.
        path: String,
    },
    /// A global setting has a bad value.
    #[error("can't apply global {global}: {source}")]
    Global {
        /// The setting.
        global: String,
        /// Who made it, if somebody said.
        origin: Option<Origin>,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// Something about one property, whatever its type says of the value alone.
    #[error("{source}")]
    Property {
        /// The property.
        property: &'static str,
        /// What is wrong.
        source: Box<Self>,
    },
    /// A class refused its configuration, in its own words.
    #[error("{0}")]
    Refused(String),
}

impl PlanError {
    /// That a class refuses its configuration for the value of one property, in its own words.
    pub fn refused(property: &'static str, problem: impl fmt::Display) -> Self {
        Self::Property { property, source: Box::new(Self::Refused(problem.to_string())) }
    }

    /// The property that it is about, if it is about one.
    #[must_use]
    pub fn property(&self) -> Option<&str> {
        match self {
            Self::UnknownProperty { property, .. } | Self::Value { property, .. } => Some(property),
            Self::Missing { property }
            | Self::ReadOnly { property, .. }
            | Self::Fixed { property, .. }
            | Self::LinkMissing { property, .. }
            | Self::LinkClass { property, .. }
            | Self::LinkAncestor { property, .. }
            | Self::Property { property, .. } => Some(property),
            _ => None,
        }
    }

    /// What is wrong with a value that was not accepted, whoever gave it: a command line can say more
    /// of what is accepted than the one sentence that a program gets.
    #[must_use]
    pub fn value(&self) -> Option<&ValueError> {
        match self {
            Self::Value { source, .. } => Some(source),
            Self::Global { source, .. } | Self::Property { source, .. } => source.value(),
            _ => None,
        }
    }

    pub(crate) fn unknown_type(registry: &Registry, name: &str) -> Self {
        let suggestion = registry.suggest(name, <dyn Object as ClassType>::INFO.name);
        Self::UnknownType { name: name.to_owned(), suggestion }
    }

    pub(crate) fn unknown_property(class: &Class, property: &str) -> Self {
        Self::UnknownProperty {
            class: class.name(),
            property: property.to_owned(),
            suggestion: class.suggest_property(property),
        }
    }
}

/// Why nothing was created. Whatever the cause, nothing that the attempt made is left.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A request can't be planned.
    #[error("{error}")]
    Plan {
        /// Who asked.
        origin: Origin,
        /// Why it can't.
        error: PlanError,
    },
    /// The policy refuses something in the plan. Never empty.
    #[error("{}", Joined(.0))]
    Refused(Vec<Refusal>),
    /// The compatibility policy refuses something in the plan. Never empty.
    #[error("{}", Joined(.0))]
    Incompatible(Vec<CompatFinding>),
    /// An object could not be constructed.
    #[error("{error}")]
    Construct {
        /// Who asked.
        origin: Origin,
        /// Why it could not.
        error: ConstructError,
    },
    /// An object could not take up its work.
    #[error("{error}")]
    Complete {
        /// Who asked.
        origin: Origin,
        /// Path of the object.
        path: String,
        /// Why it could not.
        #[source]
        error: BoxedError,
    },
    /// A permit or plan was used for something else than it was made for.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// A plan or handle of another tree.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// Asked for from within another change of the tree.
    #[error(transparent)]
    Reentry(#[from] ReentryError),
}

impl CreateError {
    /// Who asked for what could not be created.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Plan { origin, .. }
            | Self::Construct { origin, .. }
            | Self::Complete { origin, .. } => Some(origin),
            Self::Refused(refusals) => refusals.first().map(Refusal::origin),
            Self::Incompatible(findings) => {
                findings.first().and_then(|finding| finding.origin.as_ref())
            }
            Self::Permit(_) | Self::Foreign(_) | Self::Reentry(_) => None,
        }
    }
}

struct Joined<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Joined<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, refusal) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{refusal}")?;
        }
        Ok(())
    }
}

/// Something belongs to another object tree, whose policy may be weaker.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{what} belongs to another object tree")]
pub struct ForeignError {
    /// What it is: the object's type or a plan.
    pub what: String,
}

/// A change of the tree was asked for from within another one: by a completion, say, or a judge.
/// The tree changes one thing at a time, so that whoever judges knows what exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the object tree can't be changed from within a change of it")]
pub struct ReentryError;

/// Why a property was not changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetError {
    /// No such property, a bad value, or one that can't be changed now.
    #[error(transparent)]
    Property(#[from] PlanError),
    /// The policy refuses the value.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The compatibility policy refuses that the property is given.
    #[error("{0}")]
    Incompatible(Box<CompatFinding>),
    /// The object has left the tree.
    #[error("the object of type '{class}' is not in the tree")]
    Absent {
        /// Its class.
        class: &'static str,
    },
    /// A handle of another tree.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// Asked for from within another change of the tree.
    #[error(transparent)]
    Reentry(#[from] ReentryError),
}

/// Why an object was not removed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RemoveError {
    /// Another object links to it, or to something inside it.
    #[error("'{path}' is in use by '{user}'")]
    InUse {
        /// Path of the object.
        path: String,
        /// Path of the object that links to it.
        user: String,
    },
    /// It left the tree before.
    #[error("the object of type '{class}' is not in the tree")]
    Absent {
        /// Its class.
        class: &'static str,
    },
    /// It is a part of another object, and goes with that.
    #[error("'{path}' is a part of '{owner}' and can only be removed with it")]
    Part {
        /// Path of the object.
        path: String,
        /// Path of the object that it is a part of.
        owner: String,
    },
    /// A handle of another tree.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// Asked for from within another change of the tree.
    #[error(transparent)]
    Reentry(#[from] ReentryError),
}

/// Why a path leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// Nothing is there.
    #[error("Device '{0}' not found")]
    NotFound(String),
    /// A partial path that fits several objects.
    #[error("Path '{0}' is ambiguous")]
    Ambiguous(String),
}

/// Why the policy was not raised.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RaiseError {
    /// It would have been lowered.
    #[error(transparent)]
    Loosening(#[from] LooseningError),
    /// Something exists that the new policy would refuse.
    #[error("{refusal}, and '{path}' exists")]
    Contradicted {
        /// Path of the object.
        path: String,
        /// Why the new policy would refuse it.
        refusal: Box<Refusal>,
    },
    /// Something exists that can't be judged, so that nobody knows whether it may.
    #[error("'{path}' can't be judged: {error}")]
    Unjudged {
        /// Path of the object.
        path: String,
        /// Why its judge failed.
        error: Box<PlanError>,
    },
    /// Asked for from within another change of the tree.
    #[error(transparent)]
    Reentry(#[from] ReentryError),
}
