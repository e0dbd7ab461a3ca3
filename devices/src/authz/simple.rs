//! The type `authz-simple`.

use device_model::prelude::*;

/// Single name that may use a service
#[qom_type(secure, parent = Authz, interfaces(UserCreatable))]
#[derive(Debug)]
pub struct AuthzSimple {
    /// Who may, and nobody else
    #[property(required)]
    identity: String,
}

impl Authz for AuthzSimple {
    fn is_allowed(&self, identity: &str) -> bool {
        identity == self.identity
    }
}

impl UserCreatable for AuthzSimple {}
