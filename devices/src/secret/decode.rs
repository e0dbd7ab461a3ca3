//! From what a user gives to the secret: base64 and AES-256-CBC.

use aes::Aes256;
use base64::{Engine, prelude::BASE64_STANDARD};
use cbc::{
    Decryptor,
    cipher::{BlockModeDecrypt, KeyIvInit, block_padding::Pkcs7},
};
use device_model::prelude::*;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of the key of AES-256 (FIPS 197, section 5).
pub const KEY_LENGTH: usize = 32;

/// Bytes of a block of AES, which an initialization vector has too (FIPS 197, section 5).
pub const IV_LENGTH: usize = 16;

/// How the user gives a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
#[property(name = "QCryptoSecretFormat")]
pub enum SecretFormat {
    /// As it is.
    #[default]
    Raw,
    /// In base64 (RFC 4648, section 4), which may be broken into lines.
    Base64,
}

/// How a secret is encrypted.
#[derive(Clone, Copy)]
pub struct Encryption<'a> {
    /// The key of AES-256.
    pub key: &'a [u8],
    /// The initialization vector, in base64.
    pub iv: &'a str,
}

/// Why something is no secret. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The secret is not in base64.
    #[error("expects base64")]
    Base64,
    /// The initialization vector is not in base64.
    #[error("the initialization vector is not in base64")]
    IvBase64,
    /// The initialization vector has another length than a block.
    #[error("expects an initialization vector of {IV_LENGTH} bytes, got {0}")]
    IvLength(usize),
    /// The key has another length than a key.
    #[error("expects a key of {KEY_LENGTH} bytes, got {0}")]
    KeyLength(usize),
    /// It is not what the key encrypted.
    #[error("can't be decrypted: another key or initialization vector, or it is damaged")]
    Padding,
}

/// Decodes a secret; decrypts it, if it is encrypted. What is encrypted is padded as PKCS #7 says
/// (RFC 5652, section 6.3).
///
/// # Errors
/// If it is not in that format, or not what that key encrypted.
pub fn decode(
    given: &[u8],
    format: SecretFormat,
    encryption: Option<Encryption<'_>>,
) -> Result<Zeroizing<Vec<u8>>, DecodeError> {
    let mut bytes = match format {
        SecretFormat::Raw => Zeroizing::new(given.to_vec()),
        SecretFormat::Base64 => base64(given).ok_or(DecodeError::Base64)?,
    };
    if let Some(Encryption { key, iv }) = encryption {
        let iv = base64(iv.as_bytes()).ok_or(DecodeError::IvBase64)?;
        if iv.len() != IV_LENGTH {
            return Err(DecodeError::IvLength(iv.len()));
        }
        let decryptor = Decryptor::<Aes256>::new_from_slices(key, &iv)
            .map_err(|_| DecodeError::KeyLength(key.len()))?;
        let plain = decryptor.decrypt_padded::<Pkcs7>(&mut bytes);
        let length = plain.map_err(|_| DecodeError::Padding)?.len();
        bytes.truncate(length);
    }
    Ok(bytes)
}

/// Decodes base64 that may be broken into lines.
fn base64(given: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(given.len()));
    text.extend(given.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    // Three bytes from each four letters; never moved, so that nothing is left behind.
    let mut bytes = Zeroizing::new(vec![0; text.len().div_ceil(4) * 3]);
    let length = BASE64_STANDARD.decode_slice(&*text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `openssl enc -aes-256-cbc -K 0001…1f -iv 0f0e…00 -base64` of "correct horse".
    const KEY: [u8; KEY_LENGTH] = {
        let mut key = [0; KEY_LENGTH];
        let mut at = 0;
        while at < KEY_LENGTH {
            #[expect(clippy::cast_possible_truncation, reason = "it is below 32")]
            {
                key[at] = at as u8;
            }
            at += 1;
        }
        key
    };
    const IV: &str = "Dw4NDAsKCQgHBgUEAwIBAA==";
    const ENCRYPTED: &str = "VcYIh79Z1++FKHtpunn1aA==";

    fn decrypted(given: &str, key: &[u8], iv: &str) -> Result<Vec<u8>, DecodeError> {
        decode(given.as_bytes(), SecretFormat::Base64, Some(Encryption { key, iv }))
            .map(|secret| secret.to_vec())
    }

    #[test]
    fn secrets_are_taken_as_they_are_or_from_base64() {
        assert_eq!(**decode(b"a\n\xff", SecretFormat::Raw, None).unwrap(), *b"a\n\xff");
        assert_eq!(**decode(b"YQr/\n", SecretFormat::Base64, None).unwrap(), *b"a\n\xff");
        assert_eq!(**decode(b"Y\r\nQo=\n", SecretFormat::Base64, None).unwrap(), *b"a\n");
        assert!(decode(b"", SecretFormat::Base64, None).unwrap().is_empty());
        for wrong in ["YQr", "YQr/ ", "*", "YQo", "=", "\u{e4}"] {
            let error = decode(wrong.as_bytes(), SecretFormat::Base64, None).unwrap_err();
            assert_eq!(error, DecodeError::Base64, "{wrong}");
        }
    }

    #[test]
    fn what_openssl_encrypted_is_decrypted() {
        assert_eq!(decrypted(ENCRYPTED, &KEY, IV).unwrap(), b"correct horse");
    }

    #[test]
    fn what_the_key_did_not_encrypt_is_no_secret() {
        assert_eq!(decrypted(ENCRYPTED, &KEY[1..], IV), Err(DecodeError::KeyLength(31)));
        assert_eq!(decrypted(ENCRYPTED, &KEY, "YQo="), Err(DecodeError::IvLength(2)));
        assert_eq!(decrypted(ENCRYPTED, &KEY, "?"), Err(DecodeError::IvBase64));
        assert_eq!(decrypted("YQo=", &KEY, IV), Err(DecodeError::Padding), "no whole block");
        assert_eq!(decrypted("", &KEY, IV), Err(DecodeError::Padding), "no block");
        // One bit of the vector changes one bit of the first block's padding.
        let other_iv = "Dw4NDAsKCQgHBgUEAwIBAQ==";
        assert_eq!(decrypted(ENCRYPTED, &KEY, other_iv), Err(DecodeError::Padding));
    }
}
