//! `tls-creds-x509` as users make it, and what it says of files that can't serve.

mod certificates;

use std::process::Command;

use certificates::{Authority, Folder, Wanted};
use device_model::{
    causes::with_causes,
    qom_core::{Policy, PolicyStatement, SecurityStatus},
    testing::Machine,
};
use devices::tls::TlsCreds;

const UNFIT: &str = "its certificate is none that a peer could take: ";

fn server(folder: &Folder) -> Vec<(&'static str, &str)> {
    vec![("endpoint", "server"), ("dir", folder.path())]
}

fn client(folder: &Folder) -> Vec<(&'static str, &str)> {
    vec![("endpoint", "client"), ("dir", folder.path())]
}

fn refusal(properties: &[(&str, &str)]) -> String {
    let machine = Machine::new();
    let error = machine.create("tls-creds-x509", "refused", properties).unwrap_err();
    assert!(machine.paths().is_empty());
    with_causes(&*error)
}

/// Asserts that credentials are refused for a file of a folder.
fn refused_for(folder: &Folder, properties: &[(&str, &str)], file: &str, problem: &str) {
    let error = refusal(properties);
    let file = folder.file(file);
    let expected = format!("the file '{}': {problem}", file.display());
    assert!(error.contains(&expected), "expected: {expected}\n     got: {error}");
}

#[test]
fn both_sides_are_made_of_their_files_and_are_declared_secure() {
    let authority = Authority::new("CA");
    let machine = Machine::new();
    let (server_folder, client_folder) = (authority.server(), authority.client("fred"));
    let server = machine.add("tls-creds-x509", "s0", &server(&server_folder));
    assert_eq!(server.class().status(), SecurityStatus::Secure);
    let server = server.cast::<dyn TlsCreds>().unwrap();
    assert!(server.session(None).is_ok());
    let client = machine.add("tls-creds-x509", "c0", &client(&client_folder));
    let client = client.cast::<dyn TlsCreds>().unwrap();
    assert!(client.session(Some("127.0.0.1")).is_ok());
    let error = client.session(None).unwrap_err();
    assert_eq!(error.to_string(), "a client needs the name of the host that it expects");
    let error = client.session(Some("no host")).unwrap_err();
    assert!(error.to_string().contains("'no host' is no name or address"), "{error}");
}

#[test]
fn a_client_needs_no_certificate_and_no_side_the_other_s() {
    let authority = Authority::new("CA");
    let (machine, folder) = (Machine::new(), Folder::new(&authority));
    let object = machine.add("tls-creds-x509", "c0", &client(&folder));
    machine.remove(&object);
    let error = object.cast::<dyn TlsCreds>().unwrap().session(Some("localhost")).unwrap_err();
    assert_eq!(error.to_string(), "the credentials are not there any more");
    refused_for(&folder, &server(&folder), "server-cert.pem", "can't read it: No such file");
}

#[test]
fn a_file_that_is_missing_or_no_pem_is_named() {
    let authority = Authority::new("CA");
    let folder = authority.server();
    let ours = server(&folder);
    folder.remove("server-key.pem");
    refused_for(&folder, &ours, "server-cert.pem", "it needs 'server-key.pem' beside it");
    folder.write("server-key.pem", "no key");
    refused_for(&folder, &ours, "server-key.pem", "it has no key");
    let cut = "-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n";
    folder.write("server-key.pem", cut);
    refused_for(&folder, &ours, "server-key.pem", "it is not in PEM: ");
    folder.remove("server-cert.pem");
    refused_for(&folder, &ours, "server-key.pem", "it needs 'server-cert.pem' beside it");
    folder.write("server-cert.pem", "");
    refused_for(&folder, &ours, "server-cert.pem", "it has no certificate");
    folder.write("ca-crl.pem", "nothing");
    refused_for(&folder, &ours, "ca-crl.pem", "it has no list of what is revoked");
    folder.write("ca-cert.pem", "nothing");
    refused_for(&folder, &ours, "ca-cert.pem", "it has no certificate");
    folder.write("ca-cert.pem", "-----BEGIN CERTIFICATE-----\nYQo=\n-----END CERTIFICATE-----\n");
    refused_for(&folder, &ours, "ca-cert.pem", "a certificate in it is malformed");
    folder.remove("ca-cert.pem");
    refused_for(&folder, &ours, "ca-cert.pem", "can't read it: No such file");
    let error = refusal(&[("endpoint", "server")]);
    assert!(error.contains("Parameter 'dir' is missing"), "{error}");
}

#[test]
fn certificates_that_no_peer_could_take_are_refused_unless_the_user_wants_them() {
    let (authority, other) = (Authority::new("CA"), Authority::new("Other CA"));
    let fred = authority.issue(&Wanted::named("fred"));
    let old = authority.issue(&Wanted { expired: true, ..Wanted::named("old") });
    let foreign = Folder::new(&other).with("server", &fred).with("client", &fred);
    refused_for(&foreign, &server(&foreign), "server-cert.pem", UNFIT);
    refused_for(&foreign, &client(&foreign), "client-cert.pem", UNFIT);
    let expired = Folder::new(&authority).with("server", &old).with("client", &old);
    refused_for(&expired, &server(&expired), "server-cert.pem", UNFIT);
    refused_for(&expired, &client(&expired), "client-cert.pem", UNFIT);
    let no_authority = Folder::new(&authority);
    no_authority.write("ca-cert.pem", &fred.certificate);
    let problem = "a certificate in it is not an authority's";
    refused_for(&no_authority, &client(&no_authority), "ca-cert.pem", problem);
    no_authority.write("ca-cert.pem", &(authority.pem().to_owned() + &old.certificate));
    let problem = "a certificate in it has expired";
    refused_for(&no_authority, &client(&no_authority), "ca-cert.pem", problem);

    let machine = Machine::new();
    for (name, properties) in
        [("s0", server(&foreign)), ("s1", server(&expired)), ("c0", client(&expired))]
    {
        let properties = [&properties[..], &[("sanity-check", "off")]].concat();
        machine.add("tls-creds-x509", name, &properties);
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new("CA");
    let folder = authority.server();
    folder.write("server-key.pem", &authority.issue(&Wanted::named("other")).key);
    refused_for(&folder, &server(&folder), "server-cert.pem", "keys may not be consistent");
}

#[test]
fn an_encrypted_key_needs_its_password() {
    let authority = Authority::new("CA");
    let folder = authority.server();
    let encrypted = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:hunter2", "-in"])
        .arg(folder.file("server-key.pem"))
        .output()
        .expect("the tests' tools are there: cargo xtask fetch");
    let encrypted = String::from_utf8(encrypted.stdout).unwrap();
    assert!(encrypted.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{encrypted}");
    folder.write("server-key.pem", &encrypted);
    let ours = server(&folder);
    refused_for(&folder, &ours, "server-key.pem", "the key is encrypted: 'passwordid' is missing");

    let machine = Machine::new();
    folder.write("password", "hunter2");
    folder.write("wrong", "hunter3");
    for name in ["password", "wrong"] {
        let file = folder.file(name).to_str().unwrap().to_owned();
        machine.add("secret", name, &[("file", &file)]);
    }
    let with = |id| [&ours[..], &[("passwordid", id)]].concat();
    machine.add("tls-creds-x509", "tls0", &with("password"));
    let error = machine.create("tls-creds-x509", "tls1", &with("wrong")).unwrap_err();
    let error = with_causes(&*error);
    let problem = "the key can't be decrypted with that password";
    assert!(error.contains("server-key.pem") && error.contains(problem), "{error}");

    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
               DEK-Info: AES-256-CBC,00\n\nYQo=\n-----END RSA PRIVATE KEY-----\n";
    folder.write("server-key.pem", old);
    let problem = "the key is encrypted in an old form";
    refused_for(&folder, &ours, "server-key.pem", problem);
}

#[test]
fn credentials_that_verify_nobody_are_insecure() {
    let authority = Authority::new("CA");
    let (server_folder, client_folder) = (authority.server(), authority.client("fred"));
    let permissive = Machine::with_policy(Policy::of(&[PolicyStatement::RequireSecure(false)]));
    for (name, ours) in [("s0", server(&server_folder)), ("c0", client(&client_folder))] {
        let properties = [&ours[..], &[("verify-peer", "off")]].concat();
        let error = refusal(&properties);
        let verdict = "'tls-creds-x509.verify-peer' with value 'false' is declared as insecure";
        assert!(error.contains(verdict), "{error}");
        permissive.add("tls-creds-x509", name, &properties);
    }
}
