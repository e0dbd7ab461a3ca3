//! `-global`: both forms name a driver, a property and a value.

use crate::Target;
use vmm::options::globals::parse;

inventory::submit!(Target { name: "globals", covers: &[], run });

/// The whole input is the text.
fn run(data: &[u8]) {
    if let Ok(global) = parse(&String::from_utf8_lossy(data)) {
        assert!(!global.driver.is_empty() && !global.property.is_empty(), "{global:?}");
        let long = format!(
            "driver={},property={},value={}",
            global.driver.replace(',', ",,"),
            global.property.replace(',', ",,"),
            global.value.replace(',', ",,"),
        );
        assert_eq!(parse(&long), Ok(global), "{long}");
    }
}
