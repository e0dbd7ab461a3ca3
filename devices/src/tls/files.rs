//! The files with certificates and keys, called as QEMU calls them.

use std::{
    path::{Path, PathBuf},
    str::Utf8Error,
};

use device_model::{descriptors::Descriptors, prelude::SecretBytes};
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer,
    pem::{self, PemObject},
};
use thiserror::Error;
use zeroize::Zeroizing;

use super::creds::Endpoint;
use crate::contents::{self, ContentsError};

/// Certificates of the authorities that are trusted.
pub(super) const CA_CERT: &str = "ca-cert.pem";
/// What those have revoked.
pub(super) const CA_CRL: &str = "ca-crl.pem";

/// Bytes in a file with certificates or a key, at most. A certificate has some thousand.
const LARGEST_FILE: u64 = 1 << 20;

/// Bytes in a file with what was revoked, at most: some hundred thousand certificates.
const LARGEST_CRL: u64 = 16 << 20;

/// How an encrypted key begins (RFC 7468, section 11), and how it ends.
const ENCRYPTED: (&str, &str) =
    ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");

/// What marks a key that is encrypted in another way (RFC 1421, section 4.6.1.1).
const ENCRYPTED_OTHERWISE: &str = "Proc-Type: 4,ENCRYPTED";

/// What is wrong with credentials, and with which file.
#[derive(Debug, Error)]
#[error("the file '{}': {problem}", path.display())]
pub struct CredentialsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, Error)]
pub enum Problem {
    /// It can't be read.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// It is not what it should be (RFC 7468).
    #[error("it is not in PEM: {0}")]
    Pem(pem::Error),
    /// It has nothing of what it is for.
    #[error("it has no {0}")]
    Empty(&'static str),
    /// It is there, and another that belongs to it is not.
    #[error("it needs '{0}' beside it")]
    Alone(String),
    /// The key is encrypted, and nobody said with what.
    #[error("the key is encrypted: 'passwordid' is missing")]
    NoPassword,
    /// The secret with the password is not in use.
    #[error(
        "the key is encrypted, and the secret that 'passwordid' leads to is not there any more"
    )]
    PasswordGone,
    /// The password is no text.
    #[error("the key's password is not UTF-8")]
    Password(#[from] Utf8Error),
    /// The key is encrypted in a way that is not PKCS #8's.
    #[error("the key is encrypted in an old form; 'openssl pkcs8 -topk8' makes PKCS #8 of it")]
    OldEncryption,
    /// The key can't be decrypted.
    #[error("the key can't be decrypted with that password: {0}")]
    Decrypt(pkcs8::Error),
    /// What it has is not fit for TLS.
    #[error(transparent)]
    Tls(rustls::Error),
    /// A certificate can't serve.
    #[error("its certificate is none that a peer could take: {0}")]
    Certificate(rustls::CertificateError),
    /// What it has is not fit for a list of what is revoked.
    #[error(transparent)]
    Revocation(#[from] rustls::server::VerifierBuilderError),
    /// An authority's certificate can't be trusted.
    #[error("a certificate in it {0}")]
    Authority(&'static str),
}

impl From<rustls::Error> for Problem {
    fn from(error: rustls::Error) -> Self {
        match error {
            // Told from the other side, which has not met it yet.
            rustls::Error::InvalidCertificate(problem) => Self::Certificate(problem),
            error => Self::Tls(error),
        }
    }
}

/// A folder with files, and what was handed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folder<'a>(pub(super) &'a Path, pub(super) &'a Descriptors);

/// A certificate with those that lead to the authority's, and its key.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Folder<'_> {
    /// An error about one of the files.
    pub(super) fn error(self, name: &str, problem: impl Into<Problem>) -> CredentialsError {
        CredentialsError { path: self.0.join(name), problem: problem.into() }
    }

    fn read(self, name: &str, most: u64) -> Result<Zeroizing<Vec<u8>>, CredentialsError> {
        contents::read(self.1, &self.0.join(name), most).map_err(|error| self.error(name, error))
    }

    /// The same; none if there is no such file.
    fn find(self, name: &str, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, CredentialsError> {
        match contents::read(self.1, &self.0.join(name), most) {
            Err(error) if error.is_missing() => Ok(None),
            read => read.map(Some).map_err(|error| self.error(name, error)),
        }
    }

    /// All objects of a kind in PEM; one at least.
    fn all<T: PemObject>(
        self,
        name: &str,
        contents: &[u8],
        what: &'static str,
    ) -> Result<Vec<T>, CredentialsError> {
        let found: Result<Vec<_>, _> = T::pem_slice_iter(contents).collect();
        let found = found.map_err(|error| self.error(name, Problem::Pem(error)))?;
        if found.is_empty() {
            return Err(self.error(name, Problem::Empty(what)));
        }
        Ok(found)
    }

    /// The certificates of the authorities that are trusted.
    pub(super) fn authorities(self) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
        self.all(CA_CERT, &self.read(CA_CERT, LARGEST_FILE)?, "certificate")
    }

    /// What the authorities have revoked; nothing if there is no file that says so.
    pub(super) fn revoked(
        self,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, CredentialsError> {
        match self.find(CA_CRL, LARGEST_CRL)? {
            Some(contents) => self.all(CA_CRL, &contents, "list of what is revoked"),
            None => Ok(Vec::new()),
        }
    }

    /// The certificate and key of a side. A client needs none.
    pub(super) fn own(
        self,
        endpoint: Endpoint,
        password: Option<&SecretBytes>,
    ) -> Result<Option<Own>, CredentialsError> {
        let (cert_name, key_name) = own_names(endpoint);
        let certificates = self.find(cert_name, LARGEST_FILE)?;
        let key = self.find(key_name, LARGEST_FILE)?;
        let (certificates, key) = match (certificates, key) {
            (Some(certificates), Some(key)) => (certificates, key),
            (None, None) if endpoint == Endpoint::Client => return Ok(None),
            (None, None) => {
                return Err(self
                    .read(cert_name, LARGEST_FILE)
                    .err()
                    .unwrap_or_else(|| self.error(cert_name, Problem::Empty("certificate"))));
            }
            (Some(_), None) => {
                return Err(self.error(cert_name, Problem::Alone(key_name.to_owned())));
            }
            (None, Some(_)) => {
                return Err(self.error(key_name, Problem::Alone(cert_name.to_owned())));
            }
        };
        let chain = self.all(cert_name, &certificates, "certificate")?;
        let key = read_key(&key, password).map_err(|problem| self.error(key_name, problem))?;
        Ok(Some(Own { chain, key }))
    }
}

/// The files with the certificate and the key of a side.
pub(super) const fn own_names(endpoint: Endpoint) -> (&'static str, &'static str) {
    match endpoint {
        Endpoint::Client => ("client-cert.pem", "client-key.pem"),
        Endpoint::Server => ("server-cert.pem", "server-key.pem"),
    }
}

fn read_key(
    contents: &[u8],
    password: Option<&SecretBytes>,
) -> Result<PrivateKeyDer<'static>, Problem> {
    let text = str::from_utf8(contents).unwrap_or_default();
    if let Some((_, rest)) = text.split_once(ENCRYPTED.0) {
        let (body, _) = rest.split_once(ENCRYPTED.1).unwrap_or((rest, ""));
        let pem = Zeroizing::new([ENCRYPTED.0, body, ENCRYPTED.1].concat());
        let password = password.ok_or(Problem::NoPassword)?.text()?;
        return decrypt(&pem, password).map_err(Problem::Decrypt);
    }
    if text.contains(ENCRYPTED_OTHERWISE) {
        return Err(Problem::OldEncryption);
    }
    match PrivateKeyDer::from_pem_slice(contents) {
        Err(pem::Error::NoItemsFound) => Err(Problem::Empty("key")),
        read => read.map_err(Problem::Pem),
    }
}

fn decrypt(pem: &str, password: &str) -> Result<PrivateKeyDer<'static>, pkcs8::Error> {
    let (_, document) = SecretDocument::from_pem(pem)?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())?;
    let key = encrypted.decrypt(password)?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}
