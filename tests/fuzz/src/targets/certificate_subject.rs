//! Certificates: a peer that an authority has certified still chooses what its certificate says of it,
//! and no part of the subject can be taken for two.

use devices::tls::identity::subject;

use crate::Target;

inventory::submit!(Target { name: "certificate-subject", covers: &["tls-creds-x509"], run });

/// The whole input is a certificate in DER.
fn run(data: &[u8]) {
    match subject(data) {
        Ok(name) => {
            assert!(!name.is_empty());
            assert!(!name.contains(|letter: char| letter.is_ascii_control()), "{name:?}");
            // Hexadecimal digits, or an escape of three letters, for a byte at most; and an
            // attribute has a number for its name at worst.
            assert!(name.len() <= data.len() * 8, "{name:?}");
            // What begins a part is a name of an attribute, or a number, and a sign of equality.
            for part in split(&name) {
                let (attribute, _) = part.split_once('=').expect("each part has a value");
                let is_name =
                    attribute.chars().all(|it| it.is_ascii_alphanumeric() || ".-".contains(it));
                assert!(is_name && !attribute.is_empty(), "{name:?}");
            }
        }
        Err(error) => assert!(error.to_string().len() < 1024, "a message of any length"),
    }
}

/// The parts between commas and plus signs that are not escaped.
fn split(name: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut escaped) = (Vec::new(), 0, false);
    for (at, letter) in name.char_indices() {
        if !escaped && matches!(letter, ',' | '+') {
            parts.push(&name[begin..at]);
            begin = at + 1;
        }
        escaped = !escaped && letter == '\\';
    }
    parts.push(&name[begin..]);
    parts
}
