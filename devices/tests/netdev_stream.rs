//! `netdev-stream` as cards, users and whoever is at the other end meet it.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpListener,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use device_model::{
    prelude::*,
    qom_core::SecurityStatus,
    testing::{Machine, TestNic, wait_until},
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use tempfile::TempDir;

struct Scene {
    machine: Machine,
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { machine: Machine::new(), folder: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self, name: &str) -> (Obj, PathBuf) {
        let path = self.path(name);
        let properties =
            [("addr.type", "unix"), ("addr.path", path.to_str().unwrap()), ("server", "on")];
        (self.machine.add("netdev-stream", name, &properties), path)
    }

    fn client(&self, name: &str, path: &Path, retry: &str) -> Obj {
        let properties =
            [("addr.type", "unix"), ("addr.path", path.to_str().unwrap()), ("reconnect-ms", retry)];
        self.machine.add("netdev-stream", name, &properties)
    }

    fn nic(&self, name: &str, netdev: &str) -> (Obj, Arc<TestNic>) {
        TestNic::plugged(&self.machine, name, netdev)
    }
}

fn connect(path: &Path) -> UnixStream {
    let socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat()
}

fn read_frame(socket: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(length).try_into().unwrap()];
    socket.read_exact(&mut frame).unwrap();
    frame
}

fn is_closed(socket: &mut UnixStream) -> bool {
    match socket.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn frames_go_both_ways_behind_their_lengths() {
    let scene = Scene::new();
    let (object, path) = scene.server("net");
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    let (_card, nic) = scene.nic("nic", "/net");
    let _running = scene.machine.run_events();
    assert!(!nic.netdev().is_link_up());
    let place = format!("unix:{},server=on", path.display());
    assert_eq!(nic.netdev().info(), format!("disconnected:{place}"));
    let mut other = connect(&path);
    wait_until("the link is up", || nic.links() == [true]);
    assert_eq!(nic.netdev().info(), place);
    other.write_all(&[framed(b"one"), framed(&[7; 1514])].concat()).unwrap();
    assert_eq!(nic.wait_for_frame(), b"one");
    assert_eq!(nic.wait_for_frame(), [7; 1514]);
    let pieces = [&b"head"[..], b"", b"er and body"].map(std::io::IoSlice::new);
    assert_eq!(nic.netdev().send(0, &pieces), Sending::Taken);
    assert_eq!(read_frame(&mut other), b"header and body");
    let counters = nic.netdev().counters();
    assert_eq!((counters.sent, counters.sent_bytes, counters.send_dropped), (1, 15, 0));
    assert_eq!((counters.received, counters.received_bytes), (2, 1517));
    drop(other);
    wait_until("the link is down", || nic.links() == [true, false]);
}

#[test]
fn a_frame_may_arrive_byte_by_byte() {
    let scene = Scene::new();
    let (_object, path) = scene.server("net");
    let (_card, nic) = scene.nic("nic", "/net");
    let _running = scene.machine.run_events();
    let mut other = connect(&path);
    for byte in framed(b"slowly") {
        other.write_all(&[byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(nic.wait_for_frame(), b"slowly");
}

#[test]
fn a_card_without_room_is_given_the_same_frames_later() {
    let scene = Scene::new();
    let (_object, path) = scene.server("net");
    let (_card, nic) = scene.nic("nic", "/net");
    nic.set_room(Some(2));
    let _running = scene.machine.run_events();
    let mut other = connect(&path);
    let frames: Vec<Vec<u8>> = (1..=100_u8).map(|n| vec![n; usize::from(n) * 10]).collect();
    for frame in &frames {
        other.write_all(&framed(frame)).unwrap();
    }
    assert_eq!([nic.wait_for_frame(), nic.wait_for_frame()], frames[..2]);
    std::thread::sleep(Duration::from_millis(20));
    assert!(nic.take_frames().is_empty());
    nic.set_room(Some(3));
    for frame in &frames[2..5] {
        assert_eq!(nic.wait_for_frame(), *frame);
    }
    nic.set_room(None);
    for frame in &frames[5..] {
        assert_eq!(nic.wait_for_frame(), *frame);
    }
}

#[test]
fn a_card_is_told_when_a_slow_other_end_takes_frames_again() {
    let scene = Scene::new();
    let (_object, path) = scene.server("net");
    let (_card, nic) = scene.nic("nic", "/net");
    let _running = scene.machine.run_events();
    let mut other = connect(&path);
    wait_until("the link is up", || nic.netdev().is_link_up());
    let frame = |number: u32| [&number.to_le_bytes()[..], &[0xa5; 60_000]].concat();
    let mut sent = 0;
    while nic.send(&frame(sent)) == Sending::Taken {
        sent += 1;
        assert!(sent < 10_000, "it takes without end");
    }
    assert!(nic.take_ready().is_empty());
    let mut received = 0;
    let mut is_ready = false;
    while received < sent && !is_ready {
        assert!(read_frame(&mut other) == frame(received), "frame {received} of {sent}");
        received += 1;
        is_ready = !nic.take_ready().is_empty();
    }
    // The loop's thread may be slower than this one.
    wait_until("it is told", || is_ready || !nic.take_ready().is_empty());
    assert_eq!(nic.send(&frame(sent)), Sending::Taken, "as it was told");
    for number in received..=sent {
        assert!(read_frame(&mut other) == frame(number), "frame {number} of {sent}");
    }
    assert_eq!(nic.netdev().counters().sent, u64::from(sent) + 1);
}

#[test]
fn a_card_that_waits_to_send_is_told_when_the_other_end_goes() {
    let scene = Scene::new();
    let (_object, path) = scene.server("net");
    let (_card, nic) = scene.nic("nic", "/net");
    let _running = scene.machine.run_events();
    let other = connect(&path);
    wait_until("the link is up", || nic.netdev().is_link_up());
    while nic.send(&[1; 60_000]) == Sending::Taken {}
    drop(other);
    wait_until("it can send", || nic.take_ready() == [0]);
    assert_eq!(nic.send(b"lost"), Sending::Taken);
    assert_eq!(nic.netdev().counters().send_dropped, 1);
}

#[test]
fn a_card_may_send_from_within() {
    let scene = Scene::new();
    let (_object, path) = scene.server("net");
    let (_card, nic) = scene.nic("nic", "/net");
    nic.echo();
    let _running = scene.machine.run_events();
    let mut other = connect(&path);
    for number in 0..50 {
        other.write_all(&framed(&[number; 300])).unwrap();
        assert_eq!(read_frame(&mut other), [number; 300]);
    }
}

#[test]
fn one_other_end_at_a_time_and_the_next_one_starts_anew() {
    let scene = Scene::new();
    let (_object, path) = scene.server("net");
    let (_card, nic) = scene.nic("nic", "/net");
    let _running = scene.machine.run_events();
    let mut first = connect(&path);
    first.write_all(&framed(b"first")).unwrap();
    assert_eq!(nic.wait_for_frame(), b"first");
    assert!(is_closed(&mut connect(&path)));
    // Half of a frame is none, and no beginning of another's.
    first.write_all(&framed(b"half")[..6]).unwrap();
    drop(first);
    let mut second = connect(&path);
    second.write_all(&framed(b"second")).unwrap();
    assert_eq!(nic.wait_for_frame(), b"second");
}

#[test]
fn whoever_announces_a_frame_that_no_frame_is_as_long_as_is_sent_away() {
    let scene = Scene::new();
    let (_object, path) = scene.server("net");
    let (_card, nic) = scene.nic("nic", "/net");
    let _running = scene.machine.run_events();
    let mut other = connect(&path);
    other.write_all(&[framed(b"good"), vec![0, 1, 0x10, 1, 0]].concat()).unwrap();
    assert!(is_closed(&mut other));
    assert_eq!(nic.take_frames(), [b"good"]);
    let mut other = connect(&path);
    other.write_all(&framed(&[9; 0x1_1000])).unwrap();
    assert_eq!(nic.wait_for_frame(), [9; 0x1_1000], "the longest there is");
    assert_eq!(nic.send(&[9; 0x1_1001]), Sending::Taken);
    assert_eq!(nic.send(b""), Sending::Taken);
    assert_eq!(nic.netdev().counters().send_dropped, 2);
}

#[test]
fn a_client_goes_on_trying_and_comes_back() {
    let scene = Scene::new();
    let path = scene.path("socket");
    let object = scene.client("net", &path, "5");
    let (_card, nic) = scene.nic("nic", "/net");
    let _running = scene.machine.run_events();
    assert_eq!(nic.send(b"lost"), Sending::Taken);
    let listener = UnixListener::bind(&path).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    wait_until("the link is up", || nic.netdev().is_link_up());
    assert_eq!(nic.send(b"out"), Sending::Taken);
    assert_eq!(read_frame(&mut other), b"out");
    drop(other);
    let (mut other, _) = listener.accept().unwrap();
    wait_until("it has come back", || nic.links() == [true, false, true]);
    other.write_all(&framed(b"in")).unwrap();
    assert_eq!(nic.wait_for_frame(), b"in");
    drop(object);
}

#[test]
fn a_client_that_does_not_try_again_needs_a_server() {
    let scene = Scene::new();
    let path = scene.path("socket");
    let properties = [("addr.type", "unix"), ("addr.path", path.to_str().unwrap())];
    let error = scene.machine.create("netdev-stream", "net", &properties).unwrap_err().to_string();
    assert!(error.contains("can't connect to 'unix:"), "{error}");
    assert_eq!(scene.machine.paths(), [] as [&str; 0]);
}

#[test]
fn two_of_them_make_a_cable() {
    let scene = Scene::new();
    let (_server, path) = scene.server("one");
    let _client = scene.client("two", &path, "0");
    let (_first, one) = scene.nic("nic1", "/one");
    let (_second, two) = scene.nic("nic2", "/two");
    let _running = scene.machine.run_events();
    wait_until("both are up", || one.netdev().is_link_up() && two.netdev().is_link_up());
    assert_eq!((one.send(b"hello"), two.send(b"world")), (Sending::Taken, Sending::Taken));
    assert_eq!(
        (two.wait_for_frame(), one.wait_for_frame()),
        (b"hello".to_vec(), b"world".to_vec())
    );
}

#[test]
fn tcp_on_this_host_is_secure_and_elsewhere_is_not() {
    let scene = Scene::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let to = |host| [("addr.type", "inet"), ("addr.host", host), ("addr.port", &*port)];
    let object = scene.machine.add("netdev-stream", "net", &to("127.0.0.1"));
    let (mut other, _) = listener.accept().unwrap();
    let (_card, nic) = scene.nic("nic", "/net");
    assert_eq!(nic.send(b"out"), Sending::Taken);
    let mut frame = [0; 7];
    other.read_exact(&mut frame).unwrap();
    assert_eq!(frame, *b"\0\0\0\x03out");
    drop(object);
    for host in ["0.0.0.0", "", "10.1.2.3", "example.invalid"] {
        for server in [&[][..], &[("server", "on")]] {
            let properties = [&to(host)[..], server].concat();
            let error = scene.machine.create("netdev-stream", "x", &properties).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("'netdev-stream.addr.host' with value"), "{error}");
            assert!(error.contains("declared as insecure"), "{error}");
        }
    }
}

#[test]
fn its_path_goes_with_it() {
    let scene = Scene::new();
    let (object, path) = scene.server("net");
    let mut other = connect(&path);
    scene.machine.remove(&object);
    assert!(!path.exists() && is_closed(&mut other));
    fs::write(&path, "somebody's").unwrap();
    let properties =
        [("addr.type", "unix"), ("addr.path", path.to_str().unwrap()), ("server", "on")];
    let error = scene.machine.create("netdev-stream", "net", &properties).unwrap_err().to_string();
    assert!(error.contains("the path exists and is no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
}

#[test]
fn a_configuration_that_means_nothing_is_refused_with_the_property_named() {
    let machine = Machine::new();
    for (properties, problem) in [
        (&[][..], "Parameter 'addr.type' is missing"),
        (&[("addr.path", "/x")], "Parameter 'addr.path' needs 'addr.type' with it"),
        (&[("addr.type", "vsock")], "Parameter 'addr.type' does not accept value 'vsock'"),
        (&[("addr.type", "unix")], "Parameter 'addr.path' is missing"),
        (&[("addr.type", "unix"), ("addr.path", "")], "Parameter 'addr.path' expects a path"),
        (
            &[("addr.type", "unix"), ("addr.path", "/x"), ("addr.port", "1")],
            "Parameter 'addr.port' is only for 'addr.type=inet'",
        ),
        (&[("addr.type", "inet"), ("addr.port", "1")], "Parameter 'addr.host' is missing"),
        (&[("addr.type", "inet"), ("addr.host", "::1")], "Parameter 'addr.port' is missing"),
        (
            &[("addr.type", "inet"), ("addr.host", "::1"), ("addr.port", "0")],
            "Parameter 'addr.port' expects a port to connect to, got '0'",
        ),
        (&[("addr.type", "fd"), ("addr.str", "three")], "Parameter 'addr.str' expects an integer"),
        (
            &[("addr.type", "fd"), ("addr.str", "999999")],
            "Parameter 'addr.str' is '999999': the process has no such descriptor",
        ),
        (
            &[("addr.type", "unix"), ("addr.path", "/x"), ("server", "on"), ("reconnect-ms", "1")],
            "Parameter 'reconnect-ms' is only for a client",
        ),
    ] {
        let error = machine.create("netdev-stream", "refused", properties).unwrap_err().to_string();
        assert!(error.contains(problem), "{properties:?}: {error}");
    }
    assert_eq!(machine.paths(), [] as [&str; 0]);
}
