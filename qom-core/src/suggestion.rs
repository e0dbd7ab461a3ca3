//! The near miss of a name that was not found.

use std::fmt;

/// Names longer than this are not compared: edit distance costs the product of both lengths.
const MAX_COMPARED: usize = 64;

/// The candidate that `given` was most likely meant to be, if any is near enough.
///
/// Near enough means at most one edit (insertion, removal, replacement, swap of neighbours) for
/// every three characters of the longer name, ignoring case: so two short options such as `-m` and
/// `-S` never stand in for one another. Of equally near names the alphabetically first is taken,
/// so that the answer depends on the names alone and not on their order.
///
/// ```
/// assert_eq!(qom_core::nearest("isa-seral", ["isa-serial", "ioapic"]), Some("isa-serial"));
/// assert_eq!(qom_core::nearest("xyzzy", ["isa-serial", "ioapic"]), None);
/// ```
#[must_use]
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

/// A near miss as it ends a message: `; did you mean 'X'?`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestion(pub Option<String>);

impl Suggestion {
    /// The nearest of the candidates.
    #[must_use]
    pub fn of<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        Self(nearest(given, candidates).map(str::to_owned))
    }

    /// The same with `prefix` before the name, such as the dash of an option.
    #[must_use]
    pub fn prefixed(self, prefix: &str) -> Self {
        Self(self.0.map(|name| format!("{prefix}{name}")))
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "; did you mean '{name}'?"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let found = Suggestion::of("kernl", NAMES).prefixed("-");
        assert_eq!(found.to_string(), "; did you mean '-kernel'?");
        assert_eq!(Suggestion::of("zzz", NAMES).to_string(), "");
    }

    #[test]
    fn very_long_input_is_not_compared() {
        assert_eq!(nearest(&"k".repeat(1 << 20), NAMES), None);
    }
}
