//! The event that something exists which require-secure would have refused.

use qom_core::Finding;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    monitor::{Event, register_event},
    platform::Platform,
};

/// Something exists, or has a value, that require-secure would have refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SecurityTainted {
    /// Path of the object.
    pub path: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// The property whose value is insecure; none if it is the type itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<&'static str>,
    /// What the type is declared to be: `secure`, `insecure` or `undeclared`.
    pub status: &'static str,
    /// Why it is insecure; none if nobody has made a statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
}

impl Event for SecurityTainted {
    const NAME: &'static str = "SECURITY_TAINTED";
    const CAUSED_BY_GUEST: bool = false;
}

register_event!(SecurityTainted);

impl From<&Finding> for SecurityTainted {
    fn from(finding: &Finding) -> Self {
        let cause = &finding.refusal;
        Self {
            path: cause.path().to_owned(),
            type_name: cause.type_name(),
            property: cause.property().map(|(property, _)| property),
            status: cause.status().name(),
            reason: cause.reason(),
        }
    }
}

/// Tells all monitors of what taints a VM from now on: whoever creates or changes something calls
/// it with what was found.
pub fn announce_taints(platform: &Platform, findings: &[Finding]) {
    for finding in findings {
        platform.announce(&SecurityTainted::from(finding));
    }
}
