//! What a type's author said about its fitness for a security boundary.

use std::fmt;

/// The security status of one type. Stated where the type is defined, never inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecurityStatus {
    /// Supported for use cases that need every boundary the type stands at: a flaw in it that
    /// crosses one is a vulnerability. It says nothing about maturity or speed.
    Secure,
    /// Known to be unfit, for this reason.
    Insecure {
        /// Why, in words for the user whose configuration is refused.
        reason: &'static str,
    },
    /// Nobody has made a statement yet.
    Undeclared,
}

impl SecurityStatus {
    /// `secure`, `insecure` or `undeclared`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Insecure { .. } => "insecure",
            Self::Undeclared => "undeclared",
        }
    }

    /// The reason that an insecure type was given.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Insecure { reason } => Some(reason),
            Self::Secure | Self::Undeclared => None,
        }
    }
}

impl fmt::Display for SecurityStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
