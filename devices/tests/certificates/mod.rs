//! Certificates made for a test, in folders as credentials want them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// What a certificate is to say.
pub(crate) struct Wanted<'a> {
    /// The common name; the organization is always Palisade.
    pub(crate) name: &'a str,
    /// Names of hosts.
    pub(crate) hosts: &'a [&'a str],
    /// Whether it has expired.
    pub(crate) expired: bool,
    /// Its number.
    pub(crate) serial: u64,
}

impl<'a> Wanted<'a> {
    pub(crate) fn named(name: &'a str) -> Self {
        Self { name, hosts: &[], expired: false, serial: 7 }
    }
}

/// The subject of every certificate of that common name, as authorization sees it.
pub(crate) fn subject(name: &str) -> String {
    format!("O=Palisade,CN={name}")
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::OrganizationName, "Palisade");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = parameters(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn issue(&self, wanted: &Wanted<'_>) -> Issued {
        let hosts: Vec<_> = wanted.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut parameters = parameters(wanted.name);
        parameters.subject_alt_names = CertificateParams::new(hosts).unwrap().subject_alt_names;
        parameters.serial_number = Some(SerialNumber::from(wanted.serial));
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if wanted.expired {
            parameters.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// The list of what it has revoked: the certificate with that number.
    pub(crate) fn revoke(&self, serial: u64) -> String {
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: Some(RevocationReason::KeyCompromise),
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        parameters.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A folder for a server at `localhost` and 127.0.0.1.
    pub(crate) fn server(&self) -> Folder {
        let hosts = &["localhost", "127.0.0.1"];
        let issued = self.issue(&Wanted { hosts, ..Wanted::named("server") });
        Folder::new(self).with("server", &issued)
    }

    /// A folder for a client of that name.
    pub(crate) fn client(&self, name: &str) -> Folder {
        Folder::new(self).with("client", &self.issue(&Wanted::named(name)))
    }
}

/// A folder with files of credentials, which goes with the value.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// One in which that authority is trusted.
    pub(crate) fn new(authority: &Authority) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("ca-cert.pem", authority.pem());
        folder
    }

    /// Adds a side's certificate and key.
    pub(crate) fn with(self, side: &str, issued: &Issued) -> Self {
        self.write(&format!("{side}-cert.pem"), &issued.certificate);
        self.write(&format!("{side}-key.pem"), &issued.key);
        self
    }

    pub(crate) fn write(&self, name: &str, contents: &str) {
        fs::write(self.file(name), contents).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.file(name)).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn path(&self) -> &str {
        let path: &Path = self.0.path();
        path.to_str().unwrap()
    }
}
