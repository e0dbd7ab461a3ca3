//! What the policies make of each object of a plan, for people and programs that ask before anything
//! is created.

use device_model::qom_core::{
    Action, CompatFinding, CompatInput, CompatPolicy, CreateError, Feature, Finding, Plan, Policy,
    Subject,
};
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

impl From<CompatInput> for Verdict {
    fn from(action: CompatInput) -> Self {
        match action {
            CompatInput::Accept => Self::Permitted,
            CompatInput::Warn => Self::Warned,
            CompatInput::Reject | CompatInput::Crash => Self::Refused,
        }
    }
}

/// Something that an object has against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Objection {
    /// The property that it is about; none if it is the type itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<&'static str>,
    /// `deprecated` or `unstable`, if it is about that rather than security.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<&'static str>,
    /// What, in one line.
    pub what: String,
    /// Why; none if nobody has made a statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

impl From<&Finding> for Objection {
    fn from(finding: &Finding) -> Self {
        Self {
            property: finding.refusal.property().map(|(property, _)| property),
            feature: None,
            what: finding.refusal.to_string(),
            reason: finding.refusal.reason(),
        }
    }
}

impl From<&CompatFinding> for Objection {
    fn from(finding: &CompatFinding) -> Self {
        Self {
            property: match finding.subject {
                Subject::Property { property, .. } => Some(property),
                _ => None,
            },
            feature: Some(match finding.feature {
                Feature::Deprecated => "deprecated",
                Feature::Unstable => "unstable",
            }),
            what: match finding.action.refuses() {
                true => finding.to_string(),
                false => finding.warning(),
            },
            reason: finding.advice,
        }
    }
}

/// An object of a plan, with what the policies make of it.
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
    /// All objects of a plan, in the order of their creation; after them those that exist and have
    /// something against what the plan would share with them.
    ///
    /// # Errors
    /// If a configuration can't be judged.
    pub fn all(
        plan: &Plan,
        policy: Policy,
        compat: CompatPolicy,
    ) -> Result<Vec<Self>, CreateError> {
        let findings = plan.judge(policy)?;
        let incompatible = plan.judge_compat(compat);
        let judged = plan.objects().iter().map(|planned| {
            let class = planned.class();
            let path = planned.path();
            let against = || findings.iter().filter(|finding| finding.refusal.path() == path);
            let discouraged = || incompatible.iter().filter(|finding| finding.path == path);
            let verdicts = against().map(|finding| Verdict::from(finding.action));
            let verdict =
                verdicts.chain(discouraged().map(|finding| Verdict::from(finding.action))).max();
            // Security comes first.
            let objections =
                against().map(Objection::from).chain(discouraged().map(Objection::from)).collect();
            Self {
                path: path.to_owned(),
                type_name: class.name(),
                security: class.status().name(),
                boundaries: class.boundaries().iter().map(|boundary| boundary.name()).collect(),
                stated_by: class.statement().to_string(),
                origin: planned.origin().to_string(),
                verdict: verdict.unwrap_or(Verdict::Permitted),
                objections,
            }
        });
        let mut judged: Vec<_> = judged.collect();
        let planned = judged.len();
        for finding in &findings {
            let is_of = |judgement: &Self| judgement.path == finding.refusal.path();
            let (plan, existing) = judged.split_at_mut(planned);
            if plan.iter().any(is_of) {
                continue;
            }
            match existing.iter_mut().find(|judgement| is_of(judgement)) {
                Some(judgement) => {
                    judgement.verdict = judgement.verdict.max(finding.action.into());
                    judgement.objections.push(finding.into());
                }
                None => judged.push(Self::of_existing(finding)),
            }
        }
        Ok(judged)
    }

    /// Of an object that is no part of the plan.
    fn of_existing(finding: &Finding) -> Self {
        let refusal = &finding.refusal;
        Self {
            path: refusal.path().to_owned(),
            type_name: refusal.type_name(),
            security: refusal.status().name(),
            boundaries: refusal.boundaries().iter().map(|boundary| boundary.name()).collect(),
            stated_by: refusal.statement().to_string(),
            origin: refusal.origin().to_string(),
            verdict: finding.action.into(),
            objections: vec![finding.into()],
        }
    }
}
