//! Whether certificates can serve at all: what users would otherwise learn from a peer that hangs up.

use std::time::Duration;

use rustls::{
    Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, UnixTime},
    server::{ParsedCertificate, danger::ClientCertVerifier},
};
use x509_cert::{Certificate, der::Decode, ext::pkix::BasicConstraints};

/// Checks that an authority's certificate is one's (RFC 5280, section 4.2.1.9) and holds at that
/// time.
///
/// # Errors
/// If not: what is wrong with it.
pub(super) fn check_authority(
    certificate: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<(), &'static str> {
    let certificate = Certificate::from_der(certificate).map_err(|_| "is malformed")?;
    let certificate = certificate.tbs_certificate();
    let now = Duration::from_secs(now.as_secs());
    let validity = certificate.validity();
    if now < validity.not_before.to_unix_duration() {
        return Err("is not valid yet");
    }
    if now > validity.not_after.to_unix_duration() {
        return Err("has expired");
    }
    match certificate.get_extension::<BasicConstraints>() {
        Ok(Some((_, constraints))) if constraints.ca => Ok(()),
        Ok(_) => Err("is not an authority's"),
        Err(_) => Err("is malformed"),
    }
}

/// Checks that a server's certificate leads to an authority and holds at that time.
///
/// # Errors
/// If not.
pub(super) fn check_server(
    chain: &[CertificateDer<'_>],
    roots: &RootCertStore,
    provider: &CryptoProvider,
    now: UnixTime,
) -> Result<(), Error> {
    let Some((own, others)) = chain.split_first() else {
        return Err(Error::NoCertificatesPresented);
    };
    let own = ParsedCertificate::try_from(own)?;
    let algorithms = provider.signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&own, roots, others, now, algorithms)
}

/// Checks that a client's certificate would be taken by a server with the same authorities.
///
/// # Errors
/// If not.
pub(super) fn check_client(
    chain: &[CertificateDer<'_>],
    verifier: &dyn ClientCertVerifier,
    now: UnixTime,
) -> Result<(), Error> {
    let Some((own, others)) = chain.split_first() else {
        return Err(Error::NoCertificatesPresented);
    };
    verifier.verify_client_cert(own, others, now).map(|_| ())
}
