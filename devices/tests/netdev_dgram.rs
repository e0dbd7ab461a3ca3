//! `netdev-dgram` as cards, users and whoever is at the other end meet it.

use std::{
    net::{SocketAddr, UdpSocket},
    os::{fd::AsRawFd, unix::net::UnixDatagram},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use device_model::{
    prelude::*,
    qom_core::{InsecureTypes, Policy, PolicyStatement, SecurityStatus},
    testing::{Machine, TestNic, wait_until},
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use tempfile::TempDir;

struct Paths {
    folder: TempDir,
}

impl Paths {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn of(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn network(&self, machine: &Machine, own: &str, other: &str) -> Obj {
        let (local, remote) = (self.of(own), self.of(other));
        let properties = [
            ("local.type", "unix"),
            ("local.path", local.to_str().unwrap()),
            ("remote.type", "unix"),
            ("remote.path", remote.to_str().unwrap()),
        ];
        machine.add("netdev-dgram", own, &properties)
    }

    fn socket(&self, name: &str) -> UnixDatagram {
        let socket = UnixDatagram::bind(self.of(name)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }
}

fn received(socket: &UnixDatagram) -> Vec<u8> {
    let mut frame = vec![0; 0x2_0000];
    let length = socket.recv(&mut frame).unwrap();
    frame.truncate(length);
    frame
}

#[test]
fn each_datagram_is_a_frame_and_comes_from_its_own_path() {
    let (machine, paths) = (Machine::new(), Paths::new());
    let object = paths.network(&machine, "own", "other");
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    let (_card, nic) = TestNic::plugged(&machine, "nic", "/own");
    let _running = machine.run_events();
    wait_until("the link is up", || nic.links() == [true]);
    let other = paths.socket("other");
    let pieces = [&b"head"[..], b"", b"er and body"].map(std::io::IoSlice::new);
    assert_eq!(nic.netdev().send(0, &pieces), Sending::Taken);
    let mut frame = [0; 64];
    let (length, from) = other.recv_from(&mut frame).unwrap();
    assert_eq!(&frame[..length], b"header and body");
    assert_eq!(from.as_pathname(), Some(&*paths.of("own")));
    // Nothing is no frame, and no end.
    for frame in [&b"one"[..], b"", &[7; 0x1_1000]] {
        other.send_to(frame, paths.of("own")).unwrap();
    }
    assert_eq!((nic.wait_for_frame(), nic.wait_for_frame()), (b"one".to_vec(), vec![7; 0x1_1000]));
    other.send_to(&[7; 0x1_1001], paths.of("own")).unwrap();
    wait_until("it is dropped", || nic.netdev().counters().receive_dropped == 1);
    assert_eq!(nic.send(&[7; 0x1_1001]), Sending::Taken);
    assert_eq!(nic.netdev().counters().send_dropped, 1);
    assert!(nic.take_frames().is_empty());
}

#[test]
fn whoever_is_at_the_other_path_may_come_and_go() {
    let (machine, paths) = (Machine::new(), Paths::new());
    let _object = paths.network(&machine, "own", "other");
    let (_card, nic) = TestNic::plugged(&machine, "nic", "/own");
    let _running = machine.run_events();
    assert_eq!(nic.send(b"lost"), Sending::Taken);
    for round in 0..3 {
        let other = paths.socket("other");
        assert_eq!(nic.send(&[round; 9]), Sending::Taken);
        assert_eq!(received(&other), [round; 9]);
        other.send_to(&[round; 3], paths.of("own")).unwrap();
        assert_eq!(nic.wait_for_frame(), [round; 3]);
        drop(other);
        assert_eq!(nic.send(b"lost"), Sending::Taken);
        std::fs::remove_file(paths.of("other")).unwrap();
    }
    assert_eq!(nic.netdev().counters().send_dropped, 4);
}

/// Sends frames with numbers until there is no room, and goes on whenever there is.
fn flood(nic: &TestNic, socket: &UnixDatagram) {
    let frame = |number: u32| [&number.to_le_bytes()[..], &[0xa5; 1500]].concat();
    const COUNT: u32 = 1000;
    let (mut sent, mut refused) = (0, 0);
    let mut numbers = Vec::new();
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    while numbers.len() < COUNT as usize {
        while sent < COUNT && nic.send(&frame(sent)) == Sending::Taken {
            sent += 1;
        }
        refused += u32::from(sent < COUNT);
        let mut buffer = [0; 2000];
        while let Ok(length) = socket.recv(&mut buffer) {
            assert_eq!(length, 1504);
            numbers.push(u32::from_le_bytes(buffer[..4].try_into().unwrap()));
        }
        if sent < COUNT {
            wait_until("it can send", || !nic.take_ready().is_empty());
        }
    }
    assert!(numbers.iter().copied().eq(0..COUNT), "in order, and none is lost");
    assert!(refused > 0, "there was always room");
}

#[test]
fn a_slow_other_end_is_waited_for() {
    let (machine, paths) = (Machine::new(), Paths::new());
    let _object = paths.network(&machine, "own", "other");
    let (_card, nic) = TestNic::plugged(&machine, "nic", "/own");
    let _running = machine.run_events();
    flood(&nic, &paths.socket("other"));
}

#[test]
fn a_slow_other_end_that_is_connected_is_waited_for() {
    let (machine, paths) = (Machine::new(), Paths::new());
    let _object = paths.network(&machine, "own", "other");
    let (_card, nic) = TestNic::plugged(&machine, "nic", "/own");
    let _running = machine.run_events();
    let other = paths.socket("other");
    other.connect(paths.of("own")).unwrap();
    flood(&nic, &other);
}

#[test]
fn a_socket_pair_may_be_inherited() {
    let machine = Machine::new();
    let (own, other) = UnixDatagram::pair().unwrap();
    let number = own.as_raw_fd().to_string();
    let properties = [("local.type", "fd"), ("local.str", &*number)];
    let error = machine.create("netdev-dgram", "net", &properties).unwrap_err().to_string();
    assert!(error.contains("the process was not started with that descriptor"), "{error}");
    machine.hand_over([&own]);
    machine.add("netdev-dgram", "net", &properties);
    let (_card, nic) = TestNic::plugged(&machine, "nic", "/net");
    let _running = machine.run_events();
    assert_eq!(nic.netdev().info(), format!("fd:{number}"));
    other.send(b"in").unwrap();
    assert_eq!(nic.wait_for_frame(), b"in");
    flood(&nic, &other);
}

fn udp_pair(machine: &Machine) -> (Arc<TestNic>, UdpSocket, SocketAddr) {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let properties = [
        ("local.type", "inet"),
        ("local.host", "127.0.0.1"),
        ("local.port", "0"),
        ("remote.type", "inet"),
        ("remote.host", "127.0.0.1"),
        ("remote.port", &*port),
    ];
    machine.add("netdev-dgram", "net", &properties);
    let (_card, nic) = TestNic::plugged(machine, "nic", "/net");
    assert_eq!(nic.send(b"first"), Sending::Taken);
    let mut frame = [0; 9];
    let (length, own) = other.recv_from(&mut frame).unwrap();
    assert_eq!(&frame[..length], b"first");
    assert_eq!(nic.netdev().info(), format!("udp:{own} <-> 127.0.0.1:{port}"));
    (nic, other, own)
}

#[test]
fn udp_takes_frames_of_the_other_end_only() {
    let machine = Machine::new();
    let (nic, other, own) = udp_pair(&machine);
    let _running = machine.run_events();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"forged", own).unwrap();
    other.send_to(b"true", own).unwrap();
    assert_eq!(nic.wait_for_frame(), b"true");
    // Whoever was there and is not answers with an error, which is no end.
    let at = other.local_addr().unwrap();
    drop(other);
    for _ in 0..3 {
        assert_eq!(nic.send(b"lost"), Sending::Taken);
        std::thread::sleep(Duration::from_millis(10));
    }
    let other = UdpSocket::bind(at).unwrap();
    assert_eq!(nic.send(b"found"), Sending::Taken);
    assert_eq!(other.recv(&mut [0; 9]).unwrap(), 5);
    other.send_to(b"again", own).unwrap();
    assert_eq!(nic.wait_for_frame(), b"again");
}

#[test]
fn a_card_without_room_is_given_the_same_frames_later() {
    let machine = Machine::new();
    let (nic, other, own) = udp_pair(&machine);
    nic.set_room(Some(1));
    let _running = machine.run_events();
    for number in 0..20 {
        other.send_to(&[number; 4], own).unwrap();
    }
    assert_eq!(nic.wait_for_frame(), [0; 4]);
    std::thread::sleep(Duration::from_millis(20));
    assert!(nic.take_frames().is_empty());
    nic.set_room(None);
    for number in 1..20 {
        assert_eq!(nic.wait_for_frame(), [number; 4]);
    }
}

#[test]
fn the_members_of_a_group_hear_each_other() {
    let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
    let machine = Machine::with_policy(Policy::of(&[accept]));
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let properties = [
        ("local.type", "inet"),
        ("local.host", "127.0.0.1"),
        ("local.port", "0"),
        ("remote.type", "inet"),
        ("remote.host", "239.255.77.1"),
        ("remote.port", &*port),
    ];
    machine.add("netdev-dgram", "one", &properties);
    machine.add("netdev-dgram", "two", &properties);
    assert_eq!(machine.tree.taints().len(), 2, "anybody may be a member");
    let (_first, one) = TestNic::plugged(&machine, "nic1", "/one");
    let (_second, two) = TestNic::plugged(&machine, "nic2", "/two");
    let _running = machine.run_events();
    assert_eq!(one.send(b"to all"), Sending::Taken);
    assert_eq!((two.wait_for_frame(), one.wait_for_frame()), (b"to all".into(), b"to all".into()));
    assert_eq!(two.netdev().info(), format!("mcast:239.255.77.1:{port}"));
}

#[test]
fn its_path_goes_with_it() {
    let (machine, paths) = (Machine::new(), Paths::new());
    let object = paths.network(&machine, "own", "other");
    assert!(paths.of("own").exists());
    machine.remove(&object);
    assert!(!paths.of("own").exists());
    let _taken = paths.socket("own");
    let local = paths.of("own");
    let properties = [
        ("local.type", "unix"),
        ("local.path", local.to_str().unwrap()),
        ("remote.type", "unix"),
        ("remote.path", "/nowhere"),
    ];
    let error = machine.create("netdev-dgram", "net", &properties).unwrap_err().to_string();
    assert!(error.contains("somebody listens there"), "{error}");
    assert!(paths.of("own").exists());
}

#[test]
fn what_others_than_this_host_can_reach_is_insecure() {
    let machine = Machine::new();
    for (property, local, remote) in [
        ("remote.host", "127.0.0.1", "10.1.2.3"),
        ("remote.host", "127.0.0.1", "239.1.2.3"),
        ("local.host", "0.0.0.0", "127.0.0.1"),
        ("local.host", "", "localhost"),
    ] {
        let properties = [
            ("local.type", "inet"),
            ("local.host", local),
            ("local.port", "0"),
            ("remote.type", "inet"),
            ("remote.host", remote),
            ("remote.port", "9"),
        ];
        let error = machine.create("netdev-dgram", "x", &properties).unwrap_err().to_string();
        assert!(error.contains(&format!("'netdev-dgram.{property}' with value")), "{error}");
        assert!(error.contains("declared as insecure"), "{error}");
    }
    let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
    let refused = |number: &str| {
        let properties = [("local.type", "fd"), ("local.str", number)];
        machine.create("netdev-dgram", "x", &properties).unwrap_err().to_string()
    };
    let error = refused(&bound.as_raw_fd().to_string());
    assert!(error.contains("the socket is not connected"), "{error}");
    let stream = std::os::unix::net::UnixStream::pair().unwrap().0;
    let error = refused(&stream.as_raw_fd().to_string());
    assert!(error.contains("it is not a datagram socket"), "{error}");
}

#[test]
fn a_configuration_that_means_nothing_is_refused_with_the_property_named() {
    let machine = Machine::new();
    let unix = [("local.type", "unix"), ("local.path", "/x")];
    let inet = [("local.type", "inet"), ("local.host", "::1"), ("local.port", "1")];
    let remote = [("remote.type", "inet"), ("remote.host", "::1"), ("remote.port", "1")];
    for (properties, problem) in [
        (vec![], "Parameter 'remote.type' is missing"),
        (unix.to_vec(), "Parameter 'remote.type' is missing"),
        (remote.to_vec(), "Parameter 'local.type' is missing"),
        (vec![("remote.type", "unix"), ("remote.path", "/x")], "Parameter 'local.type' is missing"),
        ([&unix[..], &remote].concat(), "Parameter 'remote.type' is another than 'local.type'"),
        ([&inet[..], &[("remote.type", "fd")]].concat(), "which only 'local.type' can be"),
        (
            [&inet[..], &remote[..2], &[("remote.port", "0")]].concat(),
            "Parameter 'remote.port' expects a port to send to, got '0'",
        ),
        (vec![("remote.host", "::1")], "Parameter 'remote.host' needs 'remote.type' with it"),
    ] {
        let error = machine.create("netdev-dgram", "x", &properties).unwrap_err().to_string();
        assert!(error.contains(problem), "{properties:?}: {error}");
    }
    assert_eq!(machine.paths(), [] as [&str; 0]);
}
