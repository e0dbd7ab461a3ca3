//! TLS: credentials that users make, and connections that are made with them.

mod chain;
mod creds;
mod files;
pub mod identity;
mod stream;
mod unverified;
mod x509;

pub use creds::{Endpoint, SessionError, TlsCreds};
pub use files::CredentialsError;
pub(crate) use stream::{Progress, TlsStream};
pub use x509::TlsCredsX509;
