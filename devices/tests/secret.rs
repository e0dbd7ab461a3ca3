//! `secret` as users give it, as others use it, and as nobody sees it.

use std::{fs, io::Write};

use device_model::{
    prelude::*,
    qom_core::{Policy, PolicyStatement, SecurityStatus},
    testing::Machine,
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use tempfile::NamedTempFile;

/// Of `openssl enc -aes-256-cbc -K 3031…` (the key below) `-iv 0f0e…00 -base64` of "correct horse".
const KEY: &str = "0123456789abcdef0123456789abcdef";
const IV: &str = "Dw4NDAsKCQgHBgUEAwIBAA==";
const ENCRYPTED: &str = "fUa8ByPQfI8ZgFE2YKqVSg==";

fn file(contents: &[u8]) -> (NamedTempFile, String) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(contents).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

fn bytes(object: &Obj) -> Vec<u8> {
    let source = object.cast::<dyn SecretSource>().unwrap();
    source.secret().unwrap().bytes().to_vec()
}

fn refusal(machine: &Machine, properties: &[(&str, &str)]) -> String {
    let before = machine.paths();
    let error = machine.create("secret", "refused", properties).unwrap_err();
    assert_eq!(machine.paths(), before);
    device_model::causes::with_causes(&*error)
}

#[test]
fn a_file_s_contents_are_the_secret() {
    let machine = Machine::new();
    let (_file, path) = file(b"hunter2\n\xff");
    let object = machine.add("secret", "s0", &[("file", &path)]);
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    assert_eq!(bytes(&object), b"hunter2\n\xff", "as it is, its last line's end too");
    let (_file, path) = file(b"aHVudGVyMg==\n");
    let object = machine.add("secret", "s1", &[("file", &path), ("format", "base64")]);
    assert_eq!(bytes(&object), b"hunter2");
}

#[test]
fn what_a_key_encrypted_is_decrypted_and_can_be_given_as_it_is() {
    let machine = Machine::new();
    let (_file, path) = file(KEY.as_bytes());
    machine.add("secret", "master", &[("file", &path)]);
    let encrypted = [("data", ENCRYPTED), ("format", "base64"), ("keyid", "master"), ("iv", IV)];
    let object = machine.add("secret", "s0", &encrypted);
    assert_eq!(bytes(&object), b"correct horse");
}

#[test]
fn a_secret_in_plain_text_is_insecure_and_is_not_shown_by_the_message() {
    let machine = Machine::new();
    let error = refusal(&machine, &[("data", "hunter2")]);
    assert!(error.contains("'secret.keyid' with value 'null' is declared as insecure"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn nobody_reads_a_secret_back() {
    let permissive = Machine::with_policy(Policy::of(&[PolicyStatement::RequireSecure(false)]));
    let object = permissive.add("secret", "s0", &[("data", "hunter2")]);
    assert_eq!(bytes(&object), b"hunter2");
    for (property, _) in object.class().properties() {
        let shown = object.get(property.name).unwrap_or_default().to_string();
        assert!(!shown.contains("hunter2"), "{}: {shown}", property.name);
    }
    assert_eq!(object.get("data"), Some(serde_json::Value::Null));
    let secret = object.cast::<devices::secret::Secret>().unwrap();
    assert!(!format!("{secret:?}{object:?}").contains("hunter2"));
}

#[test]
fn a_secret_is_gone_when_its_object_is_and_a_key_in_use_stays() {
    let machine = Machine::new();
    let (_file, path) = file(KEY.as_bytes());
    let master = machine.add("secret", "master", &[("file", &path)]);
    let encrypted = [("data", ENCRYPTED), ("format", "base64"), ("keyid", "/master"), ("iv", IV)];
    let object = machine.add("secret", "s0", &encrypted);
    let source = object.cast::<dyn SecretSource>().unwrap();
    let mut completion = device_model::realize::DeviceRealizer::new(&machine.platform);
    machine.tree.remove(&master, &mut completion).unwrap_err();
    machine.remove(&object);
    assert!(source.secret().is_none());
    machine.remove(&master);
}

#[test]
fn a_file_that_can_t_be_one_is_refused_by_its_path() {
    let machine = Machine::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::File::create(path("large")).unwrap().set_len((1 << 20) + 1).unwrap();
    for (file, problem) in [
        (path("none"), "can't read it: No such file or directory"),
        (path(""), "it is not a regular file"),
        (path("large"), "it has 1048577 bytes, and at most 1048576 are expected"),
    ] {
        let error = refusal(&machine, &[("file", &file)]);
        assert!(error.contains(&format!("the secret's file '{file}': {problem}")), "{error}");
    }
}

#[test]
fn a_configuration_that_gives_no_secret_is_refused() {
    let machine = Machine::new();
    let (_file, path) = file(b"?");
    let (_other, short) = file(b"short");
    machine.add("secret", "short", &[("file", &short)]);
    machine.add("chardev-null", "null", &[]);
    let encrypted = [("data", ENCRYPTED), ("format", "base64"), ("keyid", "short")];
    for (properties, problem) in [
        (&[][..], "Parameter 'data' is missing, or 'file' instead of it"),
        (&[("data", "d"), ("file", &path)], "Parameter 'file' contradicts 'data'"),
        (&[("file", &path), ("iv", IV)], "Parameter 'iv' is only for a secret with 'keyid'"),
        (&encrypted, "Parameter 'iv' is missing, which 'keyid' needs"),
        (
            &[&encrypted[..], &[("iv", IV)]].concat(),
            "the secret in 'data' expects a key of 32 bytes, got 5",
        ),
        (&[("file", &path), ("format", "base64")], "the secret in 'file' expects base64"),
        (&[("file", &path), ("format", "hex")], "Parameter 'format' does not accept value 'hex'"),
        (&[("file", &path), ("keyid", "none"), ("iv", IV)], "'none'"),
        (&[("file", &path), ("keyid", "null"), ("iv", IV)], "secret-source"),
    ] {
        let error = refusal(&machine, properties);
        assert!(error.contains(problem), "{properties:?}: {error}");
        assert!(!error.contains(ENCRYPTED), "{error}");
    }
}
