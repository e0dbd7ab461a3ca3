//! The type `authz-list`.

use device_model::prelude::*;

use super::rules::{Decision, Rules};

/// List of rules for who may use a service
///
/// The first rule that is for somebody decides; `policy` does, if there is none. Somebody whose name
/// has more than 4096 bytes never may.
#[qom_type(secure, parent = Authz, interfaces(UserCreatable))]
#[derive(Debug)]
pub struct AuthzList {
    /// What becomes of those whom no rule is for
    #[property(insecure_if(
        Decision::Allow,
        reason = "it lets everybody in whom no rule keeps out, strangers included"
    ))]
    policy: Decision,
    /// Rules, each with match, policy (deny or allow) and format (exact or glob)
    #[property(insecure_when(
        a_rule_lets_everybody_in,
        reason = "a rule that allows fits every name, strangers' included"
    ))]
    rules: Rules,
}

impl Authz for AuthzList {
    fn is_allowed(&self, identity: &str) -> bool {
        self.rules.decide(identity, self.policy) == Decision::Allow
    }
}

impl UserCreatable for AuthzList {}

/// Judges `rules`. Rules before that one may keep some out, but nobody who is unknown.
fn a_rule_lets_everybody_in(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    Ok(configuration.get::<Rules>("rules")?.let_everybody_in())
}
