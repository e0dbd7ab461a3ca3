//! Statements of the security policy in `-machine` and `-compat`, as they were written.
//!
//! They are only collected here. What several of them come to is not "the last wins", as for other
//! keys, so each one is kept, even where it is given twice in one option.

use crate::options::choice::{ChoiceError, ON_OFF, choose, not_among};
use crate::options::excerpt::excerpt;
use crate::options::keyval::{Given, OptionArgs, Syntax, Words, unquoted};

/// The syntax of `-compat`.
pub(super) const COMPAT_SYNTAX: Syntax =
    Syntax { implied_key: None, words: Words::Refused, json: true };

/// One statement about what may be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyStatement {
    /// `require-secure`, `prohibit-insecure`, `insecure-types` or `insecure-input`.
    pub key: &'static str,
    /// `yes` or `no` for the first two, whichever spelling was used; `accept`, `warn` or `reject`
    /// for the others, and `crash` for the last.
    pub value: &'static str,
}

const MACHINE_KEYS: [&str; 2] = ["require-secure", "prohibit-insecure"];
const COMPAT_KEYS: [&str; 2] = ["insecure-types", "insecure-input"];
const ACTIONS: [(&str, &str); 4] =
    [("accept", "accept"), ("warn", "warn"), ("reject", "reject"), ("crash", "crash")];

/// Takes the statements out of the value of `-machine`; what is left are the machine's properties.
///
/// # Errors
/// [`ChoiceError`] for a value that is no switch.
pub(super) fn take_from_machine(
    args: &mut OptionArgs,
) -> Result<Vec<PolicyStatement>, ChoiceError> {
    let statements = args.take_all(|key| MACHINE_KEYS.contains(&key));
    let statement = |(key, value): (String, Given)| {
        let key = choose("key", &key, &MACHINE_KEYS.map(|key| (key, key)))?;
        let on = choose(key, &unquoted(&value), &ON_OFF)?;
        Ok(PolicyStatement { key, value: if on { "yes" } else { "no" } })
    };
    statements.into_iter().map(statement).collect()
}

/// Reads the value of `-compat`.
///
/// # Errors
/// [`ChoiceError`] for an unknown key, or a value that its key does not take.
pub(super) fn from_compat(mut args: OptionArgs) -> Result<Vec<PolicyStatement>, ChoiceError> {
    let statement = |(key, value): (String, Given)| {
        let key = choose("key", &key, &COMPAT_KEYS.map(|key| (key, key)))?;
        let actions = if key == "insecure-input" { &ACTIONS[..] } else { &ACTIONS[..3] };
        let value = choose(key, &unquoted(&value), actions)?;
        Ok(PolicyStatement { key, value })
    };
    let given = args.take_all(|_| true);
    if given.is_empty() {
        return Err(not_among("key", &excerpt(&args.to_string()), COMPAT_KEYS.into_iter()));
    }
    given.into_iter().map(statement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::keyval::KeyvalError;

    fn machine(text: &str) -> (OptionArgs, Result<Vec<PolicyStatement>, ChoiceError>) {
        let mut args = OptionArgs::parse(text, super::super::value::MACHINE_SYNTAX).unwrap();
        let statements = take_from_machine(&mut args);
        (args, statements)
    }

    fn compat(text: &str) -> Result<Vec<PolicyStatement>, ChoiceError> {
        from_compat(OptionArgs::parse(text, COMPAT_SYNTAX).unwrap())
    }

    fn statement(key: &'static str, value: &'static str) -> PolicyStatement {
        PolicyStatement { key, value }
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
    fn only_insecure_input_can_crash() {
        assert_eq!(compat("insecure-input=crash"), Ok(vec![statement("insecure-input", "crash")]));
        assert_eq!(
            compat("insecure-types=crash").unwrap_err().to_string(),
            "insecure-types: expected accept, warn or reject, given 'crash'"
        );
    }

    #[test]
    fn mistakes_name_what_exists() {
        assert_eq!(
            machine("q35,require-secure=maybe").1.unwrap_err().to_string(),
            "require-secure: expected on, off, yes, no, true or false, given 'maybe'"
        );
        assert_eq!(
            compat("insecure-type=reject").unwrap_err().to_string(),
            "key: expected insecure-types or insecure-input, given 'insecure-type'; \
             did you mean insecure-types?"
        );
        assert_eq!(
            compat("").unwrap_err().to_string(),
            "key: expected insecure-types or insecure-input, given ''"
        );
        assert!(matches!(
            OptionArgs::parse("reject", COMPAT_SYNTAX),
            Err(KeyvalError::Word { .. })
        ));
    }
}
