//! `-cpu`: a model and changes to features, as many as commas say.

use crate::Target;
use vmm::options::cpu_model::{MAX_FEATURES, parse};

inventory::submit!(Target { name: "cpu-model", covers: &[], run });

/// The whole input is the text.
fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match parse(&text) {
        Ok(model) => {
            assert!(text.starts_with(&model.model) && !model.model.is_empty());
            assert!(model.features.len() <= MAX_FEATURES);
            assert_eq!(model.features.len(), text.matches(',').count(), "{model:?}");
        }
        Err(error) => assert!(error.to_string().len() < 4096, "a message of any length"),
    }
}
