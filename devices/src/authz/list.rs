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
    #[property(insecure_when(
        lets_everybody_in,
        reason = "it lets everybody in: 'policy' allows, and no rule denies"
    ))]
    policy: Decision,
    /// Rules, each with match, policy (deny or allow) and format (exact or glob)
    #[property]
    rules: Rules,
}

impl Authz for AuthzList {
    fn is_allowed(&self, identity: &str) -> bool {
        self.rules.decide(identity, self.policy) == Decision::Allow
    }
}

impl UserCreatable for AuthzList {}

fn lets_everybody_in(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let policy: Decision = configuration.get("policy")?;
    let rules: Rules = configuration.get("rules")?;
    Ok(policy == Decision::Allow && !rules.deny_anybody())
}
