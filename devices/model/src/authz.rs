//! Authorization: whether somebody whose identity is known may have what he asks for.

use qom_core::{Object, qom_type};

/// What decides who may use a service
///
/// Authentication comes first: whoever asks has made sure of the identity. A TLS server takes the
/// subject of the client's certificate for it, as `C=GB,O=Example,CN=laptop.example`: the parts in
/// the order of the certificate, escaped as RFC 4514, section 2.4, says.
#[qom_type(abstract, parent = Object, boundary(network))]
pub trait Authz: Object {
    /// Whether that identity may. The identity was chosen by a peer, at any length.
    fn is_allowed(&self, identity: &str) -> bool;
}
