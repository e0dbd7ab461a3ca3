//! The type `secret`.

use std::{path::Path, sync::Arc};

use device_model::{descriptors::Descriptors, prelude::*, qom_core::BoxedError};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    data::SecretText,
    decode::{DecodeError, Encryption, SecretFormat, decode},
};
use crate::contents::{self, ContentsError};

/// Bytes in a file with a secret, at most. Keys have some thousand, in base64 a third more.
const LARGEST_FILE: u64 = 1 << 20;

/// Password or key that other objects use
///
/// `data` or `file` has it. Nobody can read it back, and this object's memory is wiped when it goes.
/// What was given as `data` has come through a command line or a monitor, whose copies are not wiped.
#[qom_type(
    secure,
    parent = SecretSource,
    interfaces(UserCreatable),
    boundary(management),
    children = check
)]
#[derive(Debug)]
pub struct Secret {
    /// The secret itself; reads as null
    #[property]
    data: SecretText,
    /// Path of the file that has the secret
    #[property]
    file: Option<String>,
    /// How data or file gives it
    #[property]
    format: SecretFormat,
    /// Secret with the key of AES-256-CBC that data or file is encrypted with
    #[property(
        link = dyn SecretSource,
        insecure_when(
            is_plain,
            reason = "'data' has the secret in plain text, which the list of processes, logs and \
                      saved commands show: give 'file', or encrypt it"
        )
    )]
    keyid: Link<dyn SecretSource>,
    /// Initialization vector of what is encrypted, in base64
    #[property]
    iv: Option<String>,
    secret: Mutex<Option<Arc<SecretBytes>>>,
}

/// Why there is no secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file can't be read.
    #[error("the secret's file '{path}': {source}")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: ContentsError,
    },
    /// What was given is none.
    #[error("the secret in '{property}' {source}")]
    Decode {
        /// `data` or `file`.
        property: &'static str,
        /// Why.
        source: DecodeError,
    },
    /// What `keyid` leads to has none.
    #[error("the secret that 'keyid' leads to is not there any more")]
    NoKey,
}

impl Secret {
    fn load(&self, descriptors: &Descriptors) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let from_file;
        let (property, given) = match &self.file {
            Some(path) => {
                from_file = contents::read(descriptors, Path::new(path), LARGEST_FILE)
                    .map_err(|source| SecretError::File { path: path.clone(), source })?;
                ("file", &**from_file)
            }
            None => ("data", self.data.text().unwrap_or_default().as_bytes()),
        };
        let key = match self.keyid.get() {
            Some(source) => Some(source.secret().ok_or(SecretError::NoKey)?),
            None => None,
        };
        let iv = self.iv.as_deref().unwrap_or_default();
        let encryption = key.as_ref().map(|key| Encryption { key: key.bytes(), iv });
        decode(given, self.format, encryption)
            .map_err(|source| SecretError::Decode { property, source })
    }
}

impl SecretSource for Secret {
    fn secret(&self) -> Option<Arc<SecretBytes>> {
        self.secret.lock().clone()
    }
}

impl UserCreatable for Secret {
    fn complete(&self, _object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        *self.secret.lock() = Some(Arc::new(SecretBytes::new(self.load(platform.descriptors())?)));
        Ok(())
    }

    fn undo(&self) {
        *self.secret.lock() = None;
    }
}

/// Refuses a configuration that gives no secret, or two. It announces no children.
fn check(configuration: &Configuration<'_>, _: &mut Children) -> Result<(), PlanError> {
    let data: SecretText = configuration.get("data")?;
    let file: Option<String> = configuration.get("file")?;
    let iv: Option<String> = configuration.get("iv")?;
    let refuse = |property: &'static str, problem: &str| {
        Err(PlanError::refused(property, format!("Parameter '{property}' {problem}")))
    };
    match (data.text(), file) {
        (None, None) => return refuse("data", "is missing, or 'file' instead of it"),
        (Some(_), Some(_)) => return refuse("file", "contradicts 'data': give one of them"),
        _ => {}
    }
    match (configuration.linked("keyid")?, iv) {
        (Some(_), None) => refuse("iv", "is missing, which 'keyid' needs"),
        (None, Some(_)) => refuse("iv", "is only for a secret with 'keyid'"),
        _ => Ok(()),
    }
}

/// Judges whether the secret was given in plain text.
fn is_plain(configuration: &Configuration<'_>) -> Result<bool, PlanError> {
    let data: SecretText = configuration.get("data")?;
    Ok(data.text().is_some() && configuration.linked("keyid")?.is_none())
}
