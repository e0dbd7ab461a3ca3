//! The form of an id that a user gives to a device, a character device or another object.

use super::excerpt::excerpt;

/// An id that cannot be told apart from paths and generated names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "id: expected a letter, then letters, digits, '-', '.' or '_' (at most 127), given '{given}'"
)]
pub struct IdentifierError {
    /// The id given, shortened where it is long.
    pub given: String,
}

/// The longest id, in characters.
pub const MAX_LENGTH: usize = 127;

/// Whether `id` is well formed: a letter, then letters, digits, `-`, `.` and `_`.
///
/// # Errors
/// [`IdentifierError`] for anything else, including an empty id.
pub fn check(id: &str) -> Result<(), IdentifierError> {
    let first_is_letter = id.starts_with(|c: char| c.is_ascii_alphabetic());
    let rest_fits =
        id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if first_is_letter && rest_fits && id.len() <= MAX_LENGTH {
        Ok(())
    } else {
        Err(IdentifierError { given: excerpt(id) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_ids_pass() {
        for id in ["a", "con0", "pci.0", "my-disk_1"] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn ids_that_look_like_paths_or_generated_names_are_refused() {
        for id in ["", "0a", "-a", ".", "a/b", "a b", "device[0]", "ü", &"a".repeat(128)] {
            assert!(check(id).is_err(), "{id}");
        }
    }
}
