//! QEMU's `key=value` option syntax and its JSON form.

use std::collections::HashSet;
use std::fmt;

use serde_json::Value;

use super::excerpt::excerpt;
use super::json::{self, JsonError};

/// How many parts, separated by dots, a key may have.
pub const MAX_KEY_DEPTH: usize = json::MAX_DEPTH;

/// The longest part of a key, in characters.
pub const MAX_KEY_PART: usize = 127;

pub use device_model::qom_core::Given;

/// The text without quotes, or any other JSON value in JSON.
pub(crate) fn unquoted(given: &Given) -> String {
    given.as_text().map_or_else(|| given.to_string(), str::to_owned)
}

/// What a word without `=` means after the first comma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// It is an error.
    Refused,
    /// `flag` means `flag=on` and `noflag` means `flag=off`; `help` and `?` ask for help.
    ///
    /// As in QEMU, every word that starts with `no` is the negation of the rest of it, because
    /// the syntax does not know the names of properties: `node` means `de=off`.
    Flags,
}

/// The variant of the syntax that one option speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// The key that the first word is the value of, if it may stand without one.
    pub implied_key: Option<&'static str>,
    /// What later words without a value mean.
    pub words: Words,
    /// Whether text that starts with `{` or `[` is JSON, of which only an object will do.
    pub json: bool,
}

/// The value of one option, taken apart.
///
/// A key given more than once has its last value, at its last place; see
/// [`overridden`](Self::overridden) for the others. Shown, it is the text that the user wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct OptionArgs {
    /// The value of the implied key, given with or without the key.
    pub implied: Option<String>,
    /// Every other key and its value, in order.
    pub entries: Vec<(String, Given)>,
    overridden: Vec<(String, Given)>,
    help: bool,
    text: String,
}

impl fmt::Display for OptionArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Text that is not in the option syntax. Columns count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyvalError {
    /// A comma or nothing where a key has to be.
    #[error("column {column}: expected {expected}, given nothing")]
    Empty {
        /// Where it should have been.
        column: usize,
        /// What should have stood there.
        expected: String,
    },
    /// A key with a part that is empty, too long, or has a character no key has.
    #[error(
        "column {column}: expected a key of letters, digits, '-', '_' and '.', given '{given}'"
    )]
    Key {
        /// Where the key starts.
        column: usize,
        /// The key, shortened where it is long.
        given: String,
    },
    /// A key with too many parts.
    #[error("column {column}: expected a key of at most {MAX_KEY_DEPTH} parts, given '{given}'")]
    Depth {
        /// Where the key starts.
        column: usize,
        /// The key, shortened where it is long.
        given: String,
    },
    /// A word without a value, in an option where that means nothing.
    #[error("column {column}: expected '=' and a value after '{given}'")]
    Word {
        /// Where the word starts.
        column: usize,
        /// The word, shortened where it is long.
        given: String,
    },
    /// The implied key has a JSON value that is not a string.
    #[error("{key}: expected a string, given {given}")]
    Implied {
        /// The implied key.
        key: &'static str,
        /// The value, shortened where it is long.
        given: String,
    },
    /// Malformed JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

impl OptionArgs {
    /// Takes the value of an option apart.
    ///
    /// `,,` stands for a comma inside a value; one comma at the very end is passed over, as in
    /// QEMU. Empty text gives no entries. Keys stay as written (`a.b.0`); [`super::nesting`] turns
    /// them into objects and lists for options that have these.
    ///
    /// # Errors
    /// [`KeyvalError`], with the column, for anything outside the syntax.
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, KeyvalError> {
        if syntax.json && text.starts_with(['{', '[']) {
            let members = json::parse_object(text)?;
            let pairs = members.into_iter().map(|(key, value)| (key, Given::Json(value)));
            return Self::assemble(text.to_owned(), syntax.implied_key, pairs.collect(), false);
        }
        let mut pairs = Vec::new();
        let mut help = false;
        let mut rest = text;
        while !rest.is_empty() {
            let first = rest.len() == text.len();
            // Columns are needed only for errors, so they are counted only then.
            let column = || text[..text.len() - rest.len()].chars().count() + 1;
            let (pair, after) = match rest.find(['=', ',']) {
                Some(end) if rest[end..].starts_with('=') => {
                    let key = &rest[..end];
                    check_key(key, column)?;
                    let (value, after) = take_value(&rest[end + 1..]);
                    (Some((key.to_owned(), Given::Text(value))), after)
                }
                _ => {
                    let (word, after) = take_value(rest);
                    (read_word(word, first, syntax, column)?, after)
                }
            };
            match pair {
                Some(pair) => pairs.push(pair),
                None => help = true,
            }
            rest = after;
        }
        Self::assemble(text.to_owned(), syntax.implied_key, pairs, help)
    }

    /// The option value that has these keys, for those that come from elsewhere than an argument.
    ///
    /// The shown text is `key=value` syntax, or the JSON form if any value is JSON.
    ///
    /// # Errors
    /// [`KeyvalError::Implied`] if the implied key's value is JSON and not a string.
    pub fn from_pairs(
        implied_key: Option<&'static str>,
        pairs: Vec<(String, Given)>,
    ) -> Result<Self, KeyvalError> {
        let text = format_pairs(implied_key, &pairs);
        Self::assemble(text, implied_key, pairs, false)
    }

    fn assemble(
        text: String,
        implied_key: Option<&'static str>,
        pairs: Vec<(String, Given)>,
        help: bool,
    ) -> Result<Self, KeyvalError> {
        let mut implied = None;
        let mut others = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            match implied_key {
                Some(implied_key) if key == implied_key => match value {
                    Given::Text(text) | Given::Json(Value::String(text)) => implied = Some(text),
                    Given::Json(value) => {
                        let given = excerpt(&value.to_string());
                        return Err(KeyvalError::Implied { key: implied_key, given });
                    }
                },
                _ => others.push((key, value)),
            }
        }
        let mut seen = HashSet::new();
        let is_last: Vec<bool> =
            others.iter().rev().map(|(key, _)| seen.insert(key.as_str())).collect();
        let mut entries = Vec::with_capacity(seen.len());
        let mut overridden = Vec::new();
        for (pair, is_last) in others.into_iter().zip(is_last.into_iter().rev()) {
            if is_last { entries.push(pair) } else { overridden.push(pair) }
        }
        Ok(Self { implied, entries, overridden, help, text })
    }

    /// The value of `key`, which is not the implied one.
    pub fn get(&self, key: &str) -> Option<&Given> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The keys and values that a later value of the same key replaced.
    pub fn overridden(&self) -> &[(String, Given)] {
        &self.overridden
    }

    /// Whether the word `help` (or `?`) stands in it.
    pub fn asks_help(&self) -> bool {
        self.help
    }

    /// Removes the keys for which `wanted` holds and gives every value they had, in order of
    /// overriding. The shown text stays.
    pub fn take_all(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<(String, Given)> {
        let mut taken: Vec<_> = self.overridden.extract_if(.., |(key, _)| wanted(key)).collect();
        taken.extend(self.entries.extract_if(.., |(key, _)| wanted(key)));
        taken
    }
}

/// A word that stands without `=`: the pair it means, or `None` for a call for help.
fn read_word(
    word: String,
    first: bool,
    syntax: Syntax,
    column: impl Fn() -> usize,
) -> Result<Option<(String, Given)>, KeyvalError> {
    if syntax.words == Words::Flags && matches!(word.as_str(), "help" | "?") {
        return Ok(None);
    }
    if word.is_empty() {
        let expected = match syntax.implied_key {
            Some(key) if first => format!("a value for '{key}'"),
            _ => "a key".to_owned(),
        };
        return Err(KeyvalError::Empty { column: column(), expected });
    }
    if first && let Some(key) = syntax.implied_key {
        return Ok(Some((key.to_owned(), Given::Text(word))));
    }
    check_key(&word, &column)?;
    if syntax.words == Words::Refused {
        return Err(KeyvalError::Word { column: column(), given: excerpt(&word) });
    }
    let (flag, value) = match word.strip_prefix("no") {
        Some(flag) if !flag.is_empty() => (flag, "off"),
        _ => (word.as_str(), "on"),
    };
    check_key(flag, column)?;
    Ok(Some((flag.to_owned(), Given::Text(value.to_owned()))))
}

/// Splits a value, with `,,` turned into a comma, from what follows its closing comma.
fn take_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(',') {
        value.push_str(before);
        match after.strip_prefix(',') {
            Some(after_pair) => {
                value.push(',');
                rest = after_pair;
            }
            None => return (value, after),
        }
    }
    value.push_str(rest);
    (value, "")
}

fn check_key(key: &str, column: impl Fn() -> usize) -> Result<(), KeyvalError> {
    if key.is_empty() {
        return Err(KeyvalError::Empty { column: column(), expected: "a key".to_owned() });
    }
    if !has_key_form(key) {
        return Err(KeyvalError::Key { column: column(), given: excerpt(key) });
    }
    if key.split('.').count() > MAX_KEY_DEPTH {
        return Err(KeyvalError::Depth { column: column(), given: excerpt(key) });
    }
    Ok(())
}

/// Whether every part of `key` is of letters, digits, `-` and `_`, neither empty nor too long.
pub(super) fn has_key_form(key: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    key.split('.').all(|part| (1..=MAX_KEY_PART).contains(&part.len()) && part.bytes().all(fits))
}

/// Text that [`OptionArgs::parse`] reads as `pairs`.
fn format_pairs(implied_key: Option<&'static str>, pairs: &[(String, Given)]) -> String {
    if pairs.iter().any(|(_, value)| matches!(value, Given::Json(_))) {
        let members: Vec<String> = pairs
            .iter()
            .map(|(key, value)| {
                let value = match value {
                    Given::Text(text) => Value::from(text.as_str()),
                    Given::Json(value) => value.clone(),
                };
                format!("{}:{value}", Value::from(key.as_str()))
            })
            .collect();
        return format!("{{{}}}", members.join(","));
    }
    let mut text = String::new();
    for (position, (key, value)) in pairs.iter().enumerate() {
        let value = value.to_string();
        if position > 0 {
            text.push(',');
        }
        let stands_alone = position == 0
            && implied_key == Some(key)
            && !value.is_empty()
            && !value.contains('=')
            && !value.starts_with(['{', '['])
            && !matches!(value.as_str(), "help" | "?");
        if !stands_alone {
            text.push_str(key);
            text.push('=');
        }
        text.push_str(&value.replace(',', ",,"));
    }
    text
}

#[cfg(test)]
mod tests;
