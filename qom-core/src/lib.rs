//! Types that state, where they are defined, whether they may stand at a security boundary; and
//! the object tree that lets nothing exist that the user's policy refuses.
//!
//! A virtual machine monitor is made of hundreds of types, most of which were never meant to face
//! a hostile guest. Here each says so itself. `#[qom_type]` writes a [`TypeInfo`] and registers it
//! at link time; the [`Registry`] checks all of them when the program starts; a [`Tree`] turns a
//! [`Request`] into a [`Plan`] of every object that it would bring, judges the whole plan by its
//! [`Policy`], and only then constructs. This crate knows nothing of machines or devices.

#![forbid(unsafe_code)]

#[cfg(all(policy_unchecked, not(debug_assertions)))]
compile_error!("the policy's check can be left out for a test, and in no release");

extern crate self as qom_core;

mod boundary;
mod cast;
mod class;
mod compat;
mod configuration;
mod container;
mod error;
mod global;
mod instance;
mod introspect;
mod link;
mod live;
mod object;
mod path;
mod permit;
mod plan;
mod planner;
mod policy;
mod property;
mod registry;
mod request;
mod size;
mod snapshot;
mod status;
mod suggestion;
mod taint;
mod tree;
mod type_info;
mod value;
mod verdict;

pub use boundary::{Boundaries, Boundary};
pub use class::Class;
pub use compat::{
    CompatFinding, CompatInput, CompatOutput, CompatPolicy, CompatStatement, Feature, Features,
    Subject, UNSTABLE,
};
pub use configuration::{Configuration, Linked, Sharer, Source};
pub use container::Container;
pub use error::{
    BoxedError, CreateError, ForeignError, PathError, PlanError, RaiseError, ReentryError,
    RemoveError, SetError,
};
pub use global::{Global, Globals};
pub use instance::{ConstructError, Instance};
pub use introspect::{InsecureDescription, PropertyDescription, TypeDescription};
pub use link::Link;
pub use live::{Computed, Live};
pub use object::{Obj, Object};
pub use permit::{Permit, PermitError, TreeId};
pub use plan::{Plan, Planned};
pub use policy::{Action, InsecureTypes, LooseningError, Policy, PolicyStatement, PolicyWordError};
pub use property::{
    Access, InsecureCondition, InsecureStatement, PropertyInfo, Storage, WriteField,
};
pub use qom_macros::*;
pub use registry::{Place, Registry, RegistryError, RegistryErrors};
pub use request::{ChildRequest, Children, Origin, Request};
pub use size::{Size, SizeError, SizeUnit};
pub use status::SecurityStatus;
pub use suggestion::{Suggestion, nearest};
pub use taint::Taint;
pub use tree::{Completion, Created, NoCompletion, Tree};
pub use type_info::{
    ChildrenFn, ClassType, ConstructFn, Implementation, Registration, Statement, TypeInfo, TypeKind,
};
pub use value::{Given, PropertyType, ValueError, ValueType};
pub use verdict::{Finding, Refusal, UNSTATED};

/// JSON, as properties speak it.
// An alias for the compiler's sake. It shortens the names in its messages to those that are unique
// among all that can be reached, and looks into modules and enums, hidden ones too, but not through
// aliases: two variants of this enum are called `String` and `Object`.
pub type Value = serde_json::Value;

/// What the macros' expansions name. No part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use std::{
        any::{Any, TypeId},
        sync::Arc,
    };

    pub use inventory;

    pub use crate::{
        cast::{CastTable, put},
        instance::Construction,
        link::link_value,
        live::{ComputedField, LiveField},
        property::{RangeEnd, check, downcast, range},
        type_info::{AbstractClass, InterfaceClass, crate_ident},
        *,
    };
}
