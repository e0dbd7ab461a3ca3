//! What somebody gives that is deprecated or unstable, and what becomes of it.

use std::{collections::BTreeMap, fmt};

use super::{CompatInput, CompatPolicy, Feature, Features};
use crate::{
    PropertyInfo, TypeInfo,
    class::Class,
    configuration::{Setting, Source},
    error::CreateError,
    request::{Origin, Origins},
};

/// What is said of everything unstable.
pub const UNSTABLE: &str = "it may change or go without notice";

/// What is deprecated or unstable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A command of the machine protocol.
    Command(String),
    /// An argument of one, or a member of that.
    Parameter(String),
    /// A value of one that is one of several words.
    Value(String),
    /// A type of which an object is to be.
    Type(&'static str),
    /// A property that is given.
    Property {
        /// The type of the object.
        type_name: &'static str,
        /// Its name.
        property: &'static str,
    },
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(name) => write!(f, "command {name}"),
            Self::Parameter(name) => write!(f, "parameter '{name}'"),
            Self::Value(name) => write!(f, "value '{name}'"),
            Self::Type(name) => write!(f, "type '{name}'"),
            Self::Property { type_name, property } => {
                write!(f, "property '{type_name}.{property}'")
            }
        }
    }
}

/// Something deprecated or unstable that somebody gives, and that is not taken without a word. Shown,
/// it is the one line that whoever gave it gets if it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompatFinding {
    /// What.
    pub subject: Subject,
    /// Which of the two it is.
    pub feature: Feature,
    /// What to do about it, if its author said.
    pub advice: Option<&'static str>,
    /// What becomes of it.
    pub action: CompatInput,
    /// Canonical path of the object; empty if it is about none.
    pub path: String,
    /// Who gave it, if the answer does not go there anyway.
    pub origin: Option<Origin>,
}

impl CompatFinding {
    /// What a policy makes of something that somebody gives. None if it is taken without a word.
    #[must_use]
    pub fn of(
        policy: CompatPolicy,
        features: Features,
        replacement: Option<&'static str>,
        subject: impl FnOnce() -> Subject,
    ) -> Option<Self> {
        let (feature, action) = policy.judge(features)?;
        let advice = match feature {
            Feature::Deprecated => replacement,
            Feature::Unstable => Some(UNSTABLE),
        };
        let (subject, path) = (subject(), String::new());
        Some(Self { subject, feature, advice, action, path, origin: None })
    }

    /// What a warning says, in place of a refusal.
    #[must_use]
    pub fn warning(&self) -> String {
        let advice = self.advice.map(|advice| format!(": {advice}")).unwrap_or_default();
        format!("{} is {}{advice}", self.subject, self.feature)
    }

    /// What to do about a refusal.
    #[must_use]
    pub fn explanation(&self) -> String {
        let advice = self.advice.map(|advice| format!("reason: {advice}; ")).unwrap_or_default();
        format!("{advice}to allow it: -compat {}-input=accept", self.feature)
    }
}

impl fmt::Display for CompatFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.feature {
            Feature::Deprecated => "Deprecated",
            Feature::Unstable => "Unstable",
        })?;
        write!(f, " {} disabled by policy", self.subject)
    }
}

impl std::error::Error for CompatFinding {}

impl TypeInfo {
    /// What is said of the type's life. Never inherited.
    #[must_use]
    pub const fn features(&self) -> Features {
        Features { deprecated: self.deprecated.is_some(), unstable: self.unstable }
    }
}

impl PropertyInfo {
    /// What is said of the property's life.
    #[must_use]
    pub const fn features(&self) -> Features {
        Features { deprecated: self.deprecated.is_some(), unstable: self.unstable }
    }
}

/// All that one object is configured to be and that is not taken without a word: its type whoever
/// brings it, and the properties that a global setting or, if it is `requested`, the asker gives.
pub(crate) fn judge(
    policy: CompatPolicy,
    class: &Class,
    path: &str,
    settings: &BTreeMap<&'static str, Setting>,
    requested: bool,
    origins: &Origins,
) -> Vec<CompatFinding> {
    let mut findings = Vec::from_iter(judge_type(policy, class, path, origins.object()));
    for (info, _) in class.properties() {
        let given = match settings.get(info.name).map(|setting| setting.source) {
            Some(Source::Given) => requested,
            Some(Source::Global) => true,
            Some(Source::Default) | None => false,
        };
        if given && let Some(finding) = judge_property(policy, class, info) {
            let origin = Some(origins.of(Some(info.name)).clone());
            findings.push(CompatFinding { path: path.to_owned(), origin, ..finding });
        }
    }
    findings
}

/// What becomes of an object of a class, whatever its configuration.
pub(crate) fn judge_type(
    policy: CompatPolicy,
    class: &Class,
    path: &str,
    origin: &Origin,
) -> Option<CompatFinding> {
    let info = class.info();
    let subject = || Subject::Type(class.name());
    let finding = CompatFinding::of(policy, info.features(), info.deprecated, subject)?;
    Some(CompatFinding { path: path.to_owned(), origin: Some(origin.clone()), ..finding })
}

/// What becomes of a property that is given for an object of a class.
pub(crate) fn judge_property(
    policy: CompatPolicy,
    class: &Class,
    info: &PropertyInfo,
) -> Option<CompatFinding> {
    let subject = || Subject::Property { type_name: class.name(), property: info.name };
    CompatFinding::of(policy, info.features(), info.deprecated, subject)
}

/// Those that are refused, as an error if there are any.
pub(crate) fn rejected(findings: &[CompatFinding]) -> Result<(), CreateError> {
    let refused: Vec<_> =
        findings.iter().filter(|finding| finding.action.refuses()).cloned().collect();
    if refused.is_empty() { Ok(()) } else { Err(CreateError::Incompatible(refused)) }
}
