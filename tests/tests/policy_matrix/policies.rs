//! The policies that a user can state, and what each makes of a status.

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Permit,
    Warn,
    Refuse,
}

/// Options, and what they make of what is undeclared and of what is insecure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) options: &'static str,
    pub(crate) undeclared: Action,
    pub(crate) insecure: Action,
}

impl Policy {
    /// What becomes of something of that status, as `types --json` words it.
    pub(crate) fn action(self, security: &str) -> Action {
        match security {
            "secure" => Action::Permit,
            "insecure" => self.insecure,
            "undeclared" => self.undeclared,
            other => panic!("{other} is no status"),
        }
    }
}

const fn policy(options: &'static str, undeclared: Action, insecure: Action) -> Policy {
    Policy { options, undeclared, insecure }
}

/// What holds if nobody states anything.
pub(crate) const DEFAULT: Policy = policy("", Action::Refuse, Action::Refuse);
/// What lets everything pass.
pub(crate) const ACCEPT: Policy =
    policy("-compat insecure-types=accept", Action::Permit, Action::Permit);

/// The statements by themselves, and statements together, of which the stricter holds.
pub(crate) const POLICIES: [Policy; 11] = [
    DEFAULT,
    policy("-machine require-secure=yes", Action::Refuse, Action::Refuse),
    policy("-compat insecure-types=reject", Action::Refuse, Action::Refuse),
    policy("-compat insecure-input=reject", Action::Refuse, Action::Refuse),
    policy("-machine prohibit-insecure=yes", Action::Permit, Action::Refuse),
    policy("-machine prohibit-insecure=no", Action::Refuse, Action::Refuse),
    policy("-compat insecure-types=warn", Action::Warn, Action::Warn),
    ACCEPT,
    policy("-machine require-secure=no", Action::Permit, Action::Permit),
    policy(
        "-compat insecure-types=accept -machine require-secure=yes",
        Action::Refuse,
        Action::Refuse,
    ),
    policy(
        "-compat insecure-types=warn -machine prohibit-insecure=yes",
        Action::Warn,
        Action::Refuse,
    ),
];
