//! The type `tls-creds-x509`.

use std::{path::Path, sync::Arc};

use device_model::{descriptors::Descriptors, prelude::*, qom_core::BoxedError};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    client::{Resumption, WebPkiServerVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateRevocationListDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use super::{
    chain::{check_authority, check_client, check_server},
    creds::{Endpoint, SessionError, TlsCreds},
    files::{CA_CERT, CA_CRL, CredentialsError, Folder, Own, Problem, own_names},
    unverified::Unverified,
};

/// X.509 certificates and a key in files
///
/// The folder has `ca-cert.pem`; for a server `server-cert.pem` and `server-key.pem`; a client may
/// have `client-cert.pem` and `client-key.pem`, and does not show a certificate otherwise. What
/// `ca-crl.pem` says, if it is there, is revoked, and it has to cover every certificate of a peer. A
/// certificate names hosts as its alternative names (RFC 6125, section 6.4); its common name is for
/// authorization. Files are read when the object is made, and not again.
///
/// Connections have TLS 1.3 or 1.2 with the ciphers that rustls deems safe, each with a handshake
/// of its own: nothing is resumed. `dh-params.pem` is not read, since no cipher needs it.
#[qom_type(secure, name = "tls-creds-x509", parent = TlsCreds, interfaces(UserCreatable))]
#[derive(Debug)]
pub struct TlsCredsX509 {
    /// Whether the own certificates have to be such that peers could take them
    #[property(name = "sanity-check", default = true)]
    sanity_check: bool,
    /// Secret with the password of the key's file, which is encrypted as PKCS #8 says
    #[property(name = "passwordid", link = dyn SecretSource)]
    passwordid: Link<dyn SecretSource>,
    config: Mutex<Option<Config>>,
}

/// What connections begin with.
#[derive(Clone, Debug)]
enum Config {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

/// What is loaded from a folder.
struct Loader<'a> {
    folder: Folder<'a>,
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    sanity_check: bool,
}

impl<'a> Loader<'a> {
    fn new(folder: Folder<'a>, sanity_check: bool) -> Result<Self, CredentialsError> {
        let mut roots = RootCertStore::empty();
        for certificate in folder.authorities()? {
            if sanity_check {
                check_authority(&certificate, UnixTime::now())
                    .map_err(|problem| folder.error(CA_CERT, Problem::Authority(problem)))?;
            }
            roots.add(certificate).map_err(|error| folder.error(CA_CERT, error))?;
        }
        let provider = Arc::new(ring::default_provider());
        let revoked = folder.revoked()?;
        Ok(Self { folder, provider, roots: Arc::new(roots), revoked, sanity_check })
    }

    fn server(&self, own: Own, verify_peer: bool) -> Result<ServerConfig, CredentialsError> {
        let (cert_name, _) = own_names(Endpoint::Server);
        let about_own = |error: rustls::Error| self.folder.error(cert_name, error);
        if self.sanity_check {
            check_server(&own.chain, &self.roots, &self.provider, UnixTime::now())
                .map_err(about_own)?;
        }
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(about_own)?;
        let builder = if verify_peer {
            let roots = Arc::clone(&self.roots);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
                    .with_crls(self.revoked.iter().cloned())
                    .enforce_revocation_expiration()
                    .build()
                    .map_err(|error| self.folder.error(CA_CRL, error))?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(own.chain, own.key).map_err(about_own)?;
        // Whoever comes again shows again who he is.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn client(
        &self,
        own: Option<Own>,
        verify_peer: bool,
    ) -> Result<ClientConfig, CredentialsError> {
        let (cert_name, _) = own_names(Endpoint::Client);
        let about_own = |error: rustls::Error| self.folder.error(cert_name, error);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(about_own)?;
        let builder = if verify_peer {
            let roots = Arc::clone(&self.roots);
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
                    .with_crls(self.revoked.iter().cloned())
                    .enforce_revocation_expiration()
                    .build()
                    .map_err(|error| self.folder.error(CA_CRL, error))?;
            builder.with_webpki_verifier(verifier)
        } else {
            let anybody = Arc::new(Unverified(Arc::clone(&self.provider)));
            builder.dangerous().with_custom_certificate_verifier(anybody)
        };
        let mut config = match own {
            Some(Own { chain, key }) => {
                if self.sanity_check {
                    let roots = Arc::clone(&self.roots);
                    let provider = Arc::clone(&self.provider);
                    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                        .build()
                        .map_err(|error| self.folder.error(CA_CERT, error))?;
                    check_client(&chain, &*verifier, UnixTime::now()).map_err(about_own)?;
                }
                builder.with_client_auth_cert(chain, key).map_err(about_own)?
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl TlsCredsX509 {
    fn load(&self, descriptors: &Descriptors) -> Result<Config, CredentialsError> {
        let dir = self.dir();
        let folder = Folder(Path::new(&dir), descriptors);
        let endpoint = self.endpoint();
        let password = match self.passwordid.get() {
            Some(source) => Some(
                source
                    .secret()
                    .ok_or_else(|| folder.error(own_names(endpoint).1, Problem::PasswordGone))?,
            ),
            None => None,
        };
        let loader = Loader::new(folder, self.sanity_check)?;
        let own = folder.own(endpoint, password.as_deref())?;
        let verify_peer = self.verify_peer();
        Ok(match (endpoint, own) {
            (Endpoint::Client, own) => Config::Client(Arc::new(loader.client(own, verify_peer)?)),
            (Endpoint::Server, Some(own)) => {
                Config::Server(Arc::new(loader.server(own, verify_peer)?))
            }
            (Endpoint::Server, None) => {
                let (cert_name, _) = own_names(endpoint);
                return Err(folder.error(cert_name, Problem::Empty("certificate")));
            }
        })
    }
}

impl TlsCreds for TlsCredsX509 {
    fn session(&self, host: Option<&str>) -> Result<Connection, SessionError> {
        let config = self.config.lock().clone().ok_or(SessionError::Gone)?;
        Ok(match config {
            Config::Server(config) => ServerConnection::new(config)?.into(),
            Config::Client(config) => {
                let host = host.ok_or(SessionError::NoHost)?;
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|_| SessionError::Host(host.to_owned()))?;
                ClientConnection::new(config, name)?.into()
            }
        })
    }
}

impl UserCreatable for TlsCredsX509 {
    fn complete(&self, _object: &Obj, platform: &Platform) -> Result<(), BoxedError> {
        *self.config.lock() = Some(self.load(platform.descriptors())?);
        Ok(())
    }

    fn undo(&self) {
        *self.config.lock() = None;
    }
}
