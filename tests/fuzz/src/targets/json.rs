//! JSON in options: an object is read whole, each name once, or refused.

use crate::Target;
use vmm::options::json::parse_object;

inventory::submit!(Target { name: "json", covers: &[], run });

/// The whole input is the text.
fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse_object(&text) {
        Ok(members) => {
            let mut names: Vec<_> = members.iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        }
        Err(error) => assert!(error.to_string().len() < 4096, "a message of any length"),
    }
}
