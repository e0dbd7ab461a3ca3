//! The policy in force, what taints the VM, and raising it: `query-security`,
//! `set-security-policy`.

use std::cmp::Reverse;

use device_model::{
    monitor::{Command, CommandContext, CommandError, Nothing, register_command},
    qom_core::{Action, InsecureTypes, LooseningError, Origin, Policy, PolicyStatement, Taint},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::standing::Security;

/// What becomes of something that is not declared secure.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ActionName {
    /// It may exist.
    Permit,
    /// It may exist, and a warning says so.
    Warn,
    /// It may not.
    Refuse,
}

impl From<Action> for ActionName {
    fn from(action: Action) -> Self {
        match action {
            Action::Permit => Self::Permit,
            Action::Warn => Self::Warn,
            Action::Refuse => Self::Refuse,
        }
    }
}

/// The policy in force.
#[derive(Serialize, JsonSchema)]
struct PolicyInForce {
    /// What becomes of undeclared types.
    undeclared: ActionName,
    /// What becomes of insecure types and values.
    insecure: ActionName,
}

impl From<Policy> for PolicyInForce {
    fn from(policy: Policy) -> Self {
        Self { undeclared: policy.undeclared().into(), insecure: policy.insecure().into() }
    }
}

/// `query-security`.
struct QuerySecurity;

/// The policy, and what contradicts the strictest one.
#[derive(Serialize, JsonSchema)]
struct SecurityState {
    /// The policy in force.
    policy: PolicyInForce,
    /// What was stated of it, in order. The default holds if that is nothing.
    statements: Vec<Statement>,
    /// Whether anything exists, or existed, that require-secure would have refused.
    tainted: bool,
    /// What, in the order in which it came.
    taints: Vec<TaintInfo>,
}

/// A statement about the policy.
#[derive(Serialize, JsonSchema)]
struct Statement {
    /// In the words of an option.
    statement: String,
    /// Who made it: the option or the command.
    from: String,
}

/// Something that taints the VM.
#[derive(Serialize, JsonSchema)]
struct TaintInfo {
    /// Path of the object, which another may have by now if it was removed.
    path: String,
    /// Its type.
    #[serde(rename = "type")]
    type_name: &'static str,
    /// The property whose value is insecure; none if it is the type itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    property: Option<&'static str>,
    /// What the type is declared to be.
    status: Security,
    /// Why it is insecure; none if nobody has made a statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Whether the object has been removed since.
    removed: bool,
}

impl From<Taint> for TaintInfo {
    fn from(taint: Taint) -> Self {
        let cause = &taint.cause;
        Self {
            path: cause.path().to_owned(),
            type_name: cause.type_name(),
            property: cause.property().map(|(property, _)| property),
            status: cause.status().into(),
            reason: cause.reason(),
            removed: taint.removed,
        }
    }
}

impl Command for QuerySecurity {
    const NAME: &'static str = "query-security";
    type Arguments = Nothing;
    type Returns = SecurityState;

    fn run(context: &CommandContext<'_>, _: Nothing) -> Result<SecurityState, CommandError> {
        let taints: Vec<_> = context.tree().taints().into_iter().map(TaintInfo::from).collect();
        let statement = |(statement, origin): (PolicyStatement, Origin)| Statement {
            statement: statement.to_string(),
            from: origin.to_string(),
        };
        Ok(SecurityState {
            policy: context.tree().policy().into(),
            statements: context.vm().policy_statements().into_iter().map(statement).collect(),
            tainted: !taints.is_empty(),
            taints,
        })
    }
}

register_command!(QuerySecurity);

/// `set-security-policy`.
struct SetSecurityPolicy;

/// Statements, in the words of the options. At least one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Statements {
    /// Whether only what is declared secure may exist.
    #[serde(default)]
    require_secure: Option<bool>,
    /// Whether what is declared insecure may not exist.
    #[serde(default)]
    prohibit_insecure: Option<bool>,
    /// What becomes of everything that is not declared secure.
    #[serde(default)]
    insecure_types: Option<InsecureTypesWord>,
}

/// What becomes of everything that is not declared secure.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum InsecureTypesWord {
    /// It may exist.
    Accept,
    /// It may exist, and a warning says so.
    Warn,
    /// It may not.
    Reject,
    /// It may not, and the process aborts at the attempt.
    Crash,
}

impl From<InsecureTypesWord> for InsecureTypes {
    fn from(word: InsecureTypesWord) -> Self {
        match word {
            InsecureTypesWord::Accept => Self::Accept,
            InsecureTypesWord::Warn => Self::Warn,
            InsecureTypesWord::Reject => Self::Reject,
            InsecureTypesWord::Crash => Self::Crash,
        }
    }
}

/// Raises the policy by all of the statements or by none.
fn raise(
    context: &CommandContext<'_>,
    mut statements: Vec<PolicyStatement>,
) -> Result<(), CommandError> {
    // Known of each before any holds, since it depends on nothing that exists.
    let policy = context.tree().policy();
    for statement in &statements {
        policy.raised(*statement).map_err(|error: LooseningError| CommandError::caused(&error))?;
    }
    statements.sort_by_key(|statement| {
        Reverse(statement.actions().map(|(undeclared, insecure)| (insecure, undeclared)))
    });
    // The strictest is the one that an object can contradict. Once it holds, no other one refuses
    // anything more, and those that it comprises would but look like a loosening.
    for (position, statement) in statements.into_iter().enumerate() {
        if position > 0 && context.tree().policy().raised(statement).is_err() {
            continue;
        }
        context.vm().raise_policy(statement, Origin::new("set-security-policy"))?;
    }
    Ok(())
}

impl Command for SetSecurityPolicy {
    const NAME: &'static str = "set-security-policy";
    type Arguments = Statements;
    type Returns = PolicyInForce;

    fn run(context: &CommandContext<'_>, given: Statements) -> Result<PolicyInForce, CommandError> {
        let statements = [
            given.require_secure.map(PolicyStatement::RequireSecure),
            given.prohibit_insecure.map(PolicyStatement::ProhibitInsecure),
            given.insecure_types.map(|word| PolicyStatement::InsecureTypes(word.into())),
        ];
        let statements: Vec<_> = statements.into_iter().flatten().collect();
        if statements.is_empty() {
            return Err(CommandError::generic(
                "expected 'require-secure', 'prohibit-insecure' or 'insecure-types'",
            ));
        }
        raise(context, statements)?;
        Ok(context.tree().policy().into())
    }
}

register_command!(SetSecurityPolicy);

#[cfg(test)]
mod tests {
    use device_model::monitor::ErrorClass::GenericError;
    use serde_json::{Value, json};

    use super::super::super::testing::{Bench, accept_all};

    fn policy(bench: &Bench) -> Value {
        bench.ok("query-security", json!({}))["policy"].clone()
    }

    #[test]
    fn what_taints_stays_listed_when_it_is_removed() {
        let bench = Bench::with_policy(accept_all());
        assert_eq!(
            bench.ok("query-security", json!({})),
            json!({
                "policy": {"undeclared": "permit", "insecure": "permit"},
                "statements": [{"statement": "insecure-types=accept", "from": "the test"}],
                "tainted": false,
                "taints": [],
            })
        );
        bench.ok("device_add", json!({"driver": "test-leaky-card", "id": "c0"}));
        bench.ok("device_del", json!({"id": "c0"}));
        let security = bench.ok("query-security", json!({}));
        assert_eq!(security["tainted"], true);
        assert_eq!(
            security["taints"],
            json!([{
                "path": "/machine/peripheral/c0",
                "type": "test-leaky-card",
                "status": "insecure",
                "reason": "it leaks",
                "removed": true,
            }])
        );
    }

    #[test]
    fn the_policy_is_raised_by_any_statements_together() {
        let bench = Bench::with_policy(accept_all());
        let raised = bench.ok("set-security-policy", json!({"prohibit-insecure": true}));
        assert_eq!(raised, json!({"undeclared": "permit", "insecure": "refuse"}));
        let both = json!({"insecure-types": "warn", "prohibit-insecure": true});
        let raised = bench.ok("set-security-policy", both);
        assert_eq!(raised, json!({"undeclared": "warn", "insecure": "refuse"}));
        let bench = Bench::with_policy(accept_all());
        let all = json!({
            "insecure-types": "warn", "prohibit-insecure": true, "require-secure": true,
        });
        let raised = bench.ok("set-security-policy", all);
        assert_eq!(raised, json!({"undeclared": "refuse", "insecure": "refuse"}));
        let statements = bench.ok("query-security", json!({}))["statements"].clone();
        let last = json!({"statement": "require-secure=yes", "from": "set-security-policy"});
        assert_eq!(statements.as_array().and_then(|all| all.last()), Some(&last));
        let leaky = json!({"driver": "test-leaky-card"});
        let text = "Type 'test-leaky-card' is declared as insecure";
        bench.refuses("device_add", &leaky, GenericError, text);
    }

    #[test]
    fn nothing_loosens_the_policy() {
        let bench = Bench::new();
        let before = policy(&bench);
        for (arguments, statement) in [
            (json!({"require-secure": false}), "require-secure=no"),
            (json!({"insecure-types": "accept"}), "insecure-types=accept"),
            (json!({"insecure-types": "warn"}), "insecure-types=warn"),
            (json!({"require-secure": true, "insecure-types": "warn"}), "insecure-types=warn"),
            (json!({"prohibit-insecure": true}), "prohibit-insecure=yes"),
        ] {
            let text =
                format!("'{statement}' would loosen the security policy, which can only be raised");
            bench.refuses("set-security-policy", &arguments, GenericError, &text);
            assert_eq!(policy(&bench), before);
        }
        let text = "expected 'require-secure', 'prohibit-insecure' or 'insecure-types'";
        bench.refuses("set-security-policy", &json!({}), GenericError, text);
    }

    #[test]
    fn a_policy_that_something_contradicts_is_not_raised_by_any_statement() {
        let bench = Bench::with_policy(accept_all());
        bench.ok("device_add", json!({"driver": "test-leaky-card", "id": "c0"}));
        let before = policy(&bench);
        let text = "Type 'test-leaky-card' is declared as insecure, and '/machine/peripheral/c0' \
                    exists";
        for arguments in [
            json!({"require-secure": true}),
            json!({"insecure-types": "warn", "prohibit-insecure": true}),
        ] {
            bench.refuses("set-security-policy", &arguments, GenericError, text);
            assert_eq!(policy(&bench), before);
        }
        let statements = bench.ok("query-security", json!({}))["statements"].clone();
        assert_eq!(statements.as_array().map(Vec::len), Some(1));
    }
}
