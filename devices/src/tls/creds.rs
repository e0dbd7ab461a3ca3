//! The class of credentials for TLS.

use device_model::prelude::*;
use rustls::Connection;
use thiserror::Error;

/// Which side of a connection credentials are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PropertyEnum)]
#[property(name = "QCryptoTLSCredsEndpoint")]
pub enum Endpoint {
    /// The side that connects.
    #[default]
    Client,
    /// The side that is connected to.
    Server,
}

impl Endpoint {
    /// What users call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Why no connection can be made with credentials.
#[derive(Debug, Error)]
pub enum SessionError {
    /// A client needs to know whom it expects.
    #[error("'{0}' is no name or address that a certificate could be for")]
    Host(String),
    /// A client was not told whom it expects.
    #[error("a client needs the name of the host that it expects")]
    NoHost,
    /// They have been given back.
    #[error("the credentials are not there any more")]
    Gone,
    /// TLS itself can't begin.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Credentials with which one side of a TLS connection shows who it is and checks who the other is
#[qom_type(abstract, parent = Object, boundary(network))]
pub trait TlsCreds: Object {
    /// Path of the folder with the files
    #[property(required)]
    fn dir(&self) -> String;

    /// Which side they are for
    #[property(default = Endpoint::Client)]
    fn endpoint(&self) -> Endpoint;

    /// Whether the other side has to show a certificate of the authority
    #[property(
        default = true,
        insecure_if(
            false,
            reason = "anybody can be at the other side: its certificate is not asked for or not checked"
        )
    )]
    fn verify_peer(&self) -> bool;

    /// A connection that is to begin with a handshake. A client gives the name or address of the host
    /// that it expects, for which the other's certificate has to be.
    ///
    /// # Errors
    /// If a client gives none that could be one's, or the credentials are not in use.
    fn session(&self, host: Option<&str>) -> Result<Connection, SessionError>;
}
