//! The near miss of a word that is not known, and the list of those that are.

/// Ends a message about an unknown word: the word that was probably meant, or else all of them.
///
/// qom-core has the same rule for names that a user types; a macro crate can't call it, because
/// qom-core depends on this one.
pub(crate) fn instead(given: &str, words: &[&str]) -> String {
    let allowed = (given.chars().count() / 3).clamp(1, 4);
    let nearest = words
        .iter()
        .map(|word| (strsim::damerau_levenshtein(given, word), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min();
    match nearest {
        Some((_, word)) => format!("did you mean `{word}`?"),
        None => format!("write one of {}", list(words)),
    }
}

/// `a`, `b` and `c`, each in backquotes.
pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::instead;

    #[test]
    fn a_near_miss_names_the_word_that_was_meant() {
        assert_eq!(instead("secur", &["name", "secure"]), "did you mean `secure`?");
        assert_eq!(instead("boundaries", &["boundary", "name"]), "did you mean `boundary`?");
    }

    #[test]
    fn a_word_like_no_other_lists_them_all() {
        assert_eq!(instead("xyzzy", &["guest", "file"]), "write one of `guest`, `file`");
    }
}
