//! One option as it was given: what, where, and in which words.

use std::collections::BTreeMap;
use std::fmt;

use crate::options::excerpt::Excerpt;

use super::value::OptionValue;

/// One option. Shown, it is the place for the start of a message: `-device isa-serial,id=a` or
/// `vm.conf:3`.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The option's name without dashes; an alias is resolved.
    pub name: String,
    /// The value as the user wrote it; none for an option without one, and for a file's section.
    pub text: Option<String>,
    /// Where it was given.
    pub origin: Origin,
    /// What it means.
    pub value: OptionValue,
}

/// Where an option was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Argument,
    /// As a section of a configuration file.
    ConfigFile {
        /// The file's name as given.
        file: String,
        /// The line of the section's name, from 1.
        line: usize,
        /// The line of each key, of the last if it stands there twice.
        keys: BTreeMap<String, usize>,
    },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&place(&self.name, self.text.as_deref(), &self.origin))
    }
}

impl Entry {
    /// The place for a message about one key of it: that key's own line in a configuration file,
    /// the whole option on the command line.
    #[must_use]
    pub fn place_of(&self, key: &str) -> String {
        place_of(&self.name, self.text.as_deref(), &self.origin, Some(key))
    }
}

/// The start of a message about one key of an option, or about all of it.
pub(super) fn place_of(
    name: &str,
    text: Option<&str>,
    origin: &Origin,
    key: Option<&str>,
) -> String {
    match (origin, key) {
        (Origin::ConfigFile { file, keys, .. }, Some(key)) if keys.contains_key(key) => {
            format!("{}:{}", Excerpt(file), keys[key])
        }
        _ => place(name, text, origin),
    }
}

/// The start of a message about an option.
pub(super) fn place(name: &str, text: Option<&str>, origin: &Origin) -> String {
    match (origin, text) {
        (Origin::ConfigFile { file, line, .. }, _) => format!("{}:{line}", Excerpt(file)),
        (Origin::Argument, None | Some("")) => format!("-{name}"),
        (Origin::Argument, Some(text)) => format!("-{name} {}", Excerpt(text)),
    }
}
