//! `netdev-user` as guests, users and the servers that guests talk to meet it. The guest is smoltcp.

mod guest;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::Arc,
    thread,
    time::Duration,
};

use device_model::{
    prelude::*,
    qom_core::{InsecureTypes, Policy, PolicyStatement, SecurityStatus},
    testing::{Machine, Running, TestNic},
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use guest::Guest;
use smoltcp::{
    phy::ChecksumCapabilities,
    socket::{dhcpv4, icmp, tcp},
    wire::{Icmpv4Packet, Icmpv4Repr, IpAddress, IpEndpoint, Ipv4Address},
};

const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const RESOLVER: Ipv4Address = Ipv4Address::new(10, 0, 2, 3);
const GUEST: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);

struct Scene {
    machine: Machine,
    nic: Arc<TestNic>,
    object: Obj,
    card: Obj,
    running: Option<Running>,
}

impl Scene {
    fn new(properties: &[(&str, &str)]) -> Self {
        Self::on(Machine::new(), properties)
    }

    /// A network from which this host is reached, which is insecure.
    fn local(properties: &[(&str, &str)]) -> Self {
        let accept = PolicyStatement::InsecureTypes(InsecureTypes::Accept);
        let machine = Machine::with_policy(Policy::of(&[accept]));
        let scene = Self::on(machine, &[&[("host-loopback", "on")], properties].concat());
        assert_eq!(scene.machine.tree.taints().len(), 1);
        scene
    }

    fn on(machine: Machine, properties: &[(&str, &str)]) -> Self {
        let object = machine.add("netdev-user", "net", properties);
        assert_eq!(object.class().status(), SecurityStatus::Secure);
        let (card, nic) = TestNic::plugged(&machine, "nic", "/net");
        let running = Some(machine.run_events());
        Self { machine, nic, object, card, running }
    }

    fn guest(&self) -> Guest {
        Guest::configured(Arc::clone(&self.nic))
    }
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect()
}

#[test]
fn a_guest_is_leased_an_address_and_told_of_gateway_and_resolver() {
    let scene = Scene::new(&[("net", "192.168.76.0/24"), ("dhcpstart", "192.168.76.9")]);
    let mut guest = Guest::new(Arc::clone(&scene.nic));
    let handle = guest.sockets.add(dhcpv4::Socket::new());
    let (address, router, resolvers) = guest.until("a lease", |sockets| {
        match sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll()? {
            dhcpv4::Event::Configured(config) => {
                Some((config.address, config.router, config.dns_servers.to_vec()))
            }
            dhcpv4::Event::Deconfigured => None,
        }
    });
    assert_eq!(address.to_string(), "192.168.76.9/24");
    assert_eq!(router, Some(Ipv4Address::new(192, 168, 76, 2)));
    assert_eq!(resolvers, [Ipv4Address::new(192, 168, 76, 3)]);
}

#[test]
fn the_gateway_answers_pings() {
    let scene = Scene::new(&[]);
    let mut guest = scene.guest();
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(0x22b)).unwrap();
    let handle = guest.sockets.add(socket);
    for (to, length) in [(GATEWAY, 56), (RESOLVER, 0), (GATEWAY, 1400)] {
        let data = pattern(length);
        let request = Icmpv4Repr::EchoRequest { ident: 0x22b, seq_no: 7, data: &data };
        let socket = guest.sockets.get_mut::<icmp::Socket<'_>>(handle);
        let room = socket.send(request.buffer_len(), IpAddress::Ipv4(to)).unwrap();
        let checksums = ChecksumCapabilities::default();
        request.emit(&mut Icmpv4Packet::new_unchecked(room), &checksums);
        let (reply, from) = guest.until("a reply", |sockets| {
            let (reply, from) = sockets.get_mut::<icmp::Socket<'_>>(handle).recv().ok()?;
            Some((reply.to_vec(), from))
        });
        assert_eq!(from, IpAddress::Ipv4(to));
        let packet = Icmpv4Packet::new_checked(&*reply).unwrap();
        let expected = Icmpv4Repr::EchoReply { ident: 0x22b, seq_no: 7, data: &data };
        assert_eq!(Icmpv4Repr::parse(&packet, &checksums), Ok(expected));
    }
}

#[test]
fn a_guest_fetches_from_a_server_and_the_connection_ends_in_order() {
    let scene = Scene::local(&[]);
    let mut guest = scene.guest();
    let (listener, port) = listener();
    let page = pattern(3_000_000);
    let server = {
        let page = page.clone();
        thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = [0; 5];
            client.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"fetch");
            client.write_all(&page).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            // The guest goes on sending.
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).unwrap();
            rest
        })
    };
    let handle = guest.connect((GATEWAY, port), 40000);
    assert!(guest.is_connected(handle));
    guest.sockets.get_mut::<tcp::Socket<'_>>(handle).send_slice(b"fetch").unwrap();
    let mut received = Vec::new();
    guest.until("the page", |sockets| {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
        while socket.can_recv() {
            socket.recv(|bytes| (bytes.len(), received.extend_from_slice(bytes))).unwrap();
        }
        (!socket.may_recv()).then_some(())
    });
    assert!(received == page, "{} bytes of {}", received.len(), page.len());
    let upload = pattern(1_000_000);
    let mut sent = 0;
    guest.until("all is sent", |sockets| {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
        if socket.can_send() {
            sent += socket.send_slice(&upload[sent..]).unwrap();
        }
        (sent == upload.len()).then(|| socket.close())
    });
    guest.until("it is over", |sockets| {
        let state = sockets.get::<tcp::Socket<'_>>(handle).state();
        matches!(state, tcp::State::Closed | tcp::State::TimeWait).then_some(())
    });
    assert!(server.join().unwrap() == upload);
}

#[test]
fn many_connections_at_once_keep_their_bytes_apart() {
    let scene = Scene::local(&[]);
    let mut guest = scene.guest();
    let (listener, port) = listener();
    let server = thread::spawn(move || {
        for _ in 0..50 {
            let (mut client, _) = listener.accept().unwrap();
            thread::spawn(move || {
                let mut bytes = [0; 4000];
                client.read_exact(&mut bytes).unwrap();
                bytes.reverse();
                client.write_all(&bytes).unwrap();
            });
        }
    });
    let handles: Vec<_> =
        (0..50).map(|number| guest.connect((GATEWAY, port), 40000 + number)).collect();
    let sent = |number: usize| pattern(4000 + number)[number..].to_vec();
    for (number, handle) in handles.iter().enumerate() {
        assert!(guest.is_connected(*handle), "{number}");
        let socket = guest.sockets.get_mut::<tcp::Socket<'_>>(*handle);
        assert_eq!(socket.send_slice(&sent(number)), Ok(4000));
    }
    for (number, handle) in handles.iter().enumerate() {
        let mut received = Vec::new();
        guest.until("an answer", |sockets| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
            while socket.can_recv() {
                socket.recv(|bytes| (bytes.len(), received.extend_from_slice(bytes))).unwrap();
            }
            (received.len() >= 4000).then_some(())
        });
        received.reverse();
        assert!(received == sent(number), "{number}");
    }
    server.join().unwrap();
}

#[test]
fn who_refuses_on_the_host_refuses_the_guest() {
    let scene = Scene::local(&[]);
    let mut guest = scene.guest();
    let (listener, port) = listener();
    drop(listener);
    let handle = guest.connect((GATEWAY, port), 40000);
    assert!(!guest.is_connected(handle));
}

#[test]
fn a_server_that_breaks_off_and_a_guest_that_does() {
    let scene = Scene::local(&[]);
    let mut guest = scene.guest();
    let (listener, port) = listener();
    let handle = guest.connect((GATEWAY, port), 40000);
    assert!(guest.is_connected(handle));
    let (mut client, _) = listener.accept().unwrap();
    // With bytes unread that were sent to it, a socket is closed by a reset.
    guest.sockets.get_mut::<tcp::Socket<'_>>(handle).send_slice(b"unread").unwrap();
    guest.until("they are there", |_| client.peek(&mut [0]).ok());
    drop(client);
    guest.until("the guest is told", |sockets| {
        (!sockets.get::<tcp::Socket<'_>>(handle).is_active()).then_some(())
    });
    let handle = guest.connect((GATEWAY, port), 40001);
    assert!(guest.is_connected(handle));
    (client, _) = listener.accept().unwrap();
    guest.sockets.get_mut::<tcp::Socket<'_>>(handle).abort();
    guest.idle(20);
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn this_host_and_what_no_router_passes_on_are_out_of_reach() {
    let scene = Scene::new(&[]);
    let mut guest = scene.guest();
    let (listener, port) = listener();
    let datagrams = UdpSocket::bind(listener.local_addr().unwrap()).unwrap();
    let handle = guest.udp(5000);
    for (number, to) in [
        GATEWAY,
        Ipv4Address::new(127, 0, 0, 1),
        Ipv4Address::new(169, 254, 169, 254),
        Ipv4Address::new(10, 0, 2, 77),
    ]
    .into_iter()
    .enumerate()
    {
        let from = 40000 + u16::try_from(number).unwrap();
        if to != Ipv4Address::new(127, 0, 0, 1) && to != Ipv4Address::new(10, 0, 2, 77) {
            let tcp = guest.connect((to, port), from);
            assert!(!guest.is_connected(tcp), "{to}");
        }
        guest.send_to(handle, (to, port), b"hello?");
    }
    guest.idle(50);
    listener.set_nonblocking(true).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err() && datagrams.recv(&mut [0]).is_err());
}

/// Says to a copy of this program which part of a test it is.
const PART: &str = "PALISADE_TEST_PART";

const OUTSIDE: Ipv4Address = Ipv4Address::new(203, 0, 113, 2);
const HOST: Ipv4Address = Ipv4Address::new(203, 0, 113, 1);
/// Another address of the same interface.
const SECOND: Ipv4Address = Ipv4Address::new(203, 0, 113, 9);
const ECHO: u16 = 7;

/// Runs a part of a test in a network namespace of its own.
fn part(test: &str, part: &str) -> std::process::Child {
    let mut unshare = std::process::Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare
        .arg("--net")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PART, part)
        .spawn()
        .expect("'unshare' (util-linux) is there")
}

fn ip(arguments: &str) -> bool {
    let quiet = std::process::Stdio::null();
    let arguments = arguments.split(' ');
    std::process::Command::new("ip").args(arguments).stderr(quiet).status().unwrap().success()
}

/// Another host, which sends back what it is sent.
fn other_host() {
    while !ip(&format!("addr add {OUTSIDE}/24 dev there")) {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(ip("link set there up"));
    let datagrams = UdpSocket::bind((OUTSIDE, ECHO)).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        loop {
            let (length, from) = datagrams.recv_from(&mut buffer).unwrap();
            assert_eq!(from.ip(), HOST, "it sees the host alone");
            datagrams.send_to(&buffer[..length], from).unwrap();
        }
    });
    let listener = TcpListener::bind((OUTSIDE, ECHO)).unwrap();
    let (mut client, from) = listener.accept().unwrap();
    assert_eq!(from.ip(), HOST, "it sees the host alone");
    let mut copied = client.try_clone().unwrap();
    std::io::copy(&mut client, &mut copied).unwrap();
}

/// Needs root, or user namespaces, and the programs unshare (util-linux) and ip (iproute2).
#[test]
fn other_hosts_are_reached_and_see_the_host_alone() {
    const NAME: &str = "other_hosts_are_reached_and_see_the_host_alone";
    match std::env::var(PART).as_deref() {
        Ok("outside") => return other_host(),
        Ok(_) => {}
        Err(_) => return assert!(part(NAME, "host").wait().unwrap().success()),
    }
    let mut outside = part(NAME, "outside");
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    let pid = outside.id().to_string();
    while namespace(&pid) == namespace("self") {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(ip("link set lo up"));
    assert!(ip(&format!("link add here type veth peer name there netns {pid}")));
    assert!(ip(&format!("addr add {HOST}/24 dev here")));
    assert!(ip(&format!("addr add {SECOND}/24 dev here")));
    assert!(ip("link set here up"));
    while std::net::TcpStream::connect_timeout(
        &SocketAddr::from((OUTSIDE, ECHO + 1)),
        Duration::from_millis(100),
    )
    .is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionRefused)
    {
        thread::sleep(Duration::from_millis(5));
    }
    let scene = Scene::new(&[]);
    let mut guest = scene.guest();
    let handle = guest.udp(5000);
    let (answer, from) = guest.asks(handle, (OUTSIDE, ECHO), b"datagram");
    assert_eq!((&*answer, from), (&b"datagram"[..], IpEndpoint::new(OUTSIDE.into(), ECHO)));
    let tcp = guest.connect((OUTSIDE, ECHO), 40000);
    assert!(guest.is_connected(tcp));
    guest.sockets.get_mut::<tcp::Socket<'_>>(tcp).send_slice(b"stream").unwrap();
    guest.until("an echo", |sockets| {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(tcp);
        let mut echo = [0; 6];
        (socket.recv_queue() == 6).then(|| {
            assert_eq!(socket.recv_slice(&mut echo), Ok(6));
            assert_eq!(&echo, b"stream");
            socket.close();
        })
    });
    // Nobody listens there, which is told.
    let refused = guest.connect((OUTSIDE, ECHO + 1), 40001);
    assert!(!guest.is_connected(refused));
    // Somebody listens here, at an address that others reach too, and it is this host all the same.
    for (number, own) in [HOST, SECOND].into_iter().enumerate() {
        let listener = TcpListener::bind((own, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let from = 40002 + u16::try_from(number).unwrap();
        let refused = guest.connect((own, listener.local_addr().unwrap().port()), from);
        assert!(!guest.is_connected(refused) && listener.accept().is_err(), "{own}");
    }
    guest.until("the other host has seen the end", |_| outside.try_wait().unwrap());
    assert!(outside.wait().unwrap().success());
}

#[test]
fn to_reach_this_host_is_insecure() {
    let machine = Machine::new();
    let error = machine.create("netdev-user", "net", &[("host-loopback", "on")]).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("'netdev-user.host-loopback' with value 'true'"), "{error}");
    assert!(error.contains("declared as insecure"), "{error}");
}

#[test]
fn a_resolver_that_no_router_leads_to_is_insecure() {
    let machine = Machine::new();
    let refused = |properties: &[(&str, &str)]| {
        machine.create("netdev-user", "net", properties).unwrap_err().to_string()
    };
    for resolver in [
        "127.0.0.1:631",
        "127.0.0.53",
        "0.0.0.0:53",
        "169.254.169.254:80",
        "224.0.0.251:5353",
        "[::1]:631",
        "[::]:53",
        "[::ffff:127.0.0.1]:631",
        "[fe80::1]:53",
        "[ff02::fb]:5353",
    ] {
        let error = refused(&[("resolver", resolver)]);
        let verdict =
            format!("'netdev-user.resolver' with value '{resolver}' is declared as insecure");
        assert!(error.contains(&verdict), "{error}");
    }
    // That this host is reached by the gateway makes no other link a router's.
    let error = refused(&[("host-loopback", "on"), ("resolver", "169.254.169.254:80")]);
    assert!(error.contains("'netdev-user.resolver' with value"), "{error}");
    assert_eq!(machine.paths(), [] as [&str; 0]);
    for (name, resolver) in [("a", "198.51.100.77"), ("b", "198.51.100.77:5353")] {
        machine.add("netdev-user", name, &[("resolver", resolver)]);
    }
    machine.add("netdev-user", "c", &[]);
}

#[test]
fn datagrams_go_both_ways() {
    let scene = Scene::local(&[]);
    let mut guest = scene.guest();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let port = server.local_addr().unwrap().port();
    let handle = guest.udp(5000);
    for length in [1, 1000, 1472] {
        let sent = pattern(length);
        guest.send_to(handle, (GATEWAY, port), &sent);
        let mut received = vec![0; 2000];
        let (read, from) = guest.until("a datagram", |_| server.recv_from(&mut received).ok());
        assert!(received[..read] == sent);
        server.send_to(&received[..read], from).unwrap();
        let (answer, from) = guest.receive_from(handle);
        assert!(answer == sent);
        assert_eq!(from, IpEndpoint::new(IpAddress::Ipv4(GATEWAY), port));
    }
}

#[test]
fn questions_for_names_are_passed_on() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let at = server.local_addr().unwrap().to_string();
    let scene = Scene::local(&[("resolver", &at)]);
    let mut guest = scene.guest();
    let handle = guest.udp(5000);
    guest.send_to(handle, (RESOLVER, 53), b"who is example?");
    let mut question = [0; 64];
    let (length, from) = guest.until("a question", |_| server.recv_from(&mut question).ok());
    assert_eq!(&question[..length], b"who is example?");
    server.send_to(b"it is", from).unwrap();
    let (answer, from) = guest.receive_from(handle);
    assert_eq!((&*answer, from), (&b"it is"[..], IpEndpoint::new(IpAddress::Ipv4(RESOLVER), 53)));
    // The server of names has nothing else.
    guest.send_to(handle, (RESOLVER, 54), b"and this?");
    guest.idle(20);
    assert!(server.recv(&mut question).is_err());
}

/// A port that is free now.
fn free_port() -> u16 {
    listener().1
}

#[test]
fn a_forwarded_port_is_the_guests() {
    let port = free_port();
    let scene =
        Scene::new(&[("restrict", "on"), ("hostfwd", &format!("tcp:127.0.0.1:{port}-:80"))]);
    let mut guest = scene.guest();
    // The guest's card has to be known by something that it has sent.
    let server = guest.tcp();
    guest.sockets.get_mut::<tcp::Socket<'_>>(server).listen(80).unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.write_all(b"knock").unwrap();
    guest.until("a knock", |sockets| {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(server);
        let knocks = socket.recv_queue() == 5;
        knocks.then(|| {
            assert_eq!(socket.remote_endpoint().unwrap().addr, IpAddress::Ipv4(GATEWAY));
            socket.send_slice(b"come in").unwrap();
            socket.close();
        })
    });
    guest.idle(20);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "come in");
    // Nobody listens any more.
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    guest.idle(20);
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn datagrams_to_a_forwarded_port_are_the_guests() {
    let port = free_port();
    let scene = Scene::new(&[("hostfwd", &format!("udp:127.0.0.1:{port}-10.0.2.15:53"))]);
    let mut guest = scene.guest();
    let handle = guest.udp(53);
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    let visitors = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut ends = Vec::new();
    for (number, visitor) in visitors.iter().enumerate() {
        visitor.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        visitor.send_to(&[number.to_le_bytes()[0]], at).unwrap();
        let (payload, from) = guest.receive_from(handle);
        assert_eq!((payload[0], from.addr), (number.to_le_bytes()[0], IpAddress::Ipv4(GATEWAY)));
        ends.push(from.port);
    }
    for (number, visitor) in visitors.iter().enumerate().rev() {
        guest.send_to(handle, (GATEWAY, ends[number]), &[7, number.to_le_bytes()[0]]);
        guest.idle(5);
        let mut answer = [0; 9];
        assert_eq!(visitor.recv_from(&mut answer).unwrap(), (2, at));
        assert_eq!(answer[..2], [7, number.to_le_bytes()[0]]);
    }
}

#[test]
fn a_restricted_guest_reaches_the_gateway_alone() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    let scene = Scene::local(&[("restrict", "on"), ("resolver", &at.to_string())]);
    let mut guest = scene.guest();
    let (listener, port) = listener();
    let tcp = guest.connect((GATEWAY, port), 40000);
    assert!(!guest.is_connected(tcp));
    let handle = guest.udp(5000);
    guest.send_to(handle, (RESOLVER, 53), b"who?");
    guest.send_to(handle, (GATEWAY, at.port()), b"hello?");
    guest.idle(30);
    server.set_nonblocking(true).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(server.recv(&mut [0]).is_err() && listener.accept().is_err());
    let handle = guest.sockets.add(dhcpv4::Socket::new());
    guest.until("a lease", |sockets| {
        sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll().map(|_| ())
    });
}

#[test]
fn a_guest_that_takes_nothing_costs_bounded_memory_and_gets_it_all_later() {
    let scene = Scene::local(&[]);
    let mut guest = scene.guest();
    let (listener, port) = listener();
    let handle = guest.connect((GATEWAY, port), 40000);
    assert!(guest.is_connected(handle));
    let (mut client, _) = listener.accept().unwrap();
    scene.nic.set_room(Some(0));
    client.set_nonblocking(true).unwrap();
    let page = pattern(64 << 20);
    let mut sent = 0;
    let mut stuck = 0;
    while stuck < 20 && sent < page.len() {
        match client.write(&page[sent..]) {
            Ok(length) => (sent, stuck) = (sent + length, 0),
            Err(_) => stuck += 1,
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert!(sent < page.len(), "somebody keeps it all");
    // However much the guest sends, it is told to wait.
    let mut refused = false;
    for _ in 0..2000 {
        refused |= scene.nic.send(&[0xff; 60]) == Sending::Later;
    }
    scene.nic.set_room(None);
    let mut received = 0;
    guest.until("all that was sent", |sockets| {
        let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
        while socket.can_recv() {
            let same = socket
                .recv(|bytes| {
                    let end = received + bytes.len();
                    let same = bytes == &page[received..end];
                    received = end;
                    (bytes.len(), same)
                })
                .unwrap();
            assert!(same, "before {received}");
        }
        (received == sent).then_some(())
    });
    assert!(refused || scene.nic.netdev().counters().sent >= 2000);
}

#[test]
fn nothing_of_it_is_left_when_it_goes() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let port = free_port();
    let forward = format!("tcp:127.0.0.1:{port}-:80");
    let mut scene = Scene::local(&[("hostfwd", &forward)]);
    let mut guest = scene.guest();
    let (listener, at) = listener();
    let handle = guest.connect((GATEWAY, at), 40000);
    assert!(guest.is_connected(handle));
    let (mut client, _) = listener.accept().unwrap();
    let _ = descriptors();
    drop(scene.running.take());
    scene.machine.remove(&scene.card);
    scene.machine.remove(&scene.object);
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    let error = {
        let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
        scene.machine.create("netdev-user", "net", &[("hostfwd", &forward)]).unwrap_err()
    };
    assert!(
        error.to_string().contains(&format!("can't listen at 'tcp:127.0.0.1:{port}")),
        "{error}"
    );
}

#[test]
fn a_configuration_that_means_nothing_is_refused_with_the_property_named() {
    let machine = Machine::new();
    for (properties, problem) in [
        (&[("net", "10.0.2.1/24")][..], "Parameter 'net' expects an address with 8 to 28 bits"),
        (&[("net", "10.0.2.0/30")], "Parameter 'net' expects"),
        (&[("net", "127.0.0.0/8")], "Parameter 'net' expects"),
        (&[("net", "ten")], "Parameter 'net' expects"),
        (&[("host", "10.0.3.1")], "Parameter 'host' expects an address of the network's"),
        (&[("host", "10.0.2.0")], "Parameter 'host' expects an address of the network's"),
        (&[("dns", "10.0.2.2")], "Parameter 'dns' expects an address that is not another's"),
        (&[("dhcpstart", "10.0.2.3")], "Parameter 'dhcpstart' expects an address that is not"),
        (&[("resolver", "example")], "Parameter 'resolver' expects an address"),
        (&[("hostfwd", "tcp::x-:1")], "Parameter 'hostfwd' expects [tcp|udp]:[HOSTADDRESS]"),
        (&[("hostfwd", "tcp::1-10.9.9.9:1")], "an address that a guest of this network may have"),
    ] {
        let error = machine.create("netdev-user", "refused", properties).unwrap_err().to_string();
        assert!(error.contains(problem), "{properties:?}: {error}");
    }
    assert_eq!(machine.paths(), [] as [&str; 0]);
    machine.add("netdev-user", "small", &[("net", "10.1.1.16/28")]);
    machine.add("netdev-user", "large", &[("net", "10.0.0.0/8")]);
}
