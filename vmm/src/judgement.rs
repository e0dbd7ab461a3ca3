//! What the policy makes of each object of a plan, for people and programs that ask before anything
//! is created.

use device_model::qom_core::{Action, CreateError, Plan, Policy};
use schemars::JsonSchema;
use serde::Serialize;

/// What becomes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It would be created.
    Permitted,
    /// It would be created, with a warning.
    Warned,
    /// It would not, nor would anything else of the same request.
    Refused,
}

impl Verdict {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Warned => "warned",
            Self::Refused => "refused",
        }
    }
}

impl From<Action> for Verdict {
    fn from(action: Action) -> Self {
        match action {
            Action::Permit => Self::Permitted,
            Action::Warn => Self::Warned,
            Action::Refuse => Self::Refused,
        }
    }
}

/// Something that an object has against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Objection {
    /// The property whose value is insecure; none if it is the type itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<&'static str>,
    /// What, in one line.
    pub what: String,
    /// Why; none if nobody has made a statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

/// An object of a plan, with what the policy makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Judgement {
    /// The path that it would have.
    pub path: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// What the type is declared to be: `secure`, `insecure` or `undeclared`.
    pub security: &'static str,
    /// Where untrusted input would reach it.
    pub boundaries: Vec<&'static str>,
    /// Crate and version that say so.
    pub stated_by: String,
    /// Who asks for it, or for what brings it.
    pub origin: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// What it has against it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objections: Vec<Objection>,
}

impl Judgement {
    /// All objects of a plan, in the order of their creation.
    ///
    /// # Errors
    /// If a configuration can't be judged.
    pub fn all(plan: &Plan, policy: Policy) -> Result<Vec<Self>, CreateError> {
        let findings = plan.judge(policy)?;
        let judged = plan.objects().iter().map(|planned| {
            let class = planned.class();
            let against: Vec<_> = findings
                .iter()
                .filter(|finding| finding.refusal.path() == planned.path())
                .collect();
            let verdict = against.iter().map(|finding| Verdict::from(finding.action)).max();
            let objections = against
                .iter()
                .map(|finding| Objection {
                    property: finding.refusal.property().map(|(property, _)| property),
                    what: finding.refusal.to_string(),
                    reason: finding.refusal.reason(),
                })
                .collect();
            Self {
                path: planned.path().to_owned(),
                type_name: class.name(),
                security: class.status().name(),
                boundaries: class.boundaries().iter().map(|boundary| boundary.name()).collect(),
                stated_by: class.statement().to_string(),
                origin: planned.origin().to_string(),
                verdict: verdict.unwrap_or(Verdict::Permitted),
                objections,
            }
        });
        Ok(judged.collect())
    }
}
