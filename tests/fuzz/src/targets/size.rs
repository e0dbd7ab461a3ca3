//! Sizes: never 0, and what is said in bytes means itself.

use vmm::options::size::{DefaultUnit, parse_size};

use crate::input::Input;

/// A byte for the unit, then the text.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let unit = if input.byte() & 1 == 0 { DefaultUnit::Byte } else { DefaultUnit::Mebibyte };
    let text = String::from_utf8_lossy(input.rest());
    if let Ok(size) = parse_size(&text, unit) {
        assert_ne!(size, 0);
        assert_eq!(parse_size(&format!("{size}B"), unit), Ok(size));
        assert_eq!(parse_size(&format!("{size:#x}"), DefaultUnit::Byte), Ok(size));
    }
}
