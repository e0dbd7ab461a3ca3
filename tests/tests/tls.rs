//! A monitor that other hosts can reach: whom it takes, and that nobody else disturbs the VM.
//!
//! The clients are `openssl s_client`, which nobody here wrote.

#[path = "../../devices/tests/certificates/mod.rs"]
mod certificates;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use certificates::{Authority, Folder, subject};
use serde_json::{Value, json};
use tests::{Scratch, Vmm, qmp::Monitored};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything but TLS that the monitor takes, on all of this host's addresses.
const OPEN: &str = "socket,id=mon0,host=0.0.0.0,port=0,server=on,wait=off";

/// A client on its way to a monitor, which ends with the value.
struct Client {
    process: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    /// It reads these in its own time.
    _folder: Folder,
}

impl Client {
    fn connect(port: u16, folder: Folder) -> Self {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"])
            .args(["-connect", &format!("127.0.0.1:{port}")])
            .arg("-CAfile")
            .arg(folder.file("ca-cert.pem"));
        if folder.file("client-cert.pem").exists() {
            command.arg("-cert").arg(folder.file("client-cert.pem"));
            command.arg("-key").arg(folder.file("client-key.pem"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("the tests' tools are there: cargo xtask fetch");
        let stdin = process.stdin.take().expect("it is a pipe");
        let stdout = BufReader::new(process.stdout.take().expect("it is a pipe"));
        let (sender, lines) = channel();
        // Nobody may want them any more.
        thread::spawn(move || stdout.lines().try_for_each(|line| sender.send(line.ok()?).ok()));
        Self { process, stdin, lines, _folder: folder }
    }

    /// The next message; none if the connection ends.
    fn message(&self) -> Option<Value> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(serde_json::from_str(&line).expect("it is JSON")),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing came"),
        }
    }

    fn ask(&mut self, command: &str) -> Value {
        let request = json!({ "execute": command });
        self.stdin.write_all(format!("{request}\n").as_bytes()).expect("the monitor takes it");
        self.message().expect("the monitor answers")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A VM whose first client is local and whose other monitor takes `fred`, from wherever he comes.
struct Guarded {
    vm: Monitored,
    port: u16,
    authority: Authority,
    _folder: Folder,
}

/// The options of such a monitor.
fn guarded(folder: &Folder) -> Vmm {
    let fred = subject("fred").replace(',', ",,");
    Vmm::line("-machine none")
        .args(["-object", &format!("tls-creds-x509,id=tls0,endpoint=server,dir={}", folder.path())])
        .args([
            "-object",
            &format!("authz-list,id=authz0,rules.0.match={fred},rules.0.policy=allow"),
        ])
        .args(["-chardev", &format!("{OPEN},tls-creds=tls0,tls-authz=authz0")])
        .and("-mon mon0,mode=control")
}

/// Where a chardev listens that has no peer.
fn port(vm: &mut Monitored, label: &str) -> u16 {
    let all = vm.qmp.execute("query-chardev", json!({}));
    let found = all.as_array().expect("a list").iter().find(|one| one["label"] == label);
    let filename = found.expect("it is there")["filename"].as_str().expect("it has a place");
    let place = filename.strip_suffix(",server=on").expect("nobody is connected");
    let (_, port) = place.rsplit_once(':').expect("it has a port");
    port.parse().expect("a port is a number")
}

impl Guarded {
    fn start() -> Self {
        let authority = Authority::new("CA");
        let folder = authority.server();
        let mut vm = Monitored::of(guarded(&folder), Scratch::new());
        let port = port(&mut vm, "mon0");
        Self { vm, port, authority, _folder: folder }
    }

    fn serves_fred(&self) {
        let mut client = Client::connect(self.port, self.authority.client("fred"));
        let greeting = client.message().expect("he is greeted");
        assert!(greeting.get("QMP").is_some(), "{greeting}");
        assert_eq!(client.ask("qmp_capabilities"), json!({ "return": {} }));
        assert_eq!(client.ask("query-status")["return"]["running"], json!(true));
    }
}

#[test]
fn the_right_client_is_served_and_everybody_else_finds_the_connection_closed() {
    let mut guarded = Guarded::start();
    guarded.serves_fred();
    let stranger = Authority::new("CA");
    let foreign = stranger.client("fred");
    // He trusts the server, so that it is the server who refuses.
    foreign.write("ca-cert.pem", guarded.authority.pem());
    for (who, folder) in [
        ("somebody with another name", guarded.authority.client("mallory")),
        ("somebody whose certificate another authority signed", foreign),
        ("somebody without a certificate", Folder::new(&guarded.authority)),
    ] {
        let client = Client::connect(guarded.port, folder);
        assert_eq!(client.message(), None, "{who} is told nothing");
        let status = guarded.vm.qmp.execute("query-status", json!({}));
        assert_eq!(status["running"], json!(true), "{who}");
    }
    guarded.serves_fred();
    let security = guarded.vm.qmp.execute("query-security", json!({}));
    assert_eq!(security["tainted"], json!(false), "{security}");
}

#[test]
fn a_monitor_that_others_can_reach_takes_tls_and_authorization() {
    let authority = Authority::new("CA");
    let folder = authority.server();
    let creds = format!("tls-creds-x509,id=tls0,endpoint=server,dir={}", folder.path());
    let anybody = format!("{creds},verify-peer=no");
    let tls = format!("{OPEN},tls-creds=tls0");
    for (objects, chardev, problem) in [
        (
            &[][..],
            OPEN,
            "Property 'chardev-socket.host' with value '0.0.0.0' is declared as insecure",
        ),
        (
            &[creds.as_str()],
            &tls,
            "Property 'chardev-socket.host' with value '0.0.0.0' is declared",
        ),
        (
            &[anybody.as_str()],
            &tls,
            "Property 'tls-creds-x509.verify-peer' with value 'false' is declared as insecure",
        ),
    ] {
        let vmm = objects
            .iter()
            .fold(Vmm::line("-machine none"), |vmm, object| vmm.args(["-object", object]));
        let vmm = vmm.args(["-chardev", chardev]).and("-mon mon0,mode=control");
        vmm.run().code(1).says_only("").complains(problem);
    }
    // With both, it starts, and its policy has nothing against it.
    Guarded::start().serves_fred();
}

#[test]
fn a_monitor_adds_a_stream_with_tls_by_the_ids_of_what_it_takes() {
    let authority = Authority::new("CA");
    let folder = authority.server();
    let mut vm = Monitored::start("-machine none");
    let creds = json!({
        "qom-type": "tls-creds-x509", "id": "tls0", "endpoint": "server", "dir": folder.path(),
    });
    vm.qmp.execute("object-add", creds);
    let rules = json!([{ "match": subject("*"), "policy": "allow", "format": "glob" }]);
    vm.qmp.execute("object-add", json!({ "qom-type": "authz-list", "id": "a0", "rules": rules }));
    let backend = |authz: Option<&str>| {
        let address = json!({ "type": "inet", "data": { "host": "0.0.0.0", "port": "0" } });
        let mut data = json!({ "addr": address, "tls-creds": "tls0" });
        if let Some(authz) = authz {
            data["tls-authz"] = json!(authz);
        }
        json!({ "id": "tls0", "backend": { "type": "socket", "data": data } })
    };
    let (_, text) = vm.qmp.refused("chardev-add", backend(None));
    assert!(text.contains("'chardev-socket.host' with value '0.0.0.0' is declared"), "{text}");
    vm.qmp.execute("chardev-add", backend(Some("a0")));
    for id in ["tls0", "a0"] {
        let (_, text) = vm.qmp.refused("object-del", json!({ "id": id }));
        let expected = format!("object '{id}' is in use by '/chardevs/tls0', can not be deleted");
        assert_eq!(text, expected);
    }
    let port = port(&mut vm, "tls0");
    let mut client = Client::connect(port, authority.client("anybody"));
    client.stdin.write_all(b"nobody reads this\n").expect("the stream takes it");
    // Connected, it shows its peer.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all = vm.qmp.execute("query-chardev", json!({}));
        let found = all.as_array().expect("a list").iter().find(|one| one["label"] == "tls0");
        let filename = found.expect("it is there")["filename"].as_str().expect("it has a place");
        if filename.contains(" <-> 127.0.0.1:") {
            break;
        }
        assert!(Instant::now() < deadline, "{filename}");
        thread::sleep(Duration::from_millis(5));
    }
    vm.qmp.execute("chardev-remove", json!({ "id": "tls0" }));
    assert_eq!(client.message(), None);
    vm.qmp.execute("object-del", json!({ "id": "tls0" }));
    vm.qmp.execute("object-del", json!({ "id": "a0" }));
}

#[test]
fn a_monitor_goes_to_a_client_that_it_can_verify() {
    let authority = Authority::new("CA");
    let (server, folder) = (authority.server(), authority.client("fred"));
    let mut process = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-Verify", "1"])
        .arg("-verify_return_error")
        .arg("-CAfile")
        .arg(server.file("ca-cert.pem"))
        .arg("-cert")
        .arg(server.file("server-cert.pem"))
        .arg("-key")
        .arg(server.file("server-key.pem"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tests' tools are there: cargo xtask fetch");
    let stdin = process.stdin.take().expect("it is a pipe");
    let mut stdout = BufReader::new(process.stdout.take().expect("it is a pipe")).lines();
    let place = stdout.find_map(|line| Some(line.ok()?.strip_prefix("ACCEPT ")?.to_owned()));
    let place = place.expect("it says where it listens");
    let (_, port) = place.rsplit_once(':').expect("it has a port");
    let (sender, lines) = channel();
    // It tells of the connection too.
    let mut messages = stdout.map_while(Result::ok).filter(|line| line.starts_with('{'));
    thread::spawn(move || messages.try_for_each(|line| sender.send(line).ok()));
    let mut client = Client { process, stdin, lines, _folder: server };

    let creds = format!("tls-creds-x509,id=tls0,endpoint=client,dir={}", folder.path());
    let _running = Vmm::line("-machine none")
        .args(["-object", &creds])
        .and(&format!("-chardev socket,id=mon0,host=localhost,ipv4=on,port={port},tls-creds=tls0"))
        .and("-mon mon0,mode=control")
        .start();
    assert!(client.message().expect("it is greeted").get("QMP").is_some());
    assert_eq!(client.ask("qmp_capabilities"), json!({ "return": {} }));
}
