//! CPU features by name: finding them, reading a user's choice, and what needs what.

use std::fmt;

use device_model::qom_core::Suggestion;

use super::dependencies::NEEDS;
use super::feature_table::{ALIASES, FEATURES};

/// A register of CPUID's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// `eax`
    Eax,
    /// `ebx`
    Ebx,
    /// `ecx`
    Ecx,
    /// `edx`
    Edx,
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eax => "eax",
            Self::Ebx => "ebx",
            Self::Ecx => "ecx",
            Self::Edx => "edx",
        })
    }
}

/// One register of one leaf and subleaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// `eax` as CPUID is asked.
    pub leaf: u32,
    /// `ecx` as CPUID is asked.
    pub subleaf: u32,
    /// The register of the answer.
    pub register: Register,
}

/// A feature that a user can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name, with hyphens.
    pub name: &'static str,
    /// Where CPUID tells of it.
    pub word: Word,
    /// By which bit; rarely by more, which then go together.
    pub bits: u32,
}

impl Feature {
    /// The features that this one makes no sense without, directly.
    pub fn needs(&self) -> impl Iterator<Item = &'static Feature> + use<> {
        let name = self.name;
        NEEDS
            .iter()
            .filter(move |(feature, _)| *feature == name)
            .flat_map(|(_, needed)| needed.iter())
            .filter_map(|name| find(name))
    }

    /// The features that make no sense without this one, directly.
    pub fn needed_by(&self) -> impl Iterator<Item = &'static Feature> + use<> {
        let name = self.name;
        NEEDS
            .iter()
            .filter(move |(_, needed)| needed.contains(&name))
            .filter_map(|(feature, _)| find(feature))
    }
}

/// A user's statement on one feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The feature.
    pub feature: &'static Feature,
    /// Whether the guest is to have it.
    pub on: bool,
}

/// A name that no feature has.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no CPU feature is named '{name}'{suggestion}")]
pub struct UnknownFeature {
    /// The name given.
    pub name: String,
    /// The name that comes closest, if one is close.
    pub suggestion: Suggestion,
}

/// Every feature, sorted by name.
pub fn all() -> &'static [Feature] {
    FEATURES
}

/// The feature of that name, written with hyphens or underscores, or by an alias.
pub fn find(name: &str) -> Option<&'static Feature> {
    let name = name.replace('_', "-");
    let name = ALIASES
        .binary_search_by_key(&name.as_str(), |(alias, _)| alias)
        .ok()
        .and_then(|index| ALIASES.get(index))
        .map_or(name.as_str(), |(_, name)| name);
    let index = FEATURES.binary_search_by_key(&name, |feature| feature.name).ok()?;
    FEATURES.get(index)
}

/// Reads a user's choice, given as names and whether each is to be on. What is said last of a
/// feature counts.
///
/// # Errors
/// The first name that no feature has.
pub fn parse<'a>(
    given: impl IntoIterator<Item = (&'a str, bool)>,
) -> Result<Vec<Choice>, UnknownFeature> {
    let mut choices: Vec<Choice> = Vec::new();
    for (name, on) in given {
        let feature = find(name).ok_or_else(|| UnknownFeature {
            name: name.to_owned(),
            suggestion: Suggestion::of(
                &name.replace('_', "-"),
                FEATURES.iter().map(|feature| feature.name),
            ),
        })?;
        match choices.iter_mut().find(|choice| choice.feature == feature) {
            Some(choice) => choice.on = on,
            None => choices.push(Choice { feature, on }),
        }
    }
    Ok(choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_name_each_bit_once() {
        assert!(FEATURES.is_sorted_by(|one, next| one.name < next.name));
        assert!(ALIASES.is_sorted_by(|one, next| one.0 < next.0));
        for (index, one) in FEATURES.iter().enumerate() {
            assert!(!one.name.contains('_'), "{}", one.name);
            for other in &FEATURES[..index] {
                assert!(
                    one.word != other.word || one.bits & other.bits == 0,
                    "{} and {}",
                    one.name,
                    other.name
                );
            }
        }
        for (alias, name) in ALIASES {
            assert_eq!(find(alias).unwrap().name, *name);
        }
    }

    #[test]
    fn features_are_found_at_the_bits_of_the_manuals() {
        let place = |name| {
            let feature = find(name).unwrap();
            (feature.word.leaf, feature.word.subleaf, feature.word.register, feature.bits)
        };
        assert_eq!(place("cx16"), (1, 0, Register::Ecx, 1 << 13));
        assert_eq!(place("xsave"), (1, 0, Register::Ecx, 1 << 26));
        assert_eq!(place("popcnt"), (1, 0, Register::Ecx, 1 << 23));
        assert_eq!(place("smap"), (7, 0, Register::Ebx, 1 << 20));
        assert_eq!(place("invpcid"), (7, 0, Register::Ebx, 1 << 10));
        assert_eq!(place("rdtscp"), (0x8000_0001, 0, Register::Edx, 1 << 27));
        assert_eq!(place("xsavec"), (0xd, 1, Register::Eax, 1 << 1));
        assert_eq!(place("invtsc"), (0x8000_0007, 0, Register::Edx, 1 << 8));
        assert_eq!(place("kvmclock"), (0x4000_0001, 0, Register::Eax, 0b1001));
    }

    #[test]
    fn underscores_and_other_spellings_name_the_same_feature() {
        for (one, other) in [
            ("sse4_2", "sse4.2"),
            ("sse4-2", "sse4.2"),
            ("kvm_nopiodelay", "kvm-nopiodelay"),
            ("avx512_vpopcntdq", "avx512-vpopcntdq"),
            ("tsc_deadline", "tsc-deadline"),
            ("sse3", "pni"),
        ] {
            assert_eq!(find(one).unwrap().name, other);
        }
        assert_eq!(find(""), None);
        assert_eq!(find("SSE2"), None);
    }

    #[test]
    fn the_last_statement_on_a_feature_counts() {
        let choices = parse([("cx16", false), ("popcnt", true), ("cx16", true)]).unwrap();
        let told: Vec<_> = choices.iter().map(|c| (c.feature.name, c.on)).collect();
        assert_eq!(told, [("cx16", true), ("popcnt", true)]);
    }

    #[test]
    fn an_unknown_name_is_told_with_the_one_that_was_meant() {
        let error = parse([("cx16", true), ("popcount", true)]).unwrap_err();
        assert_eq!(error.to_string(), "no CPU feature is named 'popcount'; did you mean 'popcnt'?");
        let error = parse([("XSAVE", false)]).unwrap_err();
        assert_eq!(error.suggestion, Suggestion(Some("xsave".to_owned())));
        let error = parse([("qqqq", true)]).unwrap_err();
        assert_eq!(error.to_string(), "no CPU feature is named 'qqqq'");
    }

    #[test]
    fn needs_go_both_ways() {
        let xsave = find("xsave").unwrap();
        let avx = find("avx").unwrap();
        assert!(avx.needs().any(|needed| needed == xsave));
        assert!(xsave.needed_by().any(|feature| feature == avx));
        assert_eq!(xsave.needs().count(), 0);
    }
}
