//! How a type stands: what was declared of it, as every list of types tells it.

use device_model::qom_core::{Boundary, Class, SecurityStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is declared of a type, flattened into what describes it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Standing {
    /// What its author says of its security.
    security: Security,
    /// True if it is declared secure, as QEMU's clients read it; left out otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secure: bool,
    /// Where untrusted input reaches it.
    boundaries: Vec<BoundaryName>,
    /// Why it is insecure.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Crate and version that say so.
    stated_by: String,
    /// Whether it will go.
    deprecated: bool,
    /// What to use instead of what will go.
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<&'static str>,
    /// Whether it may change or go without notice.
    unstable: bool,
}

impl Standing {
    pub(super) fn of(class: &Class) -> Self {
        let info = class.info();
        let security = Security::from(info.status);
        Self {
            security,
            secure: security == Security::Secure,
            boundaries: class.boundaries().iter().map(BoundaryName::from).collect(),
            reason: info.status.reason(),
            stated_by: info.statement.to_string(),
            deprecated: info.deprecated.is_some(),
            replacement: info.deprecated,
            unstable: info.unstable,
        }
    }
}

/// What the author of a type says of its security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Security {
    /// Fit for every boundary that it stands at.
    Secure,
    /// Known to be unfit.
    Insecure,
    /// Nothing yet.
    Undeclared,
}

impl From<SecurityStatus> for Security {
    fn from(status: SecurityStatus) -> Self {
        match status {
            SecurityStatus::Secure => Self::Secure,
            SecurityStatus::Insecure { .. } => Self::Insecure,
            SecurityStatus::Undeclared => Self::Undeclared,
        }
    }
}

/// A place where untrusted input enters.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum BoundaryName {
    /// The guest.
    Guest,
    /// Files that somebody else made.
    File,
    /// The network.
    Network,
    /// Programs that connect.
    Client,
    /// Devices of the host that are handed to a guest.
    Passthrough,
    /// The monitor.
    Management,
}

impl From<Boundary> for BoundaryName {
    fn from(boundary: Boundary) -> Self {
        match boundary {
            Boundary::Guest => Self::Guest,
            Boundary::File => Self::File,
            Boundary::Network => Self::Network,
            Boundary::Client => Self::Client,
            Boundary::Passthrough => Self::Passthrough,
            Boundary::Management => Self::Management,
        }
    }
}
