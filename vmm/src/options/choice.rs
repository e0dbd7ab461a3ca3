//! A value that must be one of a few words.

use super::excerpt::excerpt;
use device_model::qom_core::Suggestion;

/// The word given is none of those that exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, given '{given}'{suggestion}")]
pub struct ChoiceError {
    /// What the value was for, such as a key or an option.
    pub what: String,
    /// The word given, shortened where it is long.
    pub given: String,
    /// Every word that would have done, as a phrase.
    pub expected: String,
    /// The nearest of them.
    pub suggestion: Suggestion,
}

/// Looks `given` up among `choices`, pairs of a word and what it stands for.
///
/// # Errors
/// [`ChoiceError`], with the nearest word, when `given` is none of them. Case matters.
pub fn choose<T: Copy>(
    what: &str,
    given: &str,
    choices: &[(&'static str, T)],
) -> Result<T, ChoiceError> {
    choices
        .iter()
        .find(|(word, _)| *word == given)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| not_among(what, given, choices.iter().map(|(word, _)| *word)))
}

/// The error for a `given` that is none of `words`.
pub(crate) fn not_among<'a>(
    what: &str,
    given: &str,
    words: impl Iterator<Item = &'a str> + Clone,
) -> ChoiceError {
    ChoiceError {
        what: what.to_owned(),
        given: excerpt(given),
        expected: phrase(words.clone()),
        suggestion: Suggestion::of(given, words),
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn phrase<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// The words for a switch, as QEMU's users write them.
pub const ON_OFF: [(&str, bool); 6] =
    [("on", true), ("off", false), ("yes", true), ("no", false), ("true", true), ("false", false)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_word_gives_its_meaning() {
        assert_eq!(choose("x", "yes", &ON_OFF), Ok(true));
        assert_eq!(choose("x", "off", &ON_OFF), Ok(false));
    }

    #[test]
    fn an_unknown_word_names_all_choices_and_the_nearest() {
        let error = choose("insecure-types", "rejct", &[("accept", 0), ("warn", 1), ("reject", 2)]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "insecure-types: expected accept, warn or reject, given 'rejct'; did you mean 'reject'?"
        );
    }

    #[test]
    fn a_phrase_reads_as_english() {
        assert_eq!(phrase(["a"].into_iter()), "a");
        assert_eq!(phrase(["a", "b"].into_iter()), "a or b");
        assert_eq!(phrase(["a", "b", "c"].into_iter()), "a, b or c");
    }
}
