//! Statements of the security policy in `-machine` and `-compat`, and of the compatibility policy in
//! the latter, as they were written.
//!
//! They are only collected here. What several of the security policy come to is not "the last wins",
//! as for other keys, so each one is kept, even where it is given twice in one option.

use device_model::qom_core::{CompatStatement, PolicyStatement, PolicyWordError, Suggestion};

use crate::options::choice::{ChoiceError, not_among, phrase};
use crate::options::excerpt::excerpt;
use crate::options::key::{Key, names};
use crate::options::keyval::{Given, OptionArgs, Syntax, Words, unquoted};

/// The syntax of `-compat`.
pub(super) const COMPAT_SYNTAX: Syntax =
    Syntax { implied_key: None, words: Words::Refused, json: true };

/// Those that stand in `-machine`, beside its properties.
pub(crate) const MACHINE_KEYS: [Key; 2] = [
    Key::switch("require-secure", "Refuse all that is not declared secure, as is the default"),
    Key::switch("prohibit-insecure", "Refuse only what is declared insecure"),
];
/// Those of the security policy that stand in `-compat`.
const SECURITY_KEYS: [&str; 2] = ["insecure-types", "insecure-input"];

/// The keys of `-compat`.
pub(super) fn compat_keys() -> impl Iterator<Item = Key> {
    let security = "What becomes of what is not declared secure: accept, warn, reject or crash";
    let features = "What becomes of what is deprecated or unstable";
    let security = SECURITY_KEYS.into_iter().map(move |name| Key::text(name, security));
    security.chain(CompatStatement::OPTIONS.into_iter().map(move |name| Key::text(name, features)))
}

/// What one `-compat` states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompatStatements {
    /// Of the security policy.
    pub security: Vec<PolicyStatement>,
    /// Of what is deprecated or unstable.
    pub compat: Vec<CompatStatement>,
}

/// Takes the statements out of the value of `-machine`; what is left are the machine's properties.
///
/// # Errors
/// For a value that its key does not take.
pub(super) fn take_from_machine(
    args: &mut OptionArgs,
) -> Result<Vec<PolicyStatement>, PolicyError> {
    args.take_all(|key| names(&MACHINE_KEYS).any(|known| known == key))
        .iter()
        .map(statement)
        .collect()
}

/// Reads the value of `-compat`.
///
/// # Errors
/// For an unknown key, or a value that its key does not take.
pub(super) fn from_compat(mut args: OptionArgs) -> Result<CompatStatements, PolicyError> {
    let keys = || SECURITY_KEYS.into_iter().chain(CompatStatement::OPTIONS);
    let unknown = |key: &str| not_among("key", &excerpt(key), keys());
    let given = args.take_all(|_| true);
    if given.is_empty() {
        return Err(unknown(&args.to_string()).into());
    }
    if let Some((key, _)) = given.iter().find(|(key, _)| !keys().any(|known| known == key)) {
        return Err(unknown(key).into());
    }
    let mut statements = CompatStatements::default();
    for one in &given {
        let (key, value) = one;
        match CompatStatement::parse(key, &excerpt(&unquoted(value)))
            .map_err(|source| PolicyError::Value { key: key.clone(), source })?
        {
            Some(compat) => statements.compat.push(compat),
            None => statements.security.push(statement(one)?),
        }
    }
    Ok(statements)
}

/// One statement; its key is one of those that make some.
fn statement((key, value): &(String, Given)) -> Result<PolicyStatement, PolicyError> {
    // A JSON switch is `true`, which is a switch's word too.
    PolicyStatement::parse(key, &excerpt(&unquoted(value)))
        .map_err(|source| PolicyError::Value { key: key.clone(), source })?
        .ok_or_else(|| not_among("key", &excerpt(key), PolicyStatement::OPTIONS.into_iter()).into())
}

/// Why a statement can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No such key.
    #[error(transparent)]
    Key(#[from] ChoiceError),
    /// No such value.
    #[error(
        "{source} (expected {}){}",
        phrase(source.words.iter().copied()),
        Suggestion::of(&source.given, source.words.iter().copied())
    )]
    Value {
        /// The key.
        key: String,
        /// What is wrong with its value.
        source: PolicyWordError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::keyval::KeyvalError;

    fn machine(text: &str) -> (OptionArgs, Result<Vec<PolicyStatement>, PolicyError>) {
        let mut args = OptionArgs::parse(text, super::super::value::MACHINE_SYNTAX).unwrap();
        let statements = take_from_machine(&mut args);
        (args, statements)
    }

    fn compat(text: &str) -> Result<Vec<PolicyStatement>, PolicyError> {
        from_compat(OptionArgs::parse(text, COMPAT_SYNTAX).unwrap())
            .map(|statements| statements.security)
    }

    /// What is stated of what is deprecated or unstable, and how often something else is.
    fn features(text: &str) -> (Vec<String>, usize) {
        let args = OptionArgs::parse(text, COMPAT_SYNTAX).unwrap();
        let statements = from_compat(args).unwrap();
        let compat = statements.compat.iter().map(ToString::to_string).collect();
        (compat, statements.security.len())
    }

    fn statement(key: &str, value: &str) -> PolicyStatement {
        PolicyStatement::parse(key, value).unwrap().unwrap()
    }

    #[test]
    fn statements_are_taken_out_of_the_machine() {
        let (args, statements) = machine("q35,require-secure=on,usb=off,prohibit-insecure=false");
        assert_eq!(args.implied.as_deref(), Some("q35"));
        assert_eq!(args.entries, [("usb".to_owned(), Given::Text("off".to_owned()))]);
        assert_eq!(
            statements,
            Ok(vec![statement("require-secure", "yes"), statement("prohibit-insecure", "no")])
        );
    }

    #[test]
    fn a_later_statement_does_not_silence_an_earlier_one() {
        assert_eq!(
            machine("q35,require-secure=yes,require-secure=no").1,
            Ok(vec![statement("require-secure", "yes"), statement("require-secure", "no")])
        );
        assert_eq!(
            compat("insecure-types=reject,insecure-types=accept"),
            Ok(vec![statement("insecure-types", "reject"), statement("insecure-types", "accept")])
        );
    }

    #[test]
    fn json_switches_are_switches() {
        let (_, statements) = machine(r#"{"type":"q35","require-secure":true}"#);
        assert_eq!(statements, Ok(vec![statement("require-secure", "yes")]));
        assert_eq!(
            compat(r#"{"insecure-types":"warn"}"#),
            Ok(vec![statement("insecure-types", "warn")])
        );
    }

    #[test]
    fn both_spellings_are_kept_as_they_were_written() {
        for key in ["insecure-types", "insecure-input"] {
            let text = format!("{key}=crash");
            let statements = compat(&text).unwrap();
            assert_eq!(statements, [statement(key, "crash")]);
            assert_eq!(statements[0].to_string(), text);
        }
    }

    #[test]
    fn what_is_said_of_the_deprecated_and_the_unstable_stands_beside_what_is_of_security() {
        assert_eq!(
            features(
                "deprecated-input=reject,unstable-output=hide,insecure-types=warn,\
                 deprecated-input=warn"
            ),
            (
                ["deprecated-input=reject", "unstable-output=hide", "deprecated-input=warn"]
                    .map(str::to_owned)
                    .to_vec(),
                1
            )
        );
        assert_eq!(
            features(r#"{"deprecated-output":"hide","unstable-input":"crash"}"#),
            (["deprecated-output=hide", "unstable-input=crash"].map(str::to_owned).to_vec(), 0)
        );
    }

    #[test]
    fn mistakes_name_what_exists() {
        assert_eq!(
            machine("q35,require-secure=maybe").1.unwrap_err().to_string(),
            "Parameter 'require-secure' does not accept value 'maybe' (expected yes, no, on or off)"
        );
        assert_eq!(
            compat("insecure-type=reject").unwrap_err().to_string(),
            "key: expected insecure-types, insecure-input, deprecated-input, deprecated-output, \
             unstable-input or unstable-output, given 'insecure-type'; \
             did you mean 'insecure-types'?"
        );
        assert_eq!(
            compat("").unwrap_err().to_string(),
            "key: expected insecure-types, insecure-input, deprecated-input, deprecated-output, \
             unstable-input or unstable-output, given ''"
        );
        assert_eq!(
            compat("deprecated-output=reject").unwrap_err().to_string(),
            "Parameter 'deprecated-output' does not accept value 'reject' (expected accept or hide)"
        );
        assert!(matches!(
            OptionArgs::parse("reject", COMPAT_SYNTAX),
            Err(KeyvalError::Word { .. })
        ));
    }
}
