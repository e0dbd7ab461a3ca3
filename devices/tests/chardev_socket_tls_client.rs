//! `chardev-socket` as a client with TLS: which servers it takes, and what it says of the others.

mod certificates;
mod reader;
mod tls_peers;

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use certificates::{Authority, Folder, Wanted};
use device_model::{prelude::*, testing::Machine};
use reader::Reader;
use tls_peers::{Served, creds};

/// A machine for a client.
fn client_machine(folder: &Folder) -> Machine {
    let machine = Machine::new();
    creds(&machine, "tls0", "client", folder);
    machine
}

#[test]
fn our_client_meets_our_server_and_comes_back_to_it() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let machine = client_machine(&served.authority.client("fred"));
    let _running = machine.run_events();
    let port = served.port().to_string();
    let properties = [
        ("host", "localhost"),
        ("ipv4", "on"),
        ("port", port.as_str()),
        ("tls-creds", "tls0"),
        ("reconnect-ms", "20"),
    ];
    let object = machine.add("chardev-socket", "stream", &properties);
    let client = object.cast::<dyn Chardev>().unwrap();
    let client_reader = Reader::of(&*client);
    for round in 1..4 {
        client_reader.wait_for_presences(2 * round - 1);
        reader.wait_for_presences(2 * round - 1);
        client.write(b"ping");
        assert_eq!(reader.wait_for(4), b"ping");
        served.stream.write(b"pong");
        assert_eq!(client_reader.wait_for(4), b"pong");
        served.stream.hang_up();
    }
}

#[test]
fn a_client_that_is_not_let_in_goes_on_trying_and_its_machine_runs() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let machine = client_machine(&Folder::new(&Authority::new("Other CA")));
    let _running = machine.run_events();
    let port = served.port().to_string();
    let properties = [
        ("host", "127.0.0.1"),
        ("port", port.as_str()),
        ("tls-creds", "tls0"),
        ("reconnect-ms", "5"),
    ];
    let object = machine.add("chardev-socket", "stream", &properties);
    let client = object.cast::<dyn Chardev>().unwrap();
    let client_reader = Reader::of(&*client);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(client_reader.presences(), []);
    served.serves_fred(&reader);
    machine.remove(&{
        client.disconnect();
        object
    });
}

#[test]
fn a_client_that_waits_says_what_is_wrong_with_its_peer() {
    let authority = Authority::new("CA");
    let certificate = authority.issue(&Wanted {
        hosts: &["elsewhere.example", "127.0.0.1"],
        ..Wanted::named("localhost")
    });
    let folder = Folder::new(&authority).with("server", &certificate);
    let mut server = openssl_server(&folder);
    let (machine, stranger) = (
        client_machine(&authority.client("fred")),
        client_machine(&Authority::new("X").client("y")),
    );
    let connect = |machine: &Machine, host: &str| {
        let port = server.port.to_string();
        let properties = [("host", host), ("port", port.as_str()), ("tls-creds", "tls0")];
        let created = machine.create("chardev-socket", "stream", &properties);
        created.map_err(|error| device_model::causes::with_causes(&*error))
    };
    let error = connect(&machine, "localhost").unwrap_err();
    assert!(error.contains("can't connect to 'tcp:localhost:"), "{error}");
    assert!(error.contains("not valid for name"), "{error}");
    let error = connect(&stranger, "127.0.0.1").unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    // An address that the certificate names will do.
    let created = connect(&machine, "127.0.0.1").unwrap();
    let stream = created.objects[0].cast::<dyn Chardev>().unwrap();
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    server.process.stdin.as_mut().unwrap().write_all(b"from openssl\n").unwrap();
    assert_eq!(reader.wait_for(13), b"from openssl\n");
}

/// `openssl s_server`, which ends with the value.
struct OpensslServer {
    process: Child,
    port: u16,
}

impl Drop for OpensslServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn openssl_server(folder: &Folder) -> OpensslServer {
    let mut process = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-verify_return_error"])
        .arg("-CAfile")
        .arg(folder.file("ca-cert.pem"))
        .arg("-cert")
        .arg(folder.file("server-cert.pem"))
        .arg("-key")
        .arg(folder.file("server-key.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests' tools are there: cargo xtask fetch");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let place = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned));
    let port = place.unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
    // It tells of each connection, and would wait for somebody to read that.
    thread::spawn(move || lines.for_each(drop));
    OpensslServer { process, port }
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let authority = Authority::new("CA");
    let machine = client_machine(&authority.client("fred"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let start = Instant::now();
    let properties = [("host", "127.0.0.1"), ("port", port.as_str()), ("tls-creds", "tls0")];
    let error = machine.create("chardev-socket", "stream", &properties).unwrap_err().to_string();
    assert!(error.contains("timed out"), "{error}");
    let took = start.elapsed();
    assert!((9..20).contains(&took.as_secs()), "{took:?}");
}
