//! Who somebody is, as authorization asks for it: the subject of his certificate.

use thiserror::Error;
use x509_cert::{Certificate, der::Decode};

/// Why a certificate says nobody's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// It is none (RFC 5280, section 4.1).
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
    /// It has no subject, which RFC 5280, section 4.1.2.6, allows where other names take its place.
    #[error("the certificate has no subject")]
    Nobody,
}

/// The subject of a certificate in DER, as `C=GB,O=Example,CN=laptop.example`.
///
/// The parts come in the order of the certificate, as QEMU has them, and are escaped as RFC 4514,
/// section 2.4, says; so that none can be taken for two.
///
/// # Errors
/// If it is no certificate, or has no subject.
pub fn subject(certificate: &[u8]) -> Result<String, IdentityError> {
    let certificate = Certificate::from_der(certificate)
        .map_err(|error| IdentityError::Malformed(error.to_string()))?;
    let parts = certificate.tbs_certificate().subject().iter_rdn();
    let parts: Vec<_> = parts.map(ToString::to_string).collect();
    if parts.is_empty() { Err(IdentityError::Nobody) } else { Ok(parts.join(",")) }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    fn certificate(parts: Vec<(DnType, DnValue)>) -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            parameters.distinguished_name.push(kind, value);
        }
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_parts_stand_in_the_certificate_s_order() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        let certificate = certificate(vec![
            (DnType::CountryName, DnValue::PrintableString("GB".try_into().unwrap())),
            (DnType::OrganizationName, text("Example Home")),
            (DnType::CommonName, text("laptop.example")),
        ]);
        let expected = "C=GB,O=Example Home,CN=laptop.example";
        assert_eq!(subject(&certificate).as_deref(), Ok(expected));
        assert!(matches!(subject(&certificate[1..]), Err(IdentityError::Malformed(_))));
        assert!(matches!(subject(&[]), Err(IdentityError::Malformed(_))));
    }

    #[test]
    fn no_value_can_be_taken_for_another_part() {
        let name = DnValue::Utf8String("eve,O=Good+CN=fred\0\\".to_owned());
        let certificate = certificate(vec![(DnType::CommonName, name)]);
        let expected = r"CN=eve\,O=Good\+CN=fred\00\\";
        assert_eq!(subject(&certificate).as_deref(), Ok(expected));
    }

    #[test]
    fn whoever_has_no_name_is_nobody() {
        assert_eq!(subject(&certificate(Vec::new())), Err(IdentityError::Nobody));
    }
}
