//! What of a `chardev-socket` is secure: who can reach it, and who they have to be.

mod certificates;
mod socket;

use std::{
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
};

use certificates::{Authority, Folder, subject};
use device_model::{
    qom_core::{Policy, PolicyStatement, SecurityStatus},
    testing::Machine,
};
use socket::{SERVER, place, refusal, server, shown_port, stream};

#[test]
fn it_is_declared_secure() {
    let (_directory, path) = place();
    let machine = Machine::new();
    assert_eq!(server(&machine, &path).0.class().status(), SecurityStatus::Secure);
}

#[test]
fn what_others_than_this_host_can_reach_is_insecure() {
    let machine = Machine::new();
    for host in ["0.0.0.0", "", "::", "example.invalid", "10.1.2.3", "127.1"] {
        for server in ["on", "off"] {
            let error = refusal(&machine, &[("host", host), ("port", "1"), ("server", server)]);
            let verdict =
                format!("'chardev-socket.host' with value '{host}' is declared as insecure");
            assert!(error.contains(&verdict), "{error}");
        }
    }
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let [fd] = machine.hand_over([&open]);
    let error = refusal(&machine, &[&SERVER[..], &[("fd", fd.as_str())]].concat());
    let verdict = format!("'chardev-socket.fd' with value '{fd}' is declared as insecure");
    assert!(error.contains(&verdict), "{error}");

    for host in ["127.0.0.1", "localhost", "127.0.0.2"] {
        let properties = [&SERVER[..], &[("host", host), ("port", "0")]].concat();
        let object = machine.add("chardev-socket", "loopback", &properties);
        machine.remove(&object);
    }
    let local = TcpListener::bind("127.0.0.1:0").unwrap();
    let [fd] = machine.hand_over([&local]);
    machine.add("chardev-socket", "fd", &[&SERVER[..], &[("fd", fd.as_str())]].concat());

    // It is the user's to allow it.
    let permissive = Machine::with_policy(Policy::of(&[PolicyStatement::RequireSecure(false)]));
    let properties = [&SERVER[..], &[("host", "0.0.0.0"), ("port", "0")]].concat();
    let (_object, stream) = stream(&permissive, &properties);
    TcpStream::connect(("127.0.0.1", shown_port(&*stream))).unwrap();
}

/// A machine with credentials of each kind, and something that authorizes.
struct Guarded {
    machine: Machine,
    _folders: [Folder; 2],
}

impl Guarded {
    fn new(policy: Policy) -> Self {
        let machine = Machine::with_policy(policy);
        let authority = Authority::new("CA");
        let folders = [authority.server(), authority.client("fred")];
        let verifiers: &[_] = if policy == Policy::default() { &["on"] } else { &["on", "off"] };
        for verify in verifiers {
            for (endpoint, folder) in ["server", "client"].iter().zip(&folders) {
                let id = format!("{endpoint}-{verify}");
                let properties =
                    [("endpoint", *endpoint), ("verify-peer", verify), ("dir", folder.path())];
                machine.add("tls-creds-x509", &id, &properties);
            }
        }
        machine.add("authz-simple", "authz0", &[("identity", &subject("fred"))]);
        Self { machine, _folders: folders }
    }
}

#[test]
fn what_others_can_reach_takes_tls_with_a_peer_that_is_verified_and_authorized() {
    let guarded = Guarded::new(Policy::default());
    let machine = &guarded.machine;
    let remote = [&SERVER[..], &[("host", "0.0.0.0"), ("port", "0")]].concat();
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let [fd] = machine.hand_over([&open]);
    let inherited = [&SERVER[..], &[("fd", fd.as_str())]].concat();
    let creds = ("tls-creds", "server-on");
    for (place, property) in [(&remote, "host"), (&inherited, "fd")] {
        for properties in [&place[..], &[&place[..], &[creds]].concat()] {
            let error = refusal(machine, properties);
            let verdict = format!("'chardev-socket.{property}' with value '");
            assert!(error.contains(&verdict), "{properties:?}: {error}");
            assert!(error.contains("is declared as insecure"), "{properties:?}: {error}");
        }
        let whole = [&place[..], &[creds, ("tls-authz", "authz0")]].concat();
        let object = machine.add("chardev-socket", "stream", &whole);
        machine.remove(&object);
    }
    // What stays on this host may do without.
    let local = [&SERVER[..], &[("host", "127.0.0.1"), ("port", "0"), creds]].concat();
    machine.add("chardev-socket", "local", &local);

    // A client judges its server itself. Nobody answers there: the address is for documentation
    // (RFC 5737).
    let client = [("host", "192.0.2.1"), ("port", "1"), ("reconnect-ms", "60000")];
    let error = refusal(machine, &client);
    assert!(error.contains("'chardev-socket.host' with value '192.0.2.1' is declared"), "{error}");
    let client = [&client[..], &[("tls-creds", "client-on")]].concat();
    machine.add("chardev-socket", "client", &client);
}

#[test]
fn tls_without_verification_is_no_better_than_none() {
    let guarded = Guarded::new(Policy::of(&[PolicyStatement::RequireSecure(false)]));
    let machine = &guarded.machine;
    let exposed = |properties: &[(&str, &str)]| {
        let created = machine.create("chardev-socket", "stream", properties).unwrap();
        machine.remove(&created.objects[0]);
        created
            .findings
            .iter()
            .any(|finding| finding.refusal.to_string().contains("chardev-socket.host"))
    };
    let server = [&SERVER[..], &[("host", "0.0.0.0"), ("port", "0")]].concat();
    let client = [("host", "192.0.2.1"), ("port", "1"), ("reconnect-ms", "60000")];
    for (side, name) in [(&server[..], "server"), (&client, "client")] {
        let id = format!("{name}-off");
        assert!(exposed(&[side, &[("tls-creds", id.as_str())]].concat()), "{name}");
        let id = format!("{name}-on");
        let secured = [side, &[("tls-creds", id.as_str())]].concat();
        assert_eq!(exposed(&secured), name == "server", "{name}");
    }
    let whole = [&server[..], &[("tls-creds", "server-on"), ("tls-authz", "authz0")]].concat();
    assert!(!exposed(&whole));
}

#[test]
fn tls_that_means_nothing_is_refused() {
    let guarded = Guarded::new(Policy::of(&[PolicyStatement::RequireSecure(false)]));
    let machine = &guarded.machine;
    machine.add("chardev-null", "null", &[]);
    let (_directory, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    let [fd] = machine.hand_over([&listener]);
    let tcp = [("host", "127.0.0.1"), ("port", "1")];
    let server = [&tcp[..], &SERVER].concat();
    for (place, extra, problem) in [
        (
            &[("path", "/p")][..],
            &[("tls-creds", "client-on")][..],
            "Parameter 'tls-creds' is only for a socket with 'host', or a server with 'fd'",
        ),
        (&[("fd", "3")], &[("tls-creds", "client-on")], "'tls-creds' is only for a socket with"),
        (
            &[&SERVER[..], &[("fd", fd.as_str())]].concat(),
            &[("tls-creds", "server-on")],
            "Parameter 'tls-creds' is only for TCP, and 'fd' is '",
        ),
        (
            &server,
            &[("tls-authz", "authz0")],
            "Parameter 'tls-authz' is only for a server with 'tls-creds'",
        ),
        (
            &tcp,
            &[("tls-creds", "client-on"), ("tls-authz", "authz0")],
            "Parameter 'tls-authz' is only for a server with 'tls-creds'",
        ),
        (
            &server,
            &[("tls-creds", "client-on")],
            "Parameter 'tls-creds' expects credentials with endpoint=server, and '/client-on' has \
             endpoint=client",
        ),
        (
            &tcp,
            &[("tls-creds", "server-on")],
            "Parameter 'tls-creds' expects credentials with endpoint=client, and '/server-on' has \
             endpoint=server",
        ),
        (
            &server,
            &[("tls-creds", "server-off"), ("tls-authz", "authz0")],
            "Parameter 'tls-authz' is only for credentials with verify-peer=on",
        ),
        (&server, &[("tls-creds", "none")], "'none'"),
        (&server, &[("tls-creds", "null")], "tls-creds"),
        (&server, &[("tls-creds", "server-on"), ("tls-authz", "null")], "authz"),
    ] {
        let properties = [place, extra].concat();
        let error = refusal(machine, &properties);
        assert!(error.contains(problem), "{properties:?}: {error}");
    }
    // A name that no certificate could be for will never do, so that it is told at once.
    let nobody = [("host", ""), ("port", "1"), ("tls-creds", "client-on"), ("reconnect-ms", "5")];
    let error = refusal(machine, &nobody);
    assert!(error.contains("'' is no name or address that a certificate could be for"), "{error}");
}

#[test]
fn what_a_socket_uses_stays_and_goes_after_it() {
    let guarded = Guarded::new(Policy::default());
    let machine = &guarded.machine;
    let server = [&SERVER[..], &[("host", "127.0.0.1"), ("port", "0")]].concat();
    let whole = [&server[..], &[("tls-creds", "server-on"), ("tls-authz", "authz0")]].concat();
    let socket = machine.add("chardev-socket", "stream", &whole);
    let used = ["/server-on", "/authz0"].map(|path| machine.tree.resolve(path).unwrap());
    for object in &used {
        let mut completion = device_model::realize::DeviceRealizer::new(&machine.platform);
        machine.tree.remove(object, &mut completion).unwrap_err();
    }
    machine.remove(&socket);
    used.iter().for_each(|object| machine.remove(object));
}
