//! The value of `-cpu`: a model and the features switched on or off.

use super::choice::{ChoiceError, ON_OFF, choose};
use super::excerpt::excerpt;

/// The most features in one `-cpu`.
pub const MAX_FEATURES: usize = 1024;

/// A CPU model and changes to its features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuModel {
    /// The model's name.
    pub model: String,
    /// Features and whether they are on, in order. Of one feature given twice the later holds.
    pub features: Vec<(String, bool)>,
}

/// What is wrong with the value of `-cpu`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuModelError {
    /// No model name, or one with characters no name has.
    #[error("expected MODEL[,+FEATURE][,-FEATURE][,FEATURE=on|off], given '{given}' as the model")]
    Model {
        /// The name, shortened where it is long.
        given: String,
    },
    /// A feature's name is empty or has characters no name has.
    #[error(
        "column {column}: expected a feature of letters, digits, '-', '_' and '.', given '{given}'"
    )]
    Feature {
        /// Where it stands, in characters from 1.
        column: usize,
        /// The name, shortened where it is long.
        given: String,
    },
    /// `+feature=value`: the sign already says which.
    #[error("column {column}: expected either a sign or '=' with {feature}, given both")]
    SignAndValue {
        /// Where it stands, in characters from 1.
        column: usize,
        /// The feature.
        feature: String,
    },
    /// A value that is neither on nor off.
    #[error("column {column}: {problem}")]
    Value {
        /// Where it stands, in characters from 1.
        column: usize,
        /// The word, and those that exist.
        problem: ChoiceError,
    },
    /// Too many features.
    #[error("expected at most {MAX_FEATURES} features, given more")]
    TooMany,
}

/// Reads `MODEL[,+FEATURE][,-FEATURE][,FEATURE=on|off][,FEATURE]`.
///
/// A feature without sign or value is on. QEMU on x86 applies signs after everything else; here
/// the order written is the order kept.
///
/// # Errors
/// [`CpuModelError`], with the column, for anything else.
pub fn parse(text: &str) -> Result<CpuModel, CpuModelError> {
    let mut parts = text.split(',');
    let model = parts.next().unwrap_or_default();
    if !is_name(model) {
        return Err(CpuModelError::Model { given: excerpt(model) });
    }
    let mut features = Vec::new();
    let mut column = model.chars().count() + 2;
    for part in parts {
        if features.len() == MAX_FEATURES {
            return Err(CpuModelError::TooMany);
        }
        features.push(parse_feature(part, column)?);
        column += part.chars().count() + 1;
    }
    Ok(CpuModel { model: model.to_owned(), features })
}

/// Whether the word `help` (or `?`) stands behind the model.
pub fn asks_help(text: &str) -> bool {
    text.split(',').skip(1).any(|part| matches!(part, "help" | "?"))
}

fn parse_feature(part: &str, column: usize) -> Result<(String, bool), CpuModelError> {
    let (sign, rest) = match part.strip_prefix('+') {
        Some(rest) => (Some(true), rest),
        None => match part.strip_prefix('-') {
            Some(rest) => (Some(false), rest),
            None => (None, part),
        },
    };
    let (name, value) = match rest.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (rest, None),
    };
    if !is_name(name) {
        return Err(CpuModelError::Feature { column, given: excerpt(part) });
    }
    let on = match (sign, value) {
        (Some(on), None) => on,
        (None, None) => true,
        (None, Some(value)) => choose(name, value, &ON_OFF)
            .map_err(|problem| CpuModelError::Value { column, problem })?,
        (Some(_), Some(_)) => {
            return Err(CpuModelError::SignAndValue { column, feature: name.to_owned() });
        }
    };
    Ok((name.to_owned(), on))
}

/// Whether it can be the name of a model or a feature (`sse4.1`, `avx512_vbmi2`, `x-force`).
fn is_name(text: &str) -> bool {
    (1..=127).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn features(text: &str) -> Vec<(String, bool)> {
        parse(text).unwrap().features
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_model_may_stand_alone() {
        assert_eq!(parse("host"), Ok(CpuModel { model: "host".to_owned(), features: Vec::new() }));
    }

    #[test]
    fn features_keep_their_order_and_every_spelling() {
        let expected = [
            ("x2apic", false),
            ("sse4.1", true),
            ("pmu", false),
            ("avx2", true),
            ("smap", true),
            ("x2apic", true),
        ];
        assert_eq!(
            features("host,-x2apic,+sse4.1,pmu=off,avx2=on,smap,+x2apic"),
            expected.map(|(name, on)| (name.to_owned(), on))
        );
    }

    #[test]
    fn errors_name_the_column() {
        assert_eq!(
            message("host,pmu=maybe"),
            "column 6: pmu: expected on, off, yes, no, true or false, given 'maybe'"
        );
        assert_eq!(
            message("host,avx,+pmu=on"),
            "column 10: expected either a sign or '=' with pmu, given both"
        );
        for text in ["host,", "host,,a", "host,+", "host,--a", "host,a b", "host,=on"] {
            assert!(matches!(parse(text), Err(CpuModelError::Feature { column: 6, .. })), "{text}");
        }
    }

    #[test]
    fn there_has_to_be_a_model() {
        for text in ["", ",+a", "+a", "host cpu", "host=on"] {
            assert!(matches!(parse(text), Err(CpuModelError::Model { .. })), "{text}");
        }
    }

    #[test]
    fn the_number_of_features_is_bounded() {
        let of = |count| format!("host{}", ",a".repeat(count));
        assert_eq!(features(&of(MAX_FEATURES)).len(), MAX_FEATURES);
        assert_eq!(parse(&of(MAX_FEATURES + 1)), Err(CpuModelError::TooMany));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[a,+=-]{0,12}|.*") {
            let _ = parse(&text);
        }
    }
}
