//! A monitor's command that needs somebody else who does not answer: it ends within a time, holds no
//! other client up, and leaves nothing.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::net::listen;
use serde_json::{Value, json};
use tests::{
    Scratch, Vmm,
    qmp::{Monitored, Qmp, error_of},
};

/// A machine that is nothing but its monitors, which three more clients may have.
const OPTIONS: &str = "-nodefaults -machine none";

/// Longer than an answer takes on a busy host, and far less than anybody waits for others.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Longer than anybody waits for others.
const PATIENCE: Duration = Duration::from_secs(30);

/// Listens there, and never answers whoever comes: its queue is full.
fn unix_black_hole(path: &Path) -> (UnixListener, UnixStream) {
    let listener = UnixListener::bind(path).expect("the path is free");
    // One has room all the same.
    listen(&listener, 0).expect("it listens");
    let first = UnixStream::connect(path).expect("it listens");
    (listener, first)
}

fn tcp_black_hole() -> (TcpListener, TcpStream, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listen(&listener, 0).expect("it listens");
    let at = listener.local_addr().expect("it is bound");
    let first = TcpStream::connect(at).expect("it listens");
    (listener, first, at.port())
}

fn stream(id: &str, address: &Value) -> Value {
    let data = json!({ "addr": address, "server": false });
    json!({ "execute": "chardev-add", "arguments": {
        "id": id, "backend": { "type": "socket", "data": data },
    }})
}

#[test]
fn others_are_answered_while_a_client_s_command_waits_for_somebody_who_does_not_answer() {
    let scratch = Scratch::new();
    let (hole, socket) =
        (scratch.path().join("hole"), |at| scratch.path().join(format!("qmp{at}")));
    let sockets = [0, 1, 2].map(socket);
    let _unix = unix_black_hole(&hole);
    let (_listener, _first, port) = tcp_black_hole();
    let vmm = sockets.iter().fold(Vmm::line(OPTIONS), |vmm, socket| vmm.monitor(socket));
    let mut vm = Monitored::of(vmm, Scratch::new());
    let mut waiting = sockets.map(|socket| Qmp::connect(&socket));
    let before = vm.running.descriptors();
    let at_path = json!({ "type": "unix", "data": { "path": hole } });
    let at_port = json!({
        "type": "inet", "data": { "host": "127.0.0.1", "port": port.to_string() },
    });
    let network = json!({ "execute": "netdev_add", "arguments": {
        "type": "stream", "id": "n", "addr": { "type": "unix", "path": hole },
    }});
    let commands = [stream("s", &at_path), stream("t", &at_port), network];
    let start = Instant::now();
    for (client, command) in waiting.iter_mut().zip(&commands) {
        client.send(format!("{command}\n"));
    }
    // They have begun.
    let begun = || vm.running.descriptors().len() >= before.len() + 3;
    while !begun() {
        assert!(start.elapsed() < AT_ONCE, "{before:?}, {:?}", vm.running.descriptors());
        thread::sleep(Duration::from_millis(1));
    }
    let waited = Instant::now();
    vm.qmp.execute("object-add", json!({ "qom-type": "rng-builtin", "id": "r" }));
    vm.qmp.execute("qom-list", json!({ "path": "/chardevs" }));
    vm.qmp.execute("set-security-policy", json!({ "require-secure": true }));
    vm.qmp.execute("object-del", json!({ "id": "r" }));
    assert!(waited.elapsed() < AT_ONCE, "{:?}", waited.elapsed());
    assert!(begun(), "all three still wait");
    for (client, what) in waiting.iter_mut().zip(["hole'", "tcp:127.0.0.1", "hole'"]) {
        let answer = client.answer();
        let (_, text) = error_of(&answer).expect("nobody answers");
        assert!(text.starts_with("can't connect to '") && text.contains(what), "{text}");
        assert!(text.ends_with("nobody has answered within 10 s"), "{text}");
    }
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_eq!(vm.running.descriptors(), before);
    assert_eq!(vm.qmp.execute("query-chardev", json!({})).as_array().map(Vec::len), Some(4));
    vm.quit().code(0);
}

#[test]
fn nobody_is_connected_to_for_what_is_refused() {
    let mut vm = Monitored::start(OPTIONS);
    let local = TcpListener::bind("0.0.0.0:0").expect("a port is free");
    local.set_nonblocking(true).expect("it can");
    let port = local.local_addr().expect("it is bound").port().to_string();
    // Which is this host, but not for whoever goes by the name.
    let address = json!({ "type": "inet", "data": { "host": "0.0.0.0", "port": port } });
    let answer = vm.qmp.ask(&stream("s", &address));
    let (_, text) = error_of(&answer).expect("it is refused");
    assert!(text.ends_with("is declared as insecure"), "{text}");
    let nobody = local.accept().expect_err("nobody has come");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    let address = json!({ "type": "inet", "data": { "host": "127.0.0.1", "port": port } });
    vm.qmp.ask(&stream("s", &address));
    local.accept().expect("now somebody has");
    let again = vm.qmp.ask(&stream("s", &address));
    assert!(error_of(&again).is_some(), "the name is taken");
    assert!(local.accept().is_err(), "nobody is left of that");
    vm.quit().code(0);
}
