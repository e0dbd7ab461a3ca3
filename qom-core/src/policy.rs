//! The policy: what may exist, given what types and values were declared to be.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

use crate::SecurityStatus;

/// What becomes of something that is not declared secure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It may exist.
    Permit,
    /// It may exist, and a warning says so.
    Warn,
    /// It may not.
    Refuse,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::Warn => "warn",
            Self::Refuse => "refuse",
        })
    }
}

/// One statement of a user about what may exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyStatement {
    /// `require-secure=yes|no`
    RequireSecure(bool),
    /// `prohibit-insecure=yes|no`
    ProhibitInsecure(bool),
    /// `insecure-types=accept|warn|reject|crash`
    InsecureTypes(InsecureTypes),
    /// The same, spelled `insecure-input`
    InsecureInput(InsecureTypes),
}

/// The values of `insecure-types`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsecureTypes {
    /// Everything may exist.
    Accept,
    /// Everything may exist, with a warning.
    Warn,
    /// Only what is declared secure may exist.
    Reject,
    /// As [`Self::Reject`], and the process aborts at the attempt, so that a test harness sees
    /// where it came from.
    Crash,
}

impl InsecureTypes {
    const WORDS: [(&'static str, Self); 4] = [
        ("accept", Self::Accept),
        ("warn", Self::Warn),
        ("reject", Self::Reject),
        ("crash", Self::Crash),
    ];

    fn word(self) -> &'static str {
        let word = Self::WORDS.into_iter().find(|(_, other)| *other == self);
        word.map_or("", |(word, _)| word)
    }
}

/// A word that is none of the values of a policy option. Shown, it is the sentence that a program
/// expects; a command line can say more.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Parameter '{option}' does not accept value '{given}'")]
pub struct PolicyWordError {
    option: String,
    /// The word given.
    pub given: String,
    /// The words that are accepted.
    pub words: &'static [&'static str],
}

impl PolicyWordError {
    pub(crate) fn new(option: &str, given: &str, words: &'static [&'static str]) -> Self {
        Self { option: option.to_owned(), given: given.to_owned(), words }
    }
}

impl PolicyStatement {
    /// Names of the options that make statements.
    pub const OPTIONS: [&'static str; 4] =
        ["require-secure", "prohibit-insecure", "insecure-types", "insecure-input"];

    /// Reads `option=value`. None if the option is none of [`Self::OPTIONS`].
    ///
    /// # Errors
    /// If the value is none of the option's.
    pub fn parse(option: &str, value: &str) -> Result<Option<Self>, PolicyWordError> {
        let refuse = |words| PolicyWordError::new(option, value, words);
        let switch = || match value {
            "yes" | "on" | "true" | "y" => Ok(true),
            "no" | "off" | "false" | "n" => Ok(false),
            _ => Err(refuse(&["yes", "no", "on", "off"])),
        };
        let action = || {
            let found = InsecureTypes::WORDS.into_iter().find(|(word, _)| *word == value);
            found
                .map(|(_, action)| action)
                .ok_or_else(|| refuse(&["accept", "warn", "reject", "crash"]))
        };
        Ok(Some(match option {
            "require-secure" => Self::RequireSecure(switch()?),
            "prohibit-insecure" => Self::ProhibitInsecure(switch()?),
            "insecure-types" => Self::InsecureTypes(action()?),
            "insecure-input" => Self::InsecureInput(action()?),
            _ => return Ok(None),
        }))
    }

    /// The actions it asks for, as (undeclared, insecure); none if it states nothing.
    #[must_use]
    pub const fn actions(self) -> Option<(Action, Action)> {
        use Action::{Permit, Refuse, Warn};
        match self {
            Self::RequireSecure(true) => Some((Refuse, Refuse)),
            Self::RequireSecure(false) => Some((Permit, Permit)),
            Self::ProhibitInsecure(true) => Some((Permit, Refuse)),
            Self::ProhibitInsecure(false) => None,
            Self::InsecureTypes(action) | Self::InsecureInput(action) => Some(match action {
                InsecureTypes::Accept => (Permit, Permit),
                InsecureTypes::Warn => (Warn, Warn),
                InsecureTypes::Reject | InsecureTypes::Crash => (Refuse, Refuse),
            }),
        }
    }

    /// Whether it asks for the process to abort at a refusal.
    const fn aborts(self) -> bool {
        matches!(
            self,
            Self::InsecureTypes(InsecureTypes::Crash) | Self::InsecureInput(InsecureTypes::Crash)
        )
    }
}

/// As it was written.
impl fmt::Display for PolicyStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = |on| if on { "yes" } else { "no" };
        match self {
            Self::RequireSecure(on) => write!(f, "require-secure={}", switch(*on)),
            Self::ProhibitInsecure(on) => write!(f, "prohibit-insecure={}", switch(*on)),
            Self::InsecureTypes(action) => write!(f, "insecure-types={}", action.word()),
            Self::InsecureInput(action) => write!(f, "insecure-input={}", action.word()),
        }
    }
}

/// What may exist: one action for what is undeclared, one for what is declared insecure.
///
/// The default refuses both, and holds only if nobody states anything; otherwise the policy is the
/// strictest of all statements, for each action by itself.
///
/// ```
/// use qom_core::{Action, Policy, PolicyStatement::*, InsecureTypes};
///
/// assert_eq!(Policy::default(), Policy::of(&[RequireSecure(true)]));
/// let policy = Policy::of(&[RequireSecure(false), ProhibitInsecure(true)]);
/// assert_eq!((policy.undeclared(), policy.insecure()), (Action::Permit, Action::Refuse));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    undeclared: Action,
    insecure: Action,
    #[serde(skip)]
    abort: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { undeclared: Action::Refuse, insecure: Action::Refuse, abort: false }
    }
}

/// A statement came too late to be followed, since it would loosen the policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{statement}' would loosen the security policy, which can only be raised")]
pub struct LooseningError {
    /// What was asked for.
    pub statement: PolicyStatement,
}

impl Policy {
    /// The policy that follows from all statements made before anything is created.
    #[must_use]
    pub fn of(statements: &[PolicyStatement]) -> Self {
        let mut stated: Option<Self> = None;
        let mut abort = false;
        for statement in statements {
            abort |= statement.aborts();
            if let Some((undeclared, insecure)) = statement.actions() {
                let so_far = stated.unwrap_or(Self {
                    undeclared: Action::Permit,
                    insecure: Action::Permit,
                    abort,
                });
                stated = Some(Self {
                    undeclared: so_far.undeclared.max(undeclared),
                    insecure: so_far.insecure.max(insecure),
                    abort,
                });
            }
        }
        Self { abort, ..stated.unwrap_or_default() }
    }

    /// The policy after a later statement: the stricter of the two, for each action by itself, as
    /// it would have been had the statement been made at the start.
    ///
    /// # Errors
    /// If the statement asks for less than what is in force and for nothing more: it can't be
    /// followed, and whoever made it should know.
    pub fn raised(self, statement: PolicyStatement) -> Result<Self, LooseningError> {
        let Some((undeclared, insecure)) = statement.actions() else { return Ok(self) };
        let raised = Self {
            undeclared: self.undeclared.max(undeclared),
            insecure: self.insecure.max(insecure),
            abort: self.abort || statement.aborts(),
        };
        let asks_for_less = undeclared < self.undeclared || insecure < self.insecure;
        if asks_for_less && raised == self {
            return Err(LooseningError { statement });
        }
        Ok(raised)
    }

    /// What becomes of undeclared types.
    #[must_use]
    pub const fn undeclared(self) -> Action {
        self.undeclared
    }

    /// What becomes of insecure types, and of insecure values of properties.
    #[must_use]
    pub const fn insecure(self) -> Action {
        self.insecure
    }

    /// Whether the process aborts at a refusal, as `insecure-input=crash` asks.
    #[must_use]
    pub const fn aborts(self) -> bool {
        self.abort
    }

    /// What becomes of a type of this status.
    #[must_use]
    pub const fn action(self, status: SecurityStatus) -> Action {
        match status {
            SecurityStatus::Secure => Action::Permit,
            SecurityStatus::Undeclared => self.undeclared,
            SecurityStatus::Insecure { .. } => self.insecure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Action::{Permit, Refuse, Warn},
        InsecureTypes::{Accept, Crash, Reject, Warn as WarnTypes},
        PolicyStatement::{InsecureInput, InsecureTypes, ProhibitInsecure, RequireSecure},
        *,
    };

    fn actions(statements: &[PolicyStatement]) -> (Action, Action) {
        let policy = Policy::of(statements);
        (policy.undeclared(), policy.insecure())
    }

    #[test]
    fn each_statement_alone_means_what_it_always_means() {
        assert_eq!(actions(&[]), (Refuse, Refuse));
        assert_eq!(actions(&[RequireSecure(true)]), (Refuse, Refuse));
        assert_eq!(actions(&[InsecureTypes(Reject)]), (Refuse, Refuse));
        assert_eq!(actions(&[InsecureTypes(Crash)]), (Refuse, Refuse));
        assert_eq!(actions(&[ProhibitInsecure(true)]), (Permit, Refuse));
        assert_eq!(actions(&[InsecureTypes(WarnTypes)]), (Warn, Warn));
        assert_eq!(actions(&[InsecureTypes(Accept)]), (Permit, Permit));
        assert_eq!(actions(&[RequireSecure(false)]), (Permit, Permit));
        assert_eq!(actions(&[ProhibitInsecure(false)]), (Refuse, Refuse), "it states nothing");
    }

    #[test]
    fn statements_combine_to_their_pointwise_maximum_in_any_order() {
        let all = [
            RequireSecure(true),
            RequireSecure(false),
            ProhibitInsecure(true),
            ProhibitInsecure(false),
            InsecureTypes(Accept),
            InsecureTypes(WarnTypes),
            InsecureTypes(Reject),
            InsecureTypes(Crash),
        ];
        for a in all {
            for b in all {
                let expected = match (a.actions(), b.actions()) {
                    (Some(a), Some(b)) => (a.0.max(b.0), a.1.max(b.1)),
                    (Some(one), None) | (None, Some(one)) => one,
                    (None, None) => (Refuse, Refuse),
                };
                assert_eq!(actions(&[a, b]), expected, "{a} {b}");
                assert_eq!(actions(&[b, a]), expected, "{b} {a}");
            }
        }
        assert_eq!(actions(&[InsecureTypes(WarnTypes), ProhibitInsecure(true)]), (Warn, Refuse));
    }

    #[test]
    fn a_later_statement_can_only_raise() {
        let warn = Policy::of(&[InsecureTypes(WarnTypes)]);
        assert!(warn.raised(RequireSecure(false)).is_err());
        assert!(warn.raised(InsecureTypes(Accept)).is_err());
        let raised = warn.raised(ProhibitInsecure(true)).expect("it refuses the insecure");
        assert_eq!((raised.undeclared(), raised.insecure()), (Warn, Refuse), "as at the start");
        assert_eq!(raised, Policy::of(&[InsecureTypes(WarnTypes), ProhibitInsecure(true)]));
        assert!(Policy::default().raised(ProhibitInsecure(true)).is_err(), "it raises nothing");
        assert_eq!(warn.raised(ProhibitInsecure(false)), Ok(warn));
        assert_eq!(warn.raised(RequireSecure(true)), Ok(Policy::default()));
        let error = Policy::default().raised(RequireSecure(false)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "'require-secure=no' would loosen the security policy, which can only be raised"
        );
    }

    #[test]
    fn both_spellings_and_every_word_are_read() {
        for (word, action) in super::InsecureTypes::WORDS {
            for (option, expected) in [
                ("insecure-types", InsecureTypes(action)),
                ("insecure-input", InsecureInput(action)),
            ] {
                assert_eq!(PolicyStatement::parse(option, word), Ok(Some(expected)));
                assert_eq!(expected.to_string(), format!("{option}={word}"));
                assert_eq!(expected.actions(), InsecureTypes(action).actions());
                assert_eq!(Policy::of(&[expected]), Policy::of(&[InsecureTypes(action)]));
            }
        }
        assert_eq!(PolicyStatement::parse("pit", "on"), Ok(None));
        let error = PolicyStatement::parse("insecure-types", "rejct").unwrap_err();
        assert_eq!(error.to_string(), "Parameter 'insecure-types' does not accept value 'rejct'");
        assert_eq!(error.words, ["accept", "warn", "reject", "crash"]);
        assert!(Policy::of(&[InsecureTypes(Crash), RequireSecure(false)]).aborts());
    }
}
