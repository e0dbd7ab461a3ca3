//! The nearest known name to one that was mistyped.

use std::fmt;

/// Names longer than this are not compared: edit distance costs the product of both lengths.
const MAX_COMPARED: usize = 64;

/// The candidate that `given` was most likely meant to be, if any is near enough.
///
/// Near enough means at most one edit (insertion, removal, replacement, swap of neighbours) for
/// every three characters of the longer name, ignoring case: so two short options such as `-m` and
/// `-S` never stand in for one another. Of equally near names the alphabetically first is taken,
/// so that the answer depends on the names alone and not on their order.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = given.chars().take(MAX_COMPARED + 1).count();
    if length > MAX_COMPARED {
        return None;
    }
    let wanted = given.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let candidate_length = candidate.chars().take(MAX_COMPARED + 1).count();
            if candidate_length > MAX_COMPARED {
                return None;
            }
            let distance = strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
            (distance <= length.max(candidate_length) / 3).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// The end of an error message: `; did you mean X?`, or nothing when no name is near.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DidYouMean(Option<String>);

impl DidYouMean {
    /// Looks for the nearest of `candidates` to `given`.
    pub fn among<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        Self(nearest(given, candidates).map(str::to_owned))
    }

    /// As [`among`](Self::among), with `prefix` (such as the dash of an option) before the name.
    pub fn prefixed<'a>(
        prefix: &str,
        given: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self(nearest(given, candidates).map(|name| format!("{prefix}{name}")))
    }
}

impl fmt::Display for DidYouMean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "; did you mean {name}?"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 5] = ["kernel", "initrd", "machine", "m", "S"];

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        assert_eq!(nearest("kernl", NAMES), Some("kernel"));
        assert_eq!(nearest("kerenl", NAMES), Some("kernel"));
        assert_eq!(nearest("Machine", NAMES), Some("machine"));
        assert_eq!(nearest("s", NAMES), Some("S"));
    }

    #[test]
    fn an_unrelated_name_finds_nothing() {
        assert_eq!(nearest("netdev", NAMES), None);
        assert_eq!(nearest("x", NAMES), None);
        assert_eq!(nearest("", NAMES), None);
    }

    #[test]
    fn a_tie_is_broken_by_name_not_by_order() {
        assert_eq!(nearest("cod", ["cop", "cog"]), Some("cog"));
        assert_eq!(nearest("cod", ["cog", "cop"]), Some("cog"));
    }

    #[test]
    fn the_message_ends_with_the_name_or_not_at_all() {
        let found = DidYouMean::prefixed("-", "kernl", NAMES);
        assert_eq!(found.to_string(), "; did you mean -kernel?");
        assert_eq!(DidYouMean::among("zzz", NAMES).to_string(), "");
    }

    #[test]
    fn very_long_input_is_not_compared() {
        assert_eq!(nearest(&"k".repeat(1 << 20), NAMES), None);
    }

    proptest! {
        #[test]
        fn a_known_name_is_nearest_to_itself(name in "[a-z]{1,20}", other in "[a-z]{1,20}") {
            prop_assert_eq!(nearest(&name, [other.as_str(), name.as_str()]), Some(name.as_str()));
        }

        #[test]
        fn any_text_is_survived(given in ".*") {
            let _ = nearest(&given, NAMES);
        }
    }
}
