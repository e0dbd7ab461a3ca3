//! Names of types, properties and words: how they follow from Rust's identifiers, and which are
//! valid.

use proc_macro2::Ident;
use syn::{LitStr, ext::IdentExt};

use crate::mistakes::Mistakes;

/// The kebab-case name of a type or of an enumeration's word, from a name in CamelCase.
///
/// A dash comes before a capital that begins a word. Underscores stay, as in `x86_64`.
pub(crate) fn of_type(ident: &Ident) -> String {
    let letters: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut name = String::with_capacity(letters.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|index| letters.get(index));
        let next = letters.get(index + 1);
        let begins_word = letter.is_uppercase()
            && previous.is_some_and(|previous| {
                previous.is_lowercase()
                    || previous.is_numeric()
                    || (previous.is_uppercase() && next.is_some_and(|next| next.is_lowercase()))
            });
        if begins_word {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

/// The kebab-case name of a property, from a field's or method's name in snake_case.
pub(crate) fn of_property(ident: &Ident) -> String {
    ident.unraw().to_string().replace('_', "-")
}

/// Whether a type, property or word can have this name: lower-case letters, digits, and between
/// them `-`, `_` and `.`.
pub(crate) fn is_valid(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.iter().all(|byte| alphanumeric(*byte) || b"-_.".contains(byte))
        && bytes.first().is_some_and(|byte| alphanumeric(*byte))
        && bytes.last().is_some_and(|byte| alphanumeric(*byte))
}

/// The name that was stated, or else the `derived` one; a mistake if it is not valid.
pub(crate) fn choose(
    stated: Option<&LitStr>,
    ident: &Ident,
    derived: String,
    mistakes: &mut Mistakes,
) -> String {
    match stated {
        Some(literal) => {
            let name = literal.value();
            if !is_valid(&name) {
                let repaired = repair(&name).unwrap_or(derived);
                mistakes.at(
                    literal,
                    format!(
                        "`{name}` is no valid name, which has lower-case letters, digits, and \
                         between them `-`, `_` and `.`: write `\"{repaired}\"`"
                    ),
                );
            }
            name
        }
        None => {
            if !is_valid(&derived) {
                mistakes.at(
                    ident,
                    format!("no valid name follows from `{ident}`: write `name = \"…\"`"),
                );
            }
            derived
        }
    }
}

/// A valid name made from one that is not, if enough of it is left.
fn repair(name: &str) -> Option<String> {
    let replaced: String = name
        .to_lowercase()
        .chars()
        .map(
            |letter| {
                if is_valid(&letter.to_string()) || "_.".contains(letter) { letter } else { '-' }
            },
        )
        .collect();
    let repaired = replaced.trim_matches(['-', '_', '.']);
    is_valid(repaired).then(|| repaired.to_owned())
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn ident(name: &str) -> Ident {
        Ident::new(name, Span::call_site())
    }

    #[test]
    fn types_are_named_in_kebab_case() {
        for (rust, name) in [
            ("Exit", "exit"),
            ("IsaSerial", "isa-serial"),
            ("ISASerial", "isa-serial"),
            ("HostX86_64Cpu", "host-x86_64-cpu"),
            ("Serial16550", "serial16550"),
            ("Pc", "pc"),
            ("Virtio9p", "virtio9p"),
        ] {
            assert_eq!(of_type(&ident(rust)), name);
        }
    }

    #[test]
    fn properties_are_named_in_kebab_case_without_the_mark_of_a_raw_identifier() {
        assert_eq!(of_property(&ident("io_base")), "io-base");
        assert_eq!(of_property(&Ident::new_raw("type", Span::call_site())), "type");
    }

    #[test]
    fn valid_names_have_lower_case_letters_digits_and_marks_between_them() {
        for name in ["exit", "host-x86_64-cpu", "pc-i440fx-9.2", "486-cpu"] {
            assert!(is_valid(name), "{name} was refused");
        }
        for name in ["", "Exit", "isa serial", "-exit", "exit-", "a/b", "é", "."] {
            assert!(!is_valid(name), "{name:?} was accepted");
        }
    }

    #[test]
    fn a_bad_name_is_repaired_if_something_is_left_of_it() {
        assert_eq!(repair("ISA Serial"), Some("isa-serial".to_owned()));
        assert_eq!(repair("x86_64-"), Some("x86_64".to_owned()));
        assert_eq!(repair("--"), None);
    }
}
