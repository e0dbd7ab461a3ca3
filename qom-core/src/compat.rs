//! The compatibility policy: whether what is deprecated or unstable may still be given, and whether
//! it is still told. It says nothing of security, and is resolved apart from that.

mod finding;

use std::fmt;

use crate::policy::PolicyWordError;

pub use finding::{CompatFinding, Subject, UNSTABLE};
pub(crate) use finding::{judge, judge_property, judge_type, rejected};

/// Why somebody may want to do without something: QEMU's special features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// It will go.
    Deprecated,
    /// It may change or go without notice.
    Unstable,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deprecated => "deprecated",
            Self::Unstable => "unstable",
        })
    }
}

/// The features that something has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Whether it will go.
    pub deprecated: bool,
    /// Whether it may change or go without notice.
    pub unstable: bool,
}

impl Features {
    /// Neither.
    pub const NONE: Self = Self { deprecated: false, unstable: false };

    /// Each that it has.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        let deprecated = self.deprecated.then_some(Feature::Deprecated);
        deprecated.into_iter().chain(self.unstable.then_some(Feature::Unstable))
    }
}

/// What becomes of something deprecated or unstable that somebody gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CompatInput {
    /// It is taken.
    #[default]
    Accept,
    /// It is taken, and a warning says so.
    Warn,
    /// It is an error.
    Reject,
    /// As [`Self::Reject`], and the process aborts at the attempt, so that a test harness sees where
    /// it came from.
    Crash,
}

impl CompatInput {
    /// Its words, and what each means.
    const WORDS: Words<Self, 4> = Words {
        words: &["accept", "reject", "crash", "warn"],
        meanings: [Self::Accept, Self::Reject, Self::Crash, Self::Warn],
    };

    /// Whether it is an error.
    #[must_use]
    pub const fn refuses(self) -> bool {
        matches!(self, Self::Reject | Self::Crash)
    }
}

/// What becomes of something deprecated or unstable that would be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompatOutput {
    /// It is told.
    #[default]
    Accept,
    /// It is left out.
    Hide,
}

impl CompatOutput {
    /// Its words, and what each means.
    const WORDS: Words<Self, 2> =
        Words { words: &["accept", "hide"], meanings: [Self::Accept, Self::Hide] };
}

/// One statement of a user about what is deprecated or unstable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompatStatement {
    /// `deprecated-input=…` or `unstable-input=…`
    Input(Feature, CompatInput),
    /// `deprecated-output=…` or `unstable-output=…`
    Output(Feature, CompatOutput),
}

impl CompatStatement {
    /// The options that state something.
    pub const OPTIONS: [&'static str; 4] =
        ["deprecated-input", "deprecated-output", "unstable-input", "unstable-output"];

    /// Reads `option=value`. None if no such option states anything.
    ///
    /// # Errors
    /// If the option does not take the value.
    pub fn parse(option: &str, value: &str) -> Result<Option<Self>, PolicyWordError> {
        use Feature::{Deprecated, Unstable};
        let input = |feature| Ok(Self::Input(feature, CompatInput::WORDS.read(option, value)?));
        let output = |feature| Ok(Self::Output(feature, CompatOutput::WORDS.read(option, value)?));
        match option {
            "deprecated-input" => input(Deprecated).map(Some),
            "deprecated-output" => output(Deprecated).map(Some),
            "unstable-input" => input(Unstable).map(Some),
            "unstable-output" => output(Unstable).map(Some),
            _ => Ok(None),
        }
    }
}

/// Words and what each means, in the same order.
struct Words<T, const N: usize> {
    words: &'static [&'static str; N],
    meanings: [T; N],
}

impl<T: Copy + PartialEq, const N: usize> Words<T, N> {
    fn read(&self, option: &str, value: &str) -> Result<T, PolicyWordError> {
        let mut both = self.words.iter().zip(self.meanings);
        both.find(|(word, _)| **word == value)
            .map(|(_, meaning)| meaning)
            .ok_or_else(|| PolicyWordError::new(option, value, self.words))
    }

    fn spell(&self, meaning: T) -> &'static str {
        let mut both = self.words.iter().zip(self.meanings);
        both.find(|(_, other)| *other == meaning).map_or("", |(word, _)| word)
    }
}

/// As it was written.
impl fmt::Display for CompatStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(feature, action) => {
                write!(f, "{feature}-input={}", CompatInput::WORDS.spell(*action))
            }
            Self::Output(feature, action) => {
                write!(f, "{feature}-output={}", CompatOutput::WORDS.spell(*action))
            }
        }
    }
}

/// Whether what is deprecated or unstable may be given, and whether it is told. The default takes
/// and tells all.
///
/// ```
/// use qom_core::{CompatInput, CompatPolicy, CompatStatement, Feature::*};
///
/// let reject = CompatStatement::Input(Deprecated, CompatInput::Reject);
/// let warn = CompatStatement::Input(Deprecated, CompatInput::Warn);
/// let policy = CompatPolicy::of([reject, warn]);
/// assert_eq!(policy.input(Deprecated), CompatInput::Warn);
/// assert_eq!(policy.input(Unstable), CompatInput::Accept);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompatPolicy {
    deprecated_input: CompatInput,
    deprecated_output: CompatOutput,
    unstable_input: CompatInput,
    unstable_output: CompatOutput,
}

impl CompatPolicy {
    /// The policy that follows from all statements: of those about the same thing the last holds, as
    /// in QEMU.
    pub fn of(statements: impl IntoIterator<Item = CompatStatement>) -> Self {
        let mut policy = Self::default();
        for statement in statements {
            match statement {
                CompatStatement::Input(Feature::Deprecated, action) => {
                    policy.deprecated_input = action;
                }
                CompatStatement::Input(Feature::Unstable, action) => policy.unstable_input = action,
                CompatStatement::Output(Feature::Deprecated, action) => {
                    policy.deprecated_output = action;
                }
                CompatStatement::Output(Feature::Unstable, action) => {
                    policy.unstable_output = action;
                }
            }
        }
        policy
    }

    /// What becomes of something with that feature that somebody gives.
    #[must_use]
    pub const fn input(self, feature: Feature) -> CompatInput {
        match feature {
            Feature::Deprecated => self.deprecated_input,
            Feature::Unstable => self.unstable_input,
        }
    }

    /// What becomes of something with that feature that would be told.
    #[must_use]
    pub const fn output(self, feature: Feature) -> CompatOutput {
        match feature {
            Feature::Deprecated => self.deprecated_output,
            Feature::Unstable => self.unstable_output,
        }
    }

    /// Whether everything may be given, without a word.
    #[must_use]
    pub fn accepts_all_input(self) -> bool {
        self.deprecated_input == CompatInput::Accept && self.unstable_input == CompatInput::Accept
    }

    /// Whether anything is left out of what is told.
    #[must_use]
    pub fn hides_anything(self) -> bool {
        self.deprecated_output == CompatOutput::Hide || self.unstable_output == CompatOutput::Hide
    }

    /// What becomes of something that somebody gives, and for which of its features: the one that is
    /// treated most strictly. None if it is taken without a word.
    #[must_use]
    pub fn judge(self, features: Features) -> Option<(Feature, CompatInput)> {
        let mut strictest = None;
        for feature in features.iter() {
            let action = self.input(feature);
            if action > strictest.map_or(CompatInput::Accept, |(_, action)| action) {
                strictest = Some((feature, action));
            }
        }
        strictest
    }

    /// Whether something is left out of what is told.
    #[must_use]
    pub fn hides(self, features: Features) -> bool {
        features.iter().any(|feature| self.output(feature) == CompatOutput::Hide)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Feature::{Deprecated, Unstable},
        *,
    };

    const BOTH: Features = Features { deprecated: true, unstable: true };

    fn policy(statements: &[(&str, &str)]) -> CompatPolicy {
        let parse = |(option, value): &(&str, &str)| {
            CompatStatement::parse(option, value).expect("a word").expect("an option")
        };
        CompatPolicy::of(statements.iter().map(parse))
    }

    #[test]
    fn nothing_is_refused_or_hidden_unless_somebody_says_so() {
        let policy = policy(&[]);
        assert!(policy.accepts_all_input() && !policy.hides_anything());
        assert_eq!(policy.judge(BOTH), None);
        assert!(!policy.hides(BOTH));
    }

    #[test]
    fn of_statements_about_one_thing_the_last_holds() {
        let policy = policy(&[
            ("deprecated-input", "reject"),
            ("unstable-input", "warn"),
            ("deprecated-output", "hide"),
            ("deprecated-input", "accept"),
        ]);
        assert_eq!(policy.input(Deprecated), CompatInput::Accept);
        assert_eq!(policy.input(Unstable), CompatInput::Warn);
        assert_eq!(policy.output(Deprecated), CompatOutput::Hide);
        assert_eq!(policy.output(Unstable), CompatOutput::Accept);
    }

    #[test]
    fn the_feature_that_is_treated_most_strictly_decides() {
        let both = |deprecated, unstable| {
            policy(&[("deprecated-input", deprecated), ("unstable-input", unstable)]).judge(BOTH)
        };
        assert_eq!(both("warn", "reject"), Some((Unstable, CompatInput::Reject)));
        assert_eq!(both("reject", "reject"), Some((Deprecated, CompatInput::Reject)));
        assert_eq!(both("crash", "reject"), Some((Deprecated, CompatInput::Crash)));
        assert_eq!(both("accept", "warn"), Some((Unstable, CompatInput::Warn)));
        let deprecated = Features { deprecated: true, unstable: false };
        assert_eq!(policy(&[("unstable-input", "crash")]).judge(deprecated), None);
        assert!(policy(&[("unstable-output", "hide")]).hides(BOTH));
        assert!(!policy(&[("unstable-output", "hide")]).hides(deprecated));
    }

    #[test]
    fn every_word_is_read_and_shown_as_it_was_written() {
        for option in CompatStatement::OPTIONS {
            let words: &[&str] = match option.ends_with("-input") {
                true => &["accept", "reject", "crash", "warn"],
                false => &["accept", "hide"],
            };
            for word in words {
                let statement = CompatStatement::parse(option, word).expect("a word");
                assert_eq!(statement.expect("an option").to_string(), format!("{option}={word}"));
            }
            let error = CompatStatement::parse(option, "maybe").expect_err("it is no word");
            assert_eq!(error.words, words);
            let text = format!("Parameter '{option}' does not accept value 'maybe'");
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(CompatStatement::parse("insecure-types", "accept"), Ok(None));
        assert!(CompatStatement::parse("deprecated-input", "hide").is_err());
        assert!(CompatStatement::parse("deprecated-output", "reject").is_err());
    }
}
