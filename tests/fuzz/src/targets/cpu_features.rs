//! Names of CPU features: each chosen once, and by the name that it has.

use crate::Target;
use vmm::cpu::features::{find, parse};

inventory::submit!(Target { name: "cpu-features", covers: &[], run });

/// Names with a sign before each, separated by commas.
fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let given: Vec<_> = text
        .split(',')
        .map(|word| match word.strip_prefix('-') {
            Some(name) => (name, false),
            None => (word.strip_prefix('+').unwrap_or(word), true),
        })
        .collect();
    match parse(given.iter().copied()) {
        Ok(choices) => {
            assert!(choices.len() <= given.len());
            for choice in &choices {
                assert_eq!(find(choice.feature.name), Some(choice.feature));
                let same = choices.iter().filter(|other| other.feature == choice.feature).count();
                assert_eq!(same, 1, "{}", choice.feature.name);
                let last = given.iter().rev().find(|(name, _)| find(name) == Some(choice.feature));
                assert_eq!(last.map(|(_, on)| *on), Some(choice.on), "{}", choice.feature.name);
            }
        }
        Err(error) => assert!(given.iter().any(|(name, _)| *name == error.name)),
    }
}
