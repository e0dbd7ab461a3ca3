//! Secrets: bytes that other objects need, and that nothing shows.

use std::{fmt, str, sync::Arc};

use qom_core::{Object, qom_type};
use zeroize::Zeroizing;

/// A source of a secret: a password or a key
///
/// Others link to it, as `tls-creds-x509` does through `passwordid`, and ask for the secret when
/// they take up their work, since the source has taken up its own by then.
#[qom_type(abstract, parent = Object, boundary(management))]
pub trait SecretSource: Object {
    /// The secret; none before the source has taken up its work, and after it has given it back.
    fn secret(&self) -> Option<Arc<SecretBytes>>;
}

/// The bytes of a secret. They are wiped when the last holder lets go, and not shown by `Debug`.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes.
    #[must_use]
    pub const fn new(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as text, for a password.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&self) -> Result<&str, str::Utf8Error> {
        str::from_utf8(&self.0)
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = SecretBytes::new(Zeroizing::new(b"hunter2".to_vec()));
        assert_eq!(format!("{secret:?}"), "SecretBytes");
        assert_eq!(secret.text(), Ok("hunter2"));
        SecretBytes::new(Zeroizing::new(vec![0xff])).text().unwrap_err();
    }
}
