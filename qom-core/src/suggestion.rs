//! The near miss of a name that was not found.

use std::fmt;

/// The candidate most like `given`, if one is near enough to have been meant.
///
/// ```
/// assert_eq!(qom_core::nearest("isa-seral", ["isa-serial", "ioapic"]), Some("isa-serial"));
/// assert_eq!(qom_core::nearest("xyzzy", ["isa-serial", "ioapic"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A name longer than any real one is no misspelling, and the distance is quadratic.
    if given.len() > 128 {
        return None;
    }
    let allowed = (given.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
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
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "; did you mean '{name}'?"),
            None => Ok(()),
        }
    }
}
