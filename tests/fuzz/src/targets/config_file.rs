//! Configuration files: sections in the order of their lines, without what no section can hold.

use crate::Target;
use vmm::options::config_file::{GROUPS, parse};

inventory::submit!(Target { name: "config-file", covers: &[], run });

/// The whole input is the file.
fn run(data: &[u8]) {
    match parse("file", data) {
        Ok(sections) => {
            assert!(sections.is_sorted_by(|one, next| one.line < next.line));
            for section in sections {
                assert!(GROUPS.iter().any(|(_, option)| *option == section.option));
                assert!(section.pairs.iter().all(|(_, value)| !value.contains('"')));
            }
        }
        Err(error) => assert!(error.to_string().starts_with("file"), "{error}"),
    }
}
