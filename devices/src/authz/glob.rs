//! Patterns with `*` and `?`.

/// Whether all of `text` fits the pattern, in which `*` stands for any letters, none included, and
/// `?` for one. Every other letter stands for itself.
///
/// Takes at most as many steps as the product of both lengths: once a `*` is reached, those before
/// it need never stand for anything else, since it can take whatever they would leave.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // What follows the last `*`, and the least of the text that is left for that.
    let mut last_star = None;
    loop {
        let here = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                text = here;
                last_star = Some((pattern.clone(), text.clone()));
            }
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == '?' || expected == found => {}
            _ => {
                // The last `*` takes one more.
                let Some((behind, left)) = &mut last_star else { return false };
                if left.next().is_none() {
                    return false;
                }
                (pattern, text) = (behind.clone(), left.clone());
            }
        }
    }
}

/// Whether every text fits the pattern that is as long as its `?` are many: it has a `*`, and no
/// letter that stands for itself.
#[must_use]
pub fn asks_for_no_letter(pattern: &str) -> bool {
    pattern.contains('*') && pattern.chars().all(|letter| matches!(letter, '*' | '?'))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_stand_for_any_letters_and_question_marks_for_one() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("a*", "a"),
            ("*CN=fred*", "C=GB,CN=fred"),
            ("C=GB,O=*,CN=?red", "C=GB,O=Example,CN=fred"),
            ("a*b*c", "a-b-c-b-c"),
            ("??", "\u{e4}\u{20ac}"),
            ("**a", "aa"),
            ("[a]", "[a]"),
            ("\\*", "\\x"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("?", ""),
            ("a", "A"),
            ("a", "ab"),
            ("*a", "ab"),
            ("a*b*c", "a-c-b"),
            ("[a]", "a"),
            ("CN=fred", "C=GB,CN=fred"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_made_to_take_long_does_not() {
        let pattern = "*a".repeat(500) + "b";
        let text = "a".repeat(4000);
        let start = Instant::now();
        assert!(!matches(&pattern, &text));
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    /// What the words above say, tried in every way.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|taken| slow(rest, &text[taken..])),
            ([expected, pattern @ ..], [found, text @ ..]) => {
                (*expected == '?' || expected == found) && slow(pattern, text)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_finds_what_trying_all_ways_finds(pattern in "[ab*?]{0,7}", text in "[ab]{0,9}") {
            let (pattern_, text_): (Vec<_>, Vec<_>) =
                (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), slow(&pattern_, &text_));
        }
    }
}
