//! `netdev-tap` as cards, users and the host's kernel meet it.
//!
//! Each test runs in a network namespace of its own, so that the host's interfaces stay as they are.
//! That needs `/dev/net/tun`, the programs unshare (util-linux) and ip (iproute2), and root or user
//! namespaces. Where one of them is missing the tests fail and say which: none passes that has not
//! been run.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::PermissionsExt,
    },
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use device_model::{
    netdev::{Offloads, VnetHeader},
    prelude::*,
    qom_core::{InsecureTypes, Policy, PolicyStatement, SecurityStatus},
    testing::{Machine, TestNic, wait_until},
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tap_interface::{Kind, Tap};

/// Set where a test is in its namespace.
const INSIDE: &str = "PALISADE_TEST_NAMESPACE";

/// Runs the test of that name in a network namespace.
fn isolated(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let tun = fs::File::options().read(true).write(true).open("/dev/net/tun");
    assert!(tun.is_ok(), "'{name}' needs /dev/net/tun: {tun:?}");
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    let status = unshare
        .arg("--net")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .status();
    let status = status.expect("'unshare' (util-linux) is there");
    assert!(status.success(), "'{name}' failed in its namespace, or could not have one");
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// The host's address on the interface, and the guest's.
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GUEST_MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

fn up(name: &str) {
    // Nothing of its own that the kernel would send.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
    ip(&format!("addr add {HOST}/24 dev {name}"));
    ip(&format!("link set {name} up"));
    ip(&format!("neigh add {GUEST} lladdr 52:54:00:12:34:56 dev {name}"));
}

fn mac(name: &str) -> [u8; 6] {
    let text = fs::read_to_string(format!("/sys/class/net/{name}/address"));
    // sysfs shows the namespace that it was mounted in.
    let text = text.unwrap_or_else(|_| {
        let shown = Command::new("ip").args(["-o", "link", "show", name]).output().unwrap().stdout;
        let shown = String::from_utf8(shown).unwrap();
        let mut words = shown.split_whitespace().skip_while(|word| *word != "link/ether");
        words.nth(1).unwrap().to_owned()
    });
    let bytes: Vec<u8> =
        text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

/// A UDP datagram in IP in Ethernet, from the guest to the host.
fn frame(to: [u8; 6], port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0].to_vec();
    ip[2..4].copy_from_slice(&(28 + length).to_be_bytes());
    ip.extend(GUEST.octets());
    ip.extend(HOST.octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp =
        [&1234_u16.to_be_bytes()[..], &port.to_be_bytes(), &(8 + length).to_be_bytes(), &[0, 0]];
    [&to[..], &GUEST_MAC, &[8, 0], &ip, &udp.concat(), payload].concat()
}

struct Scene {
    machine: Machine,
    object: Obj,
    card: Obj,
    nic: Arc<TestNic>,
    name: String,
}

fn scene(properties: &[(&str, &str)]) -> Scene {
    scene_of(Machine::new(), properties)
}

fn scene_of(machine: Machine, properties: &[(&str, &str)]) -> Scene {
    let object = machine.add("netdev-tap", "net", properties);
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    let (card, nic) = TestNic::plugged(&machine, "nic", "/net");
    let info = nic.netdev().info();
    let name = info.strip_prefix("ifname=").unwrap().split(',').next().unwrap().to_owned();
    up(&name);
    Scene { machine, object, card, nic, name }
}

fn exists(name: &str) -> bool {
    Command::new("ip").args(["link", "show", name]).output().unwrap().status.success()
}

fn both_ways(scene: &Scene, host: &UdpSocket) {
    let Scene { nic, name, .. } = scene;
    let port = host.local_addr().unwrap().port();
    assert_eq!(nic.send(&frame(mac(name), port, b"from the guest")), Sending::Taken);
    let mut received = [0; 64];
    let (length, from) = host.recv_from(&mut received).unwrap();
    assert_eq!(
        (&received[..length], from.to_string()),
        (&b"from the guest"[..], format!("{GUEST}:1234"))
    );
    host.send_to(b"from the host", from).unwrap();
    let frame = nic.wait_for_frame();
    assert_eq!((&frame[..6], &frame[12..14]), (&GUEST_MAC[..], &[8, 0][..]), "an Ethernet frame");
    assert!(frame.ends_with(b"from the host") && frame.len() == 14 + 28 + 13, "{frame:x?}");
}

fn host() -> UdpSocket {
    let socket = UdpSocket::bind((HOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

#[test]
fn frames_go_both_ways_and_the_interface_goes_with_the_network() {
    isolated("frames_go_both_ways_and_the_interface_goes_with_the_network", || {
        for properties in
            [&[][..], &[("vnet_hdr", "off")], &[("sndbuf", "1048576"), ("vhost", "off")]]
        {
            let scene = scene(properties);
            let running = scene.machine.run_events();
            assert_eq!(scene.name, "tap0");
            both_ways(&scene, &host());
            wait_until("the link is up", || scene.nic.links() == [true]);
            drop(running);
            scene.machine.remove(&scene.card);
            scene.machine.remove(&scene.object);
            assert!(!exists("tap0"));
        }
    });
}

#[test]
fn a_card_without_room_is_given_the_same_frames_later() {
    isolated("a_card_without_room_is_given_the_same_frames_later", || {
        let scene = scene(&[("ifname", "slow")]);
        let _running = scene.machine.run_events();
        let host = host();
        both_ways(&scene, &host);
        scene.nic.set_room(Some(0));
        for number in 0..50_u8 {
            host.send_to(&[number; 100], (GUEST, 9)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(scene.nic.take_frames().is_empty());
        scene.nic.set_room(None);
        for number in 0..50_u8 {
            assert!(scene.nic.wait_for_frame().ends_with(&[number; 100]));
        }
    });
}

#[test]
fn a_peer_that_asks_for_headers_leaves_checksums_to_the_host() {
    isolated("a_peer_that_asks_for_headers_leaves_checksums_to_the_host", || {
        let scene = scene(&[]);
        let _running = scene.machine.run_events();
        let host = host();
        let netdev = scene.nic.netdev();
        assert!(netdev.offloads().is_some_and(|offloads| offloads.checksum && offloads.tso4));
        let accepted = Offloads { checksum: true, ..Offloads::default() };
        for (header, length) in [(VnetHeader::Modern, 12), (VnetHeader::Legacy, 10)] {
            netdev.set_offloads(header, accepted).unwrap();
            let port = host.local_addr().unwrap().port();
            // The sum of the pseudo-header stands where the checksum is to be, which is to be made
            // from byte 34 on and put 6 bytes behind that (VIRTIO_NET_HDR_F_NEEDS_CSUM is 1).
            let mut frame = frame(mac(&scene.name), port, b"unfinished");
            let pseudo = [&GUEST.octets()[..], &HOST.octets(), &[0, 17, 0, 18]].concat();
            frame[40..42].copy_from_slice(&(!checksum(&pseudo)).to_be_bytes());
            let mut sent = vec![0; length];
            sent[0] = 1;
            sent[6..10].copy_from_slice(&[34, 0, 6, 0]);
            sent.extend(frame);
            assert_eq!(scene.nic.send(&sent), Sending::Taken);
            let mut received = [0; 64];
            let (read, from) = host.recv_from(&mut received).unwrap();
            assert_eq!(&received[..read], b"unfinished");
            host.send_to(b"unfinished too", from).unwrap();
            let frame = scene.nic.wait_for_frame();
            assert_eq!(frame.len(), length + 14 + 28 + 14);
            assert_eq!(frame[0] & 1, 1, "its checksum is for the guest to make");
            assert_eq!(&frame[length..length + 6], GUEST_MAC);
        }
        // A header alone is no frame, and less than one neither.
        let dropped = netdev.counters().send_dropped;
        for length in [0, 1, 10] {
            assert_eq!(scene.nic.send(&vec![0; length]), Sending::Taken);
        }
        assert_eq!(netdev.counters().send_dropped, dropped + 3);
        scene.machine.remove(&scene.card);
        let (_card, nic) = TestNic::plugged(&scene.machine, "nic", "/net");
        let scene = Scene { nic, ..scene };
        both_ways(&scene, &host);
    });
}

#[test]
fn several_queues_are_one_interface() {
    isolated("several_queues_are_one_interface", || {
        let scene = scene(&[("ifname", "many"), ("queues", "3")]);
        let _running = scene.machine.run_events();
        assert_eq!(
            (scene.nic.netdev().queues(), scene.nic.netdev().info()),
            (3, "ifname=many,queues=3".into())
        );
        let host = host();
        let port = host.local_addr().unwrap().port();
        let mac = mac("many");
        for queue in 0..3 {
            let frame = frame(mac, port, &[u8::try_from(queue).unwrap()]);
            let pieces = [std::io::IoSlice::new(&frame)];
            assert_eq!(scene.nic.netdev().send(queue, &pieces), Sending::Taken);
            let mut received = [9; 8];
            host.recv_from(&mut received).unwrap();
            assert_eq!(u16::from(received[0]), queue);
        }
        assert_eq!(scene.nic.netdev().send(3, &[std::io::IoSlice::new(&[0; 60])]), Sending::Taken);
        assert_eq!(scene.nic.netdev().counters().send_dropped, 1, "there is no such queue");
        host.send_to(b"to any", (GUEST, 9)).unwrap();
        let mut queue = None;
        wait_until("a frame", || {
            queue = scene.nic.next_frame().map(|(queue, _)| queue);
            queue.is_some()
        });
        assert!(queue.is_some_and(|queue| queue < 3));
    });
}

#[test]
fn inherited_descriptors_are_judged_by_what_they_are() {
    isolated("inherited_descriptors_are_judged_by_what_they_are", || {
        let kind = Kind { vnet_header: true, multi_queue: true };
        let first = Tap::create("theirs", kind).unwrap();
        let second = Tap::open("theirs", kind).unwrap();
        let other = Tap::create("other", kind).unwrap();
        assert!(
            Tap::create("other", kind).is_err_and(|error| error.kind() == ErrorKind::ResourceBusy)
        );
        let number = |tap: &Tap| tap.as_fd().as_raw_fd().to_string();
        let machine = Machine::new();
        let refused = |properties: &[(&str, &str)]| {
            machine.create("netdev-tap", "no", properties).unwrap_err().to_string()
        };
        let file = fs::File::open("/dev/null").unwrap();
        let null = file.as_raw_fd().to_string();
        let error = refused(&[("fd", &null)]);
        assert!(error.contains(&format!("'fd' is '{null}': it is no TAP interface")), "{error}");
        let mixed = format!("{}:{}", number(&first), number(&other));
        let error = refused(&[("fds", &mixed)]);
        assert!(error.contains("queues of one and the same interface"), "{error}");
        let error = refused(&[("fd", &number(&first)), ("ifname", "x")]);
        assert!(error.contains("Parameter 'ifname' contradicts 'fd'"), "{error}");
        let both = format!("{}:{}", number(&first), number(&second));
        let error = refused(&[("fds", &both)]);
        assert!(error.contains("the process was not started with that descriptor"), "{error}");
        machine.hand_over([&first.as_fd(), &second.as_fd()]);
        let scene = scene_of(machine, &[("fds", &both)]);
        let _running = scene.machine.run_events();
        assert_eq!((&*scene.name, scene.nic.netdev().queues()), ("theirs", 2));
        drop((first, second));
        both_ways(&scene, &host());
        scene.machine.remove(&scene.card);
        scene.machine.remove(&scene.object);
        assert!(!exists("theirs"), "those that it was given were closed, and so are its own");
    });
}

#[test]
fn an_interface_that_is_taken_away_is_no_end_of_the_program() {
    isolated("an_interface_that_is_taken_away_is_no_end_of_the_program", || {
        let scene = scene(&[]);
        let _running = scene.machine.run_events();
        both_ways(&scene, &host());
        ip("link set tap0 down");
        assert_eq!(scene.nic.send(&[0; 60]), Sending::Taken);
        assert_eq!(scene.nic.netdev().counters().send_dropped, 1);
        ip("link del tap0");
        wait_until("the link is down", || scene.nic.links() == [true, false]);
        assert_eq!(scene.nic.send(&[0; 60]), Sending::Taken);
        assert_eq!(scene.nic.netdev().counters().send_dropped, 2);
    });
}

#[test]
fn a_name_that_cannot_be_is_refused_and_leaves_nothing() {
    isolated("a_name_that_cannot_be_is_refused_and_leaves_nothing", || {
        let machine = Machine::new();
        let _taken = Tap::create("taken", Kind::default()).unwrap();
        for (name, problem) in [
            ("sixteen-bytes-xx", "is no name of an interface"),
            ("lo", "can't open the interface 'lo'"),
            ("taken", "can't open the interface 'taken'"),
        ] {
            let created = machine.create("netdev-tap", "no", &[("ifname", name)]);
            let error = created.unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
            assert_eq!(machine.paths(), [] as [&str; 0]);
        }
    });
}

#[test]
fn programs_are_run_for_those_who_accept_that_alone() {
    isolated("programs_are_run_for_those_who_accept_that_alone", || {
        let folder = tempfile::TempDir::new().unwrap();
        let (script, log) = (folder.path().join("script"), folder.path().join("log"));
        fs::write(&script, format!("#!/bin/sh\necho $1 >> {}\n", log.display())).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&script, mode).unwrap();
        let script = script.to_str().unwrap();
        for property in ["script", "downscript"] {
            let created = Machine::new().create("netdev-tap", "no", &[(property, script)]);
            let error = created.unwrap_err().to_string();
            assert!(error.contains(&format!("'netdev-tap.{property}' with value")), "{error}");
            assert!(!log.exists() && !exists("tap0"));
        }
        let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
        let machine = Machine::with_policy(Policy::of(&[accept]));
        let object =
            machine.add("netdev-tap", "net", &[("script", script), ("downscript", script)]);
        assert_eq!(fs::read_to_string(&log).unwrap(), "tap0\n");
        machine.remove(&object);
        assert_eq!(fs::read_to_string(&log).unwrap(), "tap0\ntap0\n");
        let created = machine.create("netdev-tap", "no", &[("script", "/bin/false")]);
        let error = created.unwrap_err().to_string();
        assert!(error.contains("'/bin/false tap0' failed: exit status: 1"), "{error}");
        assert!(!exists("tap0"));
    });
}

/// A machine under the policy that programs may be run under.
fn accepting() -> Machine {
    let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
    Machine::with_policy(Policy::of(&[accept]))
}

/// A program that adds a line to a log: the word, and whether the interface is there.
fn logger(folder: &Path, word: &str, exit: u8) -> String {
    let (program, log) = (folder.join(word), folder.join("log"));
    // The limit of the process that runs it is none of its own.
    let text = format!(
        "#!/bin/sh\nulimit -n 256\nip link show $1 >/dev/null && echo {word} $1 >> {}\nexit {exit}\n",
        log.display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    program.to_str().unwrap().to_owned()
}

#[test]
fn a_program_that_fails_is_undone_while_the_interface_is_there() {
    isolated("a_program_that_fails_is_undone_while_the_interface_is_there", || {
        let folder = tempfile::TempDir::new().unwrap();
        let (script, downscript) =
            (logger(folder.path(), "up", 3), logger(folder.path(), "down", 0));
        let machine = accepting();
        let properties = [("script", &*script), ("downscript", &downscript)];
        let error = machine.create("netdev-tap", "no", &properties).unwrap_err().to_string();
        assert!(error.contains(&format!("'{script} tap0' failed: exit status: 3")), "{error}");
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        assert_eq!(log, "up tap0\ndown tap0\n");
        assert!(!exists("tap0"));
    });
}

#[test]
fn what_a_network_that_cannot_start_has_done_is_undone() {
    isolated("what_a_network_that_cannot_start_has_done_is_undone", || {
        let folder = tempfile::TempDir::new().unwrap();
        let (script, downscript) =
            (logger(folder.path(), "up", 0), logger(folder.path(), "down", 0));
        let properties = [("script", &*script), ("downscript", &downscript)];
        let machine = accepting();
        let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        // A shell needs some below the limit that it starts with.
        let _held = [(); 20].map(|()| fs::File::open("/dev/null").unwrap());
        let least = u64::try_from(fs::File::open("/dev/null").unwrap().as_raw_fd()).unwrap();
        let limit = getrlimit(Resource::Nofile);
        let mut failures = 0;
        let object = (least..least + 64).find_map(|most| {
            setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit }).unwrap();
            let created = machine.create("netdev-tap", "net", &properties);
            setrlimit(Resource::Nofile, limit).unwrap();
            let Ok(created) = created else {
                failures += 1;
                let (ups, downs) =
                    (log().matches("up tap0").count(), log().matches("down").count());
                assert_eq!(ups, downs, "with {most} descriptors");
                return None;
            };
            created.objects.into_iter().next()
        });
        assert!(failures > 2, "each descriptor was missing once, not {failures}");
        machine.remove(&object.expect("64 descriptors are enough"));
        assert!(log().ends_with("up tap0\ndown tap0\n"), "{}", log());
    });
}

#[test]
fn what_the_kernel_would_do_with_vhost_is_not_promised() {
    let machine = Machine::new();
    let error = machine.create("netdev-tap", "no", &[("vhost", "on")]).unwrap_err().to_string();
    assert!(error.contains("Parameter 'vhost' expects 'off'"), "{error}");
    let error = machine.create("netdev-tap", "no", &[("fds", "3:x")]).unwrap_err().to_string();
    assert!(error.contains("Parameter 'fds' expects at most 256 descriptors"), "{error}");
}
