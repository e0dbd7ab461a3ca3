//! Sizes: what is said in bytes means itself.

use device_model::qom_core::{Size, SizeUnit};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "size", covers: &[], run });

/// A byte for the unit, then the text.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let unit = if input.byte() & 1 == 0 { SizeUnit::Byte } else { SizeUnit::Mebibyte };
    let text = String::from_utf8_lossy(input.rest());
    if let Ok(size) = Size::parse(&text, unit) {
        let bytes = size.0;
        assert_eq!(Size::parse(&format!("{bytes}B"), unit), Ok(size));
        assert_eq!(Size::parse(&format!("{bytes:#x}"), SizeUnit::Byte), Ok(size));
    }
}
