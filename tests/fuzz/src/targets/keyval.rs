//! The option syntax: in every variant each key stands once, and the text can be shown again.

use vmm::options::{
    keyval::{OptionArgs, Syntax, Words},
    nesting::nest,
};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "keyval", covers: &[], run });

/// A byte for the variant, then the text.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let variant = input.byte();
    let syntax = Syntax {
        implied_key: (variant & 1 != 0).then_some("driver"),
        words: if variant & 2 != 0 { Words::Flags } else { Words::Refused },
        json: variant & 4 != 0,
    };
    let text = String::from_utf8_lossy(input.rest());
    match OptionArgs::parse(&text, syntax) {
        Ok(arguments) => {
            assert_eq!(arguments.to_string(), text);
            for (key, value) in &arguments.entries {
                assert_eq!(arguments.get(key), Some(value), "{key}");
                let times = arguments.entries.iter().filter(|(other, _)| other == key).count();
                assert_eq!(times, 1, "{key}");
            }
            // Any keys have a structure or a reason why not.
            if let Err(error) = nest(&arguments.entries) {
                assert!(!error.to_string().is_empty());
            }
        }
        Err(error) => assert!(error.to_string().len() < 4096, "a message of any length"),
    }
}
