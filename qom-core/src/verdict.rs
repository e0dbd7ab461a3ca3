//! Verdicts: what the policy makes of each object of a plan, and why.

use std::fmt;

use serde_json::Value;

use crate::{
    Boundaries, SecurityStatus, Statement,
    class::Class,
    configuration::Configuration,
    error::{CreateError, PlanError},
    policy::{Action, Policy, PolicyStatement},
    property::InsecureCondition,
    request::{Origin, Origins},
};

/// What is said in place of a reason where nobody has made a statement.
pub const UNSTATED: &str = "nobody has declared it secure yet";

/// Something about an object that is not declared secure. Shown, it is the one line that every
/// asker gets; [`Refusal::explanation`] is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    path: String,
    type_name: &'static str,
    status: SecurityStatus,
    boundaries: Boundaries,
    statement: Statement,
    property: Option<(&'static str, Value, &'static str)>,
    origin: Origin,
}

impl Refusal {
    /// Canonical path of the object; empty if only a permit was asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The object's type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Status of the type.
    #[must_use]
    pub const fn status(&self) -> SecurityStatus {
        self.status
    }

    /// Boundaries at which the type stands.
    #[must_use]
    pub const fn boundaries(&self) -> Boundaries {
        self.boundaries
    }

    /// Who made the statement.
    #[must_use]
    pub const fn statement(&self) -> Statement {
        self.statement
    }

    /// The property whose value is insecure, and the value; none if it is the type itself.
    #[must_use]
    pub fn property(&self) -> Option<(&'static str, &Value)> {
        self.property.as_ref().map(|(name, value, _)| (*name, value))
    }

    /// Why it is insecure; none if nobody has made a statement.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self.property {
            Some((_, _, reason)) => Some(reason),
            None => self.status.reason(),
        }
    }

    /// Who asked for the object.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What it is as far as the policy goes: a value that is insecure is as an insecure type.
    const fn judged_as(&self) -> SecurityStatus {
        match self.property {
            Some((_, _, reason)) => SecurityStatus::Insecure { reason },
            None => self.status,
        }
    }

    /// Boundary, reason, and the switch that would allow it, given what was stated at start-up.
    #[must_use]
    pub fn explanation(&self, stated: &[PolicyStatement]) -> String {
        let switch = match self.judged_as() {
            SecurityStatus::Undeclared => "-machine prohibit-insecure=yes",
            _ => "-compat insecure-types=accept",
        };
        let refusing: Vec<_> = stated
            .iter()
            .filter(|statement| {
                Policy::of(&[**statement]).action(self.judged_as()) == Action::Refuse
            })
            .filter(|statement| statement.actions().is_some())
            .map(|statement| format!("'{statement}'"))
            .collect();
        let instead = if refusing.is_empty() {
            String::new()
        } else {
            format!(" in place of {}", refusing.join(" and "))
        };
        format!(
            "boundary: {}; reason: {}; to allow it: {switch}{instead}",
            self.boundaries,
            self.reason().unwrap_or(UNSTATED),
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.property, self.status) {
            (Some((property, value, _)), _) => {
                write!(f, "Property '{}.{property}' with value ", self.type_name)?;
                match value {
                    Value::String(text) => write!(f, "'{text}'")?,
                    other => write!(f, "'{other}'")?,
                }
                f.write_str(" is declared as insecure")
            }
            (None, SecurityStatus::Insecure { .. }) => {
                write!(f, "Type '{}' is declared as insecure", self.type_name)
            }
            (None, _) => write!(f, "Type '{}' is not declared as secure", self.type_name),
        }
    }
}

impl std::error::Error for Refusal {}

/// One thing that require-secure would refuse, with what the policy in force makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What and why.
    pub refusal: Refusal,
    /// What becomes of it.
    pub action: Action,
}

/// What becomes of something of that status. This is the check: what is made of it here is made of it
/// by everyone who asks.
const fn action(policy: Policy, status: SecurityStatus) -> Action {
    // A test has the check left out and sees that it is missed.
    if cfg!(policy_unchecked) { Action::Permit } else { policy.action(status) }
}

/// Lists all that require-secure would refuse in one configuration.
pub(crate) fn judge(
    policy: Policy,
    configuration: &Configuration<'_>,
    origins: &Origins,
) -> Result<Vec<Finding>, PlanError> {
    let (class, path) = (configuration.class(), configuration.path());
    let mut findings = Vec::from_iter(judge_type(policy, class, path, origins.object()));
    for (info, owner) in class.properties() {
        for statement in info.insecure {
            let value = configuration.get::<Value>(info.name)?;
            let insecure = match statement.condition {
                InsecureCondition::NotDefault => value != info.default_value(),
                InsecureCondition::Values(values) => values().contains(&value),
                InsecureCondition::When(judge) => judge(configuration)?,
            };
            if insecure {
                let mut refusal = refusal(class, path, origins.of(Some(info.name)));
                refusal.property = Some((info.name, value, statement.reason));
                refusal.statement = owner.statement;
                let action = action(policy, refusal.judged_as());
                findings.push(Finding { action, refusal });
            }
        }
    }
    Ok(findings)
}

/// What require-secure would refuse of a configuration that comes after another, and not of that.
pub(crate) fn judge_new(
    policy: Policy,
    before: &Configuration<'_>,
    after: &Configuration<'_>,
    origins: &Origins,
) -> Result<Vec<Finding>, PlanError> {
    // If it can't be judged as it is, nothing is known that it had against it.
    let known = judge(policy, before, origins).unwrap_or_default();
    let mut findings = judge(policy, after, origins)?;
    findings.retain(|finding| !known.contains(finding));
    Ok(findings)
}

/// What require-secure would refuse of a type by itself, whatever its configuration.
pub(crate) fn judge_type(
    policy: Policy,
    class: &Class,
    path: &str,
    origin: &Origin,
) -> Option<Finding> {
    (class.status() != SecurityStatus::Secure).then(|| Finding {
        action: action(policy, class.status()),
        refusal: refusal(class, path, origin),
    })
}

/// Those that the policy refuses, as an error if there are any.
pub(crate) fn refused(findings: &[Finding]) -> Result<(), CreateError> {
    let refusals: Vec<_> = findings
        .iter()
        .filter(|finding| finding.action == Action::Refuse)
        .map(|finding| finding.refusal.clone())
        .collect();
    if refusals.is_empty() { Ok(()) } else { Err(CreateError::Refused(refusals)) }
}

fn refusal(class: &Class, path: &str, origin: &Origin) -> Refusal {
    Refusal {
        path: path.to_owned(),
        type_name: class.name(),
        status: class.status(),
        boundaries: class.boundaries(),
        statement: class.statement(),
        property: None,
        origin: origin.clone(),
    }
}
