//! Networks on every way that makes them, as users and programs ask for them, and what is left when
//! they are refused.

use std::{
    io::Read,
    net::TcpListener,
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    time::Duration,
};

use serde_json::{Value, json};
use tests::{Scratch, Vmm, qmp::Monitored};

const NONE: &str = "-machine none -nodefaults";

fn monitored(options: &[&str]) -> Monitored {
    Monitored::of(Vmm::line(NONE).args(options), Scratch::new())
}

fn ids(vm: &mut Monitored) -> Vec<String> {
    let listed = vm.qmp.ask(&json!({
        "execute": "qom-list", "arguments": { "path": "/netdevs" },
    }));
    let children = listed["return"].as_array().cloned().unwrap_or_default();
    let is_child = |child: &&Value| {
        child["type"].as_str().is_some_and(|name| name.starts_with("child<netdev-"))
    };
    let name = |child: &Value| child["name"].as_str().unwrap_or_default().to_owned();
    children.iter().filter(is_child).map(name).collect()
}

#[test]
fn a_network_is_made_by_each_form_of_its_option() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.path().join(name);
    let shown = |name: &str| path(name).display().to_string();
    let file = scratch.file(
        "vm.conf",
        format!(
            "[netdev \"file\"]\ntype = \"stream\"\naddr.type = \"unix\"\naddr.path = \"{}\"\n\
             server = \"on\"\n",
            shown("file")
        ),
    );
    let json = json!({
        "type": "stream", "id": "json", "server": true,
        "addr": { "type": "unix", "path": shown("json") },
    });
    let pairs = format!(
        "dgram,id=pairs,local.type=unix,local.path={},remote.type=unix,remote.path={}",
        shown("pairs"),
        shown("other")
    );
    let hub = "hubport,id=hub,hubid=0,netdev=pairs";
    let mut vm = monitored(&[
        "-readconfig",
        &file.display().to_string(),
        "-netdev",
        &json.to_string(),
        "-netdev",
        &pairs,
        "-netdev",
        hub,
        "-netdev",
        "user,id=user,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=udp:127.0.0.1:0-:53",
    ]);
    assert_eq!(ids(&mut vm), ["file", "hub", "json", "pairs", "user"]);
    assert_eq!(
        vm.qmp.property("/netdevs/user", "hostfwd"),
        json!(["tcp:127.0.0.1:0-:22", "udp:127.0.0.1:0-:53"])
    );
    assert_eq!(vm.qmp.property("/netdevs/hub", "netdev"), json!("/netdevs/pairs"));
    let text = vm.qmp.human("info network");
    for line in [
        format!("json: type=stream,link=down,disconnected:unix:{},server=on", shown("json")),
        format!("pairs: type=dgram,link=up,unix:{} <-> {}", shown("pairs"), shown("other")),
        " \\ /netdevs/hub".to_owned(),
        "user: type=user,link=up,net=10.0.2.0/24,restrict=off".to_owned(),
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
    }
    UnixStream::connect(path("file")).expect("somebody listens");
    UnixStream::connect(path("json")).expect("somebody listens");
    vm.quit().code(0);
    for name in ["file", "json", "pairs"] {
        assert!(!path(name).exists(), "{name} goes with the program");
    }
}

#[test]
fn networks_come_and_go_while_the_program_runs() {
    let mut vm = monitored(&[]);
    let before = vm.running.descriptors();
    let scratch = Scratch::new();
    let path = scratch.path().join("net");
    let stream = json!({
        "type": "stream", "id": "n0", "server": true, "addr": { "type": "unix", "path": path },
    });
    vm.qmp.execute("netdev_add", stream.clone());
    let mut other = UnixStream::connect(&path).expect("somebody listens");
    other.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
    let port = json!({ "type": "hubport", "id": "p0", "hubid": 3, "netdev": "n0" });
    vm.qmp.execute("netdev_add", port.clone());
    // A frame comes in by one network of a hub, and goes out by another.
    let [own, far] = ["own", "far"].map(|name| scratch.path().join(name));
    let far = UnixDatagram::bind(&far).map(|socket| (socket, far)).expect("the path is free");
    far.0.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
    vm.qmp.execute(
        "netdev_add",
        json!({
            "type": "dgram", "id": "n1",
            "local": { "type": "unix", "path": own },
            "remote": { "type": "unix", "path": far.1 },
        }),
    );
    vm.qmp.execute(
        "netdev_add",
        json!({ "type": "hubport", "id": "p1", "hubid": 3, "netdev": "n1" }),
    );
    std::io::Write::write_all(&mut other, b"\0\0\0\x05frame").expect("somebody reads");
    let mut frame = [0; 16];
    assert_eq!(far.0.recv(&mut frame).expect("it comes"), 5);
    assert_eq!(&frame[..5], b"frame");
    far.0.send_to(b"back", &own).expect("somebody is there");
    let mut frame = [0; 8];
    other.read_exact(&mut frame).expect("it comes");
    assert_eq!(&frame, b"\0\0\0\x04back");
    let (class, text) = vm.qmp.refused("netdev_del", json!({ "id": "n0" }));
    assert_eq!((&*class, &*text), ("GenericError", "Netdev 'n0' is busy: '/netdevs/p0' uses it"));
    let (_, text) = vm.qmp.refused("netdev_add", port);
    assert_eq!(text, "Duplicate netdev ID 'p0'");
    for id in ["p1", "n1", "p0", "n0"] {
        vm.qmp.execute("netdev_del", json!({ "id": id }));
    }
    let (class, text) = vm.qmp.refused("netdev_del", json!({ "id": "n0" }));
    assert_eq!((&*class, &*text), ("DeviceNotFound", "Device 'n0' not found"));
    assert!(!path.exists() && !own.exists());
    assert_eq!(vm.running.descriptors(), before);
    vm.qmp.execute("netdev_add", stream);
    vm.quit().code(0);
}

#[test]
fn what_is_refused_leaves_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = taken.local_addr().expect("it is bound").port();
    let scratch = Scratch::new();
    let (nobody, here) = (scratch.path().join("nobody"), scratch.path().join("here"));
    let mut vm = monitored(&[]);
    let (before, threads) = (vm.running.descriptors(), vm.running.threads());
    for round in 0..3 {
        for (arguments, problem) in [
            (json!({ "type": "tapp" }), "Parameter 'type' does not accept value 'tapp'"),
            (json!({ "type": "user", "net": "x" }), "Parameter 'net' expects an address"),
            (json!({ "type": "user", "host-loopback": true }), "is declared as insecure"),
            (json!({ "type": "tap", "script": "/bin/true" }), "is declared as insecure"),
            (
                json!({ "type": "user", "hostfwd": [{ "str": format!("tcp:127.0.0.1:{taken}-:1") }] }),
                "Address already in use",
            ),
            (
                json!({ "type": "stream", "addr": { "type": "unix", "path": nobody } }),
                "No such file or directory",
            ),
            (
                json!({
                    "type": "stream", "server": true,
                    "addr": { "type": "inet", "host": "0.0.0.0", "port": "0" },
                }),
                "is declared as insecure",
            ),
            (json!({ "type": "hubport", "hubid": 1, "netdev": "nope" }), "nope"),
            (json!({ "type": "tap", "fd": 0 }), "it is no TAP interface"),
            (
                json!({
                    "type": "dgram",
                    "local": { "type": "unix", "path": here },
                    "remote": { "type": "inet", "host": "::1", "port": "1" },
                }),
                "Parameter 'remote.type' is another than 'local.type'",
            ),
        ] {
            let mut arguments = arguments;
            arguments["id"] = "n0".into();
            let (_, text) = vm.qmp.refused("netdev_add", arguments.clone());
            assert!(text.contains(problem), "{arguments}: {text}");
        }
        assert_eq!(ids(&mut vm), [] as [&str; 0]);
        assert_eq!(vm.running.descriptors(), before, "round {round}");
    }
    assert_eq!(vm.running.threads(), threads);
    assert!(!here.exists());
    assert_eq!(vm.qmp.execute("query-security", json!({}))["tainted"], false);
    vm.quit().code(0);
}

#[test]
fn a_network_that_cannot_be_opened_ends_the_start_and_takes_the_others_away() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
    let stream = |id: &str, path: &std::path::Path, rest: &str| {
        format!("stream,id={id},addr.type=unix,addr.path={}{rest}", path.display())
    };
    let (server, client) = (stream("a", &first, ",server=on"), stream("b", &second, ""));
    Vmm::line(NONE).args(["-netdev", &server, "-netdev", &client]).run().refuses_to_start_with(&[
        &format!("-netdev {client}: can't connect to 'unix:{}'", second.display()),
        "No such file or directory",
    ]);
    assert!(!first.exists());
    let _listener = UnixListener::bind(&second).expect("the path is free");
    let vm = monitored(&["-netdev", &server, "-netdev", &client]);
    vm.quit().code(0);
    assert!(second.exists() && !first.exists());
}

#[test]
fn what_is_checked_is_what_would_be() {
    let check = |netdev: &str| {
        Vmm::line("check --json -machine none -nodefaults -netdev").args([netdev]).run()
    };
    let verdict = |netdev: &str, code: i32| -> Value {
        let answer = check(netdev).code(code).stdout();
        let answer: Value = serde_json::from_str(&answer).expect("it is JSON");
        let objects = answer["objects"].as_array().expect("they are listed").clone();
        objects.into_iter().find(|object| object["path"] == "/netdevs/n").expect("it would be")
    };
    assert_eq!(verdict("user,id=n", 0)["verdict"], "permitted");
    assert_eq!(verdict("user,id=n,host-loopback=on", 1)["verdict"], "refused");
    let open = "stream,id=n,addr.type=inet,addr.host=10.1.2.3,addr.port=9";
    let refused = verdict(open, 1);
    assert_eq!(refused["verdict"], "refused");
    assert!(refused.to_string().contains("no encryption and no authorization"), "{refused}");
    assert_eq!(verdict("tap,id=n,script=/etc/qemu-ifup", 1)["verdict"], "refused");
}
