//! Objects that users create by themselves.

use device_model::prelude::*;

use crate::{in_each_status, with_each_feature};

/// Something that others could link to
#[qom_type(abstract, parent = Object)]
trait Thing: Object {}

macro_rules! object {
    ($name:ident, $($statement:tt)*) => {
        /// Object of one status
        #[qom_type($($statement)* parent = Thing, interfaces(UserCreatable))]
        #[derive(Debug)]
        struct $name;

        impl Thing for $name {}

        impl UserCreatable for $name {}
    };
}

in_each_status!(object: SecureObject, InsecureObject, UndeclaredObject);
with_each_feature!(object: DeprecatedObject, UnstableObject);

/// Object some of whose settings are insecure
#[qom_type(secure, parent = Thing, interfaces(UserCreatable))]
#[derive(Debug)]
struct ConditionalObject {
    /// How far it is open
    #[property(default = "closed", live, insecure_if("open", reason = "anybody comes in"))]
    door: Live<String>,
    /// Whether somebody watches
    #[property(default = true, insecure, reason = "nobody watches")]
    watched: bool,
}

impl Thing for ConditionalObject {}

impl UserCreatable for ConditionalObject {}
