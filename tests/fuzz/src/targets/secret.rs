//! Secrets: what is decoded has the length that its form says, and an error does not repeat it.

use devices::secret::decode::{Encryption, IV_LENGTH, KEY_LENGTH, SecretFormat, decode};

use crate::{Target, input::Input};

inventory::submit!(Target { name: "secret", covers: &["secret"], run });

/// A byte for the variant; a key and an initialization vector, if that says so; then the secret.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let variant = input.byte();
    let format = if variant & 1 == 0 { SecretFormat::Raw } else { SecretFormat::Base64 };
    let (key, iv);
    let encryption = if variant & 2 == 0 {
        None
    } else {
        let length = if variant & 4 == 0 { KEY_LENGTH } else { usize::from(input.byte()) };
        key = input.take(length);
        iv = String::from_utf8_lossy(input.take(IV_LENGTH.div_ceil(3) * 4)).into_owned();
        Some(Encryption { key, iv: &iv })
    };
    let given = input.rest();
    match decode(given, format, encryption) {
        Ok(secret) => {
            assert!(secret.len() <= given.len());
            match (format, encryption) {
                (SecretFormat::Raw, None) => assert_eq!(**secret, *given),
                // Padding takes one byte at least.
                (SecretFormat::Raw, Some(_)) => assert!(secret.len() < given.len()),
                (SecretFormat::Base64, _) => assert!(secret.len() <= given.len() / 4 * 3),
            }
        }
        Err(error) => assert!(error.to_string().len() < 128, "it repeats what was given"),
    }
}
