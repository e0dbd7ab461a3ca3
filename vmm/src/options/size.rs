//! The value of `-m`: how much memory a machine has.

use device_model::qom_core::{Size, SizeError, SizeUnit, Suggestion};

use super::excerpt::excerpt;
use super::key::Key;
use super::keyval::{KeyvalError, OptionArgs, Syntax, Words};

/// The syntax of `-m`.
pub const SYNTAX: Syntax = Syntax { implied_key: Some("size"), words: Words::Refused, json: false };

/// Its keys.
pub(super) const KEYS: [Key; 1] = [Key::size("size", "Memory, in MiB if it has no suffix")];

/// What is wrong with the value of `-m`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The text is outside the option syntax.
    #[error(transparent)]
    Keyval(#[from] KeyvalError),
    /// The size is none.
    #[error("size: {problem}, given '{given}'")]
    Size {
        /// What is wrong with it.
        problem: SizeError,
        /// The text, shortened where it is long.
        given: String,
    },
    /// Zero, or a fraction that rounds down to it.
    #[error("size: expected a size above zero, given '{given}'")]
    Zero {
        /// The text, shortened where it is long.
        given: String,
    },
    /// There is no size in it.
    #[error("expected size=SIZE, given no size")]
    Missing,
    /// A key that QEMU has for memory hotplug, which does not exist here.
    #[error("{key}: memory hotplug is not supported; expected only size=SIZE")]
    Hotplug {
        /// The key.
        key: String,
    },
    /// A key that does not exist.
    #[error("{key}: unknown key, expected only size=SIZE{suggestion}")]
    UnknownKey {
        /// The key, shortened where it is long.
        key: String,
        /// `size`, if that was nearly it.
        suggestion: Suggestion,
    },
}

/// The size of memory in bytes that the value of `-m` asks for.
///
/// # Errors
/// [`MemoryError`] when there is no valid size, and for any key but `size`.
pub fn memory(args: &OptionArgs) -> Result<u64, MemoryError> {
    if let Some((key, _)) = args.entries.first() {
        return Err(match key.as_str() {
            "slots" | "maxmem" => MemoryError::Hotplug { key: key.clone() },
            _ => MemoryError::UnknownKey {
                key: excerpt(key),
                suggestion: Suggestion::of(key, ["size"]),
            },
        });
    }
    let size = args.implied.as_deref().ok_or(MemoryError::Missing)?;
    match Size::parse(size, SizeUnit::Mebibyte) {
        Ok(Size(0)) => Err(MemoryError::Zero { given: excerpt(size) }),
        Ok(Size(bytes)) => Ok(bytes),
        Err(problem) => Err(MemoryError::Size { problem, given: excerpt(size) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn memory_of(text: &str) -> Result<u64, MemoryError> {
        memory(&OptionArgs::parse(text, SYNTAX)?)
    }

    #[test]
    fn a_machine_without_memory_is_none() {
        for text in ["0", "0x0G", "0.0001K"] {
            assert!(matches!(memory_of(text), Err(MemoryError::Zero { .. })), "{text}");
        }
        assert_eq!(
            memory_of("-1G").unwrap_err().to_string(),
            "size: expected a size that is not negative, given '-1G'"
        );
    }

    #[test]
    fn the_message_shows_what_would_do() {
        assert_eq!(
            memory_of("1GB").unwrap_err().to_string(),
            "size: expected a number and optionally B, K, M, G, T, P or E (such as 512M or 1.5G), \
             given '1GB'"
        );
    }

    #[test]
    fn memory_has_a_size_and_nothing_else() {
        assert_eq!(memory_of("1G"), Ok(1 << 30));
        assert_eq!(memory_of("size=256"), Ok(256 << 20));
        assert_eq!(memory_of(""), Err(MemoryError::Missing));
        for text in ["1G,slots=2", "1G,maxmem=4G"] {
            assert!(matches!(memory_of(text), Err(MemoryError::Hotplug { .. })), "{text}");
        }
        assert_eq!(
            memory_of("sizes=1G").unwrap_err().to_string(),
            "sizes: unknown key, expected only size=SIZE; did you mean 'size'?"
        );
        assert!(matches!(memory_of("1G,slots"), Err(MemoryError::Keyval(_))));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "-?(0x)?[0-9a-f.]{0,24}[bkmgtpeBKMGTPE]?|.*") {
            let _ = memory_of(&text);
        }

        #[test]
        fn every_number_of_bytes_is_read_back(bytes in 1u64..) {
            prop_assert_eq!(memory_of(&format!("{bytes}B")), Ok(bytes));
            prop_assert_eq!(Size::parse(&format!("{bytes:#x}"), SizeUnit::Byte), Ok(Size(bytes)));
        }
    }
}
