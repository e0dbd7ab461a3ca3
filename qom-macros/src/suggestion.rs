//! The near miss of a word that is not known, and the list of those that are.

/// Ends a message about an unknown word: the word that was probably meant, or else all of them.
pub(crate) fn instead(given: &str, words: &[&str]) -> String {
    match nearest(given, words) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("write one of {}", list(words)),
    }
}

/// The rule of `qom_core::nearest`, for names that a user types, once more: that crate depends on
/// this one, which can't call it but in tests. Without its limit of the length, since nobody
/// but the author of a program suffers from a long word in its source.
fn nearest<'a>(given: &str, words: &[&'a str]) -> Option<&'a str> {
    let length = given.chars().count();
    let wanted = given.to_lowercase();
    words
        .iter()
        .filter_map(|word| {
            let distance = strsim::damerau_levenshtein(&wanted, &word.to_lowercase());
            (distance <= length.max(word.chars().count()) / 3).then_some((distance, *word))
        })
        .min()
        .map(|(_, word)| word)
}

/// `a`, `b` and `c`, each in backquotes.
pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_names_the_word_that_was_meant() {
        assert_eq!(instead("secur", &["name", "secure"]), "did you mean `secure`?");
        assert_eq!(instead("boundaries", &["boundary", "name"]), "did you mean `boundary`?");
    }

    #[test]
    fn a_word_like_no_other_lists_them_all() {
        assert_eq!(instead("xyzzy", &["guest", "file"]), "write one of `guest`, `file`");
    }

    #[test]
    fn authors_and_users_are_judged_by_one_rule() {
        let words = ["guest", "file", "name", "secure", "insecure_if", "cop", "cog", "m", "S"];
        let given = [
            "gest",
            "FILE",
            "fiel",
            "nmae",
            "secur",
            "insecure",
            "insecureif",
            "cod",
            "s",
            "x",
            "",
            "getsus",
            "client",
            "nam e",
            "ﬁle",
            "insecure_when",
        ];
        for given in given {
            assert_eq!(nearest(given, &words), qom_core::nearest(given, words), "{given}");
        }
    }
}
