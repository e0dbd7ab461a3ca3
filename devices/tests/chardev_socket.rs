//! `chardev-socket` as devices, users and whoever connects to it meet it.

mod reader;

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::{UnixDatagram, UnixListener, UnixStream},
        },
    },
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use device_model::{
    prelude::*,
    qom_core::{Policy, PolicyStatement, SecurityStatus},
    testing::{Machine, wait_until},
};
// For its types, which the linker would leave out otherwise.
use devices as _;
use reader::Reader;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use Presence::{Came, Left};

const SERVER: [(&str, &str); 2] = [("server", "on"), ("wait", "off")];

fn stream(machine: &Machine, properties: &[(&str, &str)]) -> (Obj, Arc<dyn Chardev>) {
    let object = machine.add("chardev-socket", "stream", properties);
    let stream = object.cast::<dyn Chardev>().unwrap();
    (object, stream)
}

fn refusal(machine: &Machine, properties: &[(&str, &str)]) -> String {
    machine.create("chardev-socket", "refused", properties).unwrap_err().to_string()
}

/// A directory, and the path of a socket in it.
fn place() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s").to_str().unwrap().to_owned();
    (directory, path)
}

fn server(machine: &Machine, path: &str) -> (Obj, Arc<dyn Chardev>) {
    stream(machine, &[&SERVER[..], &[("path", path)]].concat())
}

/// The port of a server or client, as its filename ends.
fn shown_port(stream: &dyn Chardev) -> u16 {
    let name = stream.filename();
    let name = name.strip_suffix(",server=on").unwrap_or(&name).to_owned();
    name.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn is_closed(mut client: impl Read) -> bool {
    // Closed with something unread, it is reset.
    client.read(&mut [0]).map_or(true, |length| length == 0)
}

#[test]
fn it_is_declared_secure() {
    let (_directory, path) = place();
    let machine = Machine::new();
    assert_eq!(server(&machine, &path).0.class().status(), SecurityStatus::Secure);
}

#[test]
fn a_client_and_a_device_talk_both_ways() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"to the device").unwrap();
    assert_eq!(reader.wait_for(13), b"to the device");
    stream.write(b"to the client");
    let mut answer = [0; 13];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"to the client");
}

#[test]
fn a_megabyte_each_way_arrives_as_it_was_sent() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let mut client = UnixStream::connect(&path).unwrap();
    reader.wait_for_presences(1);
    let sent: Vec<u8> = (0..1_u32 << 20).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    thread::scope(|scope| {
        scope.spawn(|| stream.write(&sent));
        let mut received = vec![0; sent.len()];
        client.read_exact(&mut received).unwrap();
        assert!(received == sent);
    });
    client.write_all(&sent).unwrap();
    assert!(reader.wait_for(sent.len()) == sent);
}

#[test]
fn the_device_is_told_who_comes_and_goes() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    assert_eq!(reader.presences(), []);
    let client = UnixStream::connect(&path).unwrap();
    assert_eq!(reader.wait_for_presences(1), [Came]);
    drop(client);
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
    let _client = UnixStream::connect(&path).unwrap();
    assert_eq!(reader.wait_for_presences(3), [Came, Left, Came]);
    stream.disconnect();

    let another = Reader::of(&*stream);
    assert_eq!(another.presences(), [Came], "somebody was there when it was connected");
}

#[test]
fn a_device_without_room_is_told_too_that_the_peer_left() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::with_room(&*stream, 0);
    drop(UnixStream::connect(&path).unwrap());
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
}

#[test]
fn input_waits_until_the_device_has_room() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::with_room(&*stream, 3);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"abcdefgh").unwrap();
    assert_eq!(reader.wait_for(3), b"abc");
    thread::sleep(Duration::from_millis(50));
    assert_eq!(reader.take(), b"");
    // What it had sent before it went is not lost, and only then has it left.
    drop(client);
    thread::sleep(Duration::from_millis(50));
    reader.make_room(&*stream, 4);
    assert_eq!(reader.wait_for(4), b"defg");
    assert_eq!(reader.presences(), [Came]);
    reader.make_room(&*stream, 9);
    assert_eq!(reader.wait_for(1), b"h");
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
}

/// Runs the loop for a while, and tells how much of the processor it used.
fn cost_of_loop(machine: &Machine) -> Duration {
    let events = Arc::clone(machine.platform.events());
    let running = {
        let events = Arc::clone(&events);
        thread::spawn(move || {
            events.run().unwrap();
            clock_gettime(ClockId::ThreadCPUTime)
        })
    };
    thread::sleep(Duration::from_millis(300));
    events.stop();
    running.join().unwrap().try_into().unwrap()
}

#[test]
fn what_the_device_has_no_room_for_costs_no_time() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _reader = Reader::with_room(&*stream, 0);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"not taken").unwrap();
    let cost = cost_of_loop(&machine);
    assert!(cost < Duration::from_millis(50), "{cost:?}");
    drop(client);
    let cost = cost_of_loop(&machine);
    assert!(cost < Duration::from_millis(50), "{cost:?} after the client has gone");
}

#[test]
fn of_a_hundred_clients_at_once_one_is_served_and_the_others_find_it_closed() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let clients: Vec<_> = (0..100).map(|_| UnixStream::connect(&path).unwrap()).collect();
    reader.wait_for_presences(1);
    stream.write(b"you");
    let served = clients.iter().filter(|client| !is_closed(*client)).count();
    assert_eq!(served, 1);
    assert_eq!(reader.presences(), [Came]);
    drop(clients);
    reader.wait_for_presences(2);
    let mut next = UnixStream::connect(&path).unwrap();
    next.write_all(b"next").unwrap();
    assert_eq!(reader.wait_for(4), b"next");
}

#[test]
fn a_client_that_goes_and_comes_at_once_is_served() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    for round in 0..500_u32 {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(&round.to_le_bytes()).unwrap();
    }
    let received = reader.wait_for(2000);
    let rounds: Vec<u8> = (0..500_u32).flat_map(u32::to_le_bytes).collect();
    assert!(received == rounds, "each was served, and in turn");
    assert_eq!(reader.wait_for_presences(1000).len(), 1000);
}

#[test]
fn so_is_one_that_comes_when_nobody_reads_what_the_last_one_sent() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"unheard").unwrap();
    drop(client);
    let mut next = UnixStream::connect(&path).unwrap();
    next.write_all(b"heard").unwrap();
    wait_until("the next", || {
        stream.write(b"!");
        next.set_nonblocking(true).unwrap();
        matches!(next.read(&mut [0]), Ok(1))
    });
    let reader = Reader::of(&*stream);
    assert_eq!(reader.wait_for(5), b"heard");
}

/// Writes more than any buffer holds, until `free` frees the writer.
fn hold_up(stream: &dyn Chardev, free: impl FnOnce()) {
    thread::scope(|scope| {
        let writer = scope.spawn(|| stream.write(&vec![b'x'; 16 << 20]));
        thread::sleep(Duration::from_millis(300));
        assert!(!writer.is_finished(), "the peer takes all");
        let start = Instant::now();
        free();
        writer.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn a_client_that_never_reads_holds_up_its_writer_alone_and_close_frees_it() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let mut client = UnixStream::connect(&path).unwrap();
    reader.wait_for_presences(1);
    hold_up(&*stream, || {
        client.write_all(b"still heard").unwrap();
        assert_eq!(reader.wait_for(11), b"still heard");
        assert!(is_closed(UnixStream::connect(&path).unwrap()), "the server serves");
        stream.close();
    });
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_writer_that_waits_gives_up_when_it_is_told_to_and_only_then() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let _client = UnixStream::connect(&path).unwrap();
    reader.wait_for_presences(1);
    hold_up(&*stream, || stream.set_nonblocking(true));
    stream.set_nonblocking(false);
    hold_up(&*stream, || stream.hang_up());
}

#[test]
fn hanging_up_ends_the_connection_and_the_server_goes_on() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::with_room(&*stream, 0);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"whatever").unwrap();
    reader.wait_for_presences(1);
    stream.hang_up();
    assert!(is_closed(&client));
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
    reader.make_room(&*stream, 100);
    let mut next = UnixStream::connect(&path).unwrap();
    next.write_all(b"next").unwrap();
    assert_eq!(reader.wait_for(4), b"next", "what the other had sent is not its");
    assert_eq!(reader.presences(), [Came, Left, Came]);
}

#[test]
fn a_peer_that_goes_frees_the_writer_that_waits_for_it() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let client = UnixStream::connect(&path).unwrap();
    reader.wait_for_presences(1);
    hold_up(&*stream, || drop(client));
    // Without a peer it is lost, and nobody dies of it.
    stream.write(b"lost");
    let mut next = UnixStream::connect(&path).unwrap();
    reader.wait_for_presences(3);
    stream.write(b"found");
    let mut found = [0; 5];
    next.read_exact(&mut found).unwrap();
    assert_eq!(&found, b"found");
}

#[test]
fn a_client_connects_tells_and_is_told() {
    let (_directory, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    let machine = Machine::new();
    let (_object, stream) = stream(&machine, &[("path", &path)]);
    assert_eq!(stream.filename(), format!("unix:{path}"));
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    assert_eq!(reader.presences(), [Came]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"hello").unwrap();
    assert_eq!(reader.wait_for(5), b"hello");
    drop(peer);
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
    assert_eq!(stream.filename(), format!("disconnected:unix:{path}"));
}

#[test]
fn a_client_that_reaches_nobody_can_t_be_created() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let error = refusal(&machine, &[("path", &path)]);
    assert!(error.contains(&format!("can't connect to 'unix:{path}': No such file")), "{error}");
    assert_eq!(machine.paths(), [""; 0]);
}

#[test]
fn a_client_that_reconnects_does_whenever_somebody_listens() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = stream(&machine, &[("path", &path), ("reconnect-ms", "20")]);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(reader.presences(), []);
    for round in 0..3 {
        let listener = UnixListener::bind(&path).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        fs::remove_file(&path).unwrap();
        peer.write_all(b"again").unwrap();
        assert_eq!(reader.wait_for(5), b"again");
        drop((peer, listener));
        assert_eq!(reader.wait_for_presences(2 * round + 2).len(), 2 * round + 2);
    }
}

#[test]
fn so_does_one_of_tcp() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let machine = Machine::new();
    let properties = [("host", "127.0.0.1"), ("port", port.as_str()), ("reconnect-ms", "20")];
    let (_object, stream) = stream(&machine, &properties);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(reader.presences(), []);
    for round in 0..2 {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
        let (mut peer, from) = listener.accept().unwrap();
        peer.write_all(b"again").unwrap();
        assert_eq!(reader.wait_for(5), b"again");
        assert_eq!(stream.filename(), format!("tcp:{from} <-> 127.0.0.1:{port}"));
        // Its port is free at once if the other side is the first to close.
        stream.hang_up();
        reader.wait_for_presences(2 * round + 2);
        drop((peer, listener));
    }
}

#[test]
fn a_stale_path_is_replaced_and_removed_in_the_end() {
    let (_directory, path) = place();
    drop(UnixListener::bind(&path).unwrap());
    assert!(Path::new(&path).exists());
    let machine = Machine::new();
    let (object, _stream) = server(&machine, &path);
    UnixStream::connect(&path).unwrap();
    machine.remove(&object);
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_path_at_which_somebody_listens_is_refused_and_nobody_notices() {
    let (_directory, path) = place();
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let machine = Machine::new();
    let properties = [&SERVER[..], &[("path", path.as_str())]].concat();
    let error = refusal(&machine, &properties);
    assert!(error.contains("somebody listens there"), "{error}");
    listener.accept().unwrap_err();
    UnixStream::connect(&path).unwrap();
    listener.accept().unwrap();
    drop(listener);
    fs::remove_file(&path).unwrap();

    let _datagrams = UnixDatagram::bind(&path).unwrap();
    let error = refusal(&machine, &properties);
    assert!(error.contains("somebody listens there"), "{error}");
}

#[test]
fn a_file_that_is_no_socket_is_refused_and_not_touched() {
    let (directory, path) = place();
    fs::write(&path, "precious").unwrap();
    let machine = Machine::new();
    let properties = [&SERVER[..], &[("path", path.as_str())]].concat();
    let error = refusal(&machine, &properties);
    assert!(error.contains("the path exists and is no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

    let link = directory.path().join("link").to_str().unwrap().to_owned();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    refusal(&machine, &[&SERVER[..], &[("path", link.as_str())]].concat());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_path_that_is_another_s_by_now_stays() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (object, _stream) = server(&machine, &path);
    let own = fs::metadata(&path).unwrap().ino();
    // Not removed first, so that the other has an inode of its own.
    fs::rename(&path, format!("{path}.old")).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    assert_ne!(fs::metadata(&path).unwrap().ino(), own);
    machine.remove(&object);
    assert!(fs::metadata(&path).unwrap().file_type().is_socket());
}

#[test]
fn an_abstract_name_needs_no_file() {
    let name = format!("palisade-test-{}", std::process::id());
    let machine = Machine::new();
    let properties = [&SERVER[..], &[("path", name.as_str()), ("abstract", "on")]].concat();
    let (object, stream_) = stream(&machine, &properties);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream_);
    let client = machine.add("chardev-socket", "c", &[("path", &name), ("abstract", "on")]);
    reader.wait_for_presences(1);
    assert!(!Path::new(&name).exists());
    machine.remove(&client);
    stream_.disconnect();
    machine.remove(&object);

    // Filled up, it is another name.
    let loose = [&properties[..], &[("tight", "off")]].concat();
    machine.add("chardev-socket", "loose", &loose);
    refusal(&machine, &[("path", &name), ("abstract", "on")]);
    let client = [("path", name.as_str()), ("abstract", "on"), ("tight", "off")];
    machine.add("chardev-socket", "c", &client);
}

#[test]
fn a_tcp_server_has_the_port_that_the_kernel_chooses_and_shows_it() {
    let machine = Machine::new();
    let properties = [&SERVER[..], &[("host", "127.0.0.1"), ("port", "0"), ("nodelay", "on")]];
    let (_object, stream) = stream(&machine, &properties.concat());
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    let port = shown_port(&*stream);
    assert_eq!(stream.filename(), format!("disconnected:tcp:127.0.0.1:{port},server=on"));
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    reader.wait_for_presences(1);
    let from = client.local_addr().unwrap();
    assert_eq!(stream.filename(), format!("tcp:127.0.0.1:{port},server=on <-> {from}"));
    drop(client);
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
}

#[test]
fn a_tcp_server_tries_ports_until_one_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (first, last) = (port.to_string(), (port.saturating_add(50)).to_string());
    let machine = Machine::new();
    let properties = [&SERVER[..], &[("host", "127.0.0.1"), ("port", first.as_str())]].concat();
    let error = refusal(&machine, &properties);
    assert!(error.contains("in use"), "{error}");
    let properties = [&properties[..], &[("to", last.as_str())]].concat();
    let (_object, stream) = stream(&machine, &properties);
    assert!((port + 1..=port + 50).contains(&shown_port(&*stream)), "{}", stream.filename());
}

#[test]
fn a_server_that_waits_is_not_there_before_its_first_peer() {
    let (_directory, path) = place();
    let client = {
        let path = path.clone();
        thread::spawn(move || {
            wait_until("the server", || Path::new(&path).exists());
            thread::sleep(Duration::from_millis(100));
            UnixStream::connect(&path).unwrap()
        })
    };
    let machine = Machine::new();
    let (_object, stream) = stream(&machine, &[("path", &path), ("server", "on")]);
    assert_eq!(stream.filename(), format!("unix:{path},server=on"));
    assert_eq!(Reader::of(&*stream).presences(), [Came]);
    client.join().unwrap();
}

#[test]
fn sockets_that_the_process_was_started_with_serve_too() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let listener = UnixListener::bind(&path).unwrap();
    let fd = listener.as_raw_fd().to_string();
    let (object, stream_) = stream(&machine, &[&SERVER[..], &[("fd", fd.as_str())]].concat());
    assert_eq!(stream_.filename(), format!("disconnected:fd:{fd},server=on"));
    let _running = machine.run_events();
    let reader = Reader::of(&*stream_);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"hello").unwrap();
    assert_eq!(reader.wait_for(5), b"hello");
    stream_.disconnect();
    machine.remove(&object);
    assert!(is_closed(client), "though the process still has the listener");
    assert!(Path::new(&path).exists(), "whoever made it removes it");

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let fd = ours.as_raw_fd().to_string();
    let (object, stream_) = stream(&machine, &[("fd", &fd)]);
    let reader = Reader::of(&*stream_);
    theirs.write_all(b"hello").unwrap();
    assert_eq!(reader.wait_for(5), b"hello");
    stream_.disconnect();
    machine.remove(&object);
    assert!(is_closed(theirs), "though the process still has the other end");
}

#[test]
fn a_descriptor_that_can_t_serve_is_refused_by_name() {
    let machine = Machine::new();
    let refused = |fd: i32, server| {
        let fd = fd.to_string();
        refusal(&machine, &[("fd", &fd), ("server", server)])
    };
    let (listener, (end, _other)) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), UnixStream::pair().unwrap());
    let file = tempfile::tempfile().unwrap();
    let datagrams = UnixDatagram::unbound().unwrap();
    for (fd, server, problem) in [
        (99999, "off", "the process has no such descriptor"),
        (file.as_raw_fd(), "off", "it is not a socket"),
        (datagrams.as_raw_fd(), "off", "it is not a stream socket"),
        (listener.as_raw_fd(), "off", "only a server can have a socket that listens"),
        (end.as_raw_fd(), "on", "a server needs a socket that listens"),
    ] {
        let error = refused(fd, server);
        assert!(error.contains(&format!("Parameter 'fd' is '{fd}': {problem}")), "{error}");
    }
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
    let fd = open.as_raw_fd().to_string();
    let error = refusal(&machine, &[&SERVER[..], &[("fd", fd.as_str())]].concat());
    let verdict = format!("'chardev-socket.fd' with value '{fd}' is declared as insecure");
    assert!(error.contains(&verdict), "{error}");

    for host in ["127.0.0.1", "localhost", "127.0.0.2"] {
        let properties = [&SERVER[..], &[("host", host), ("port", "0")]].concat();
        let object = machine.add("chardev-socket", "loopback", &properties);
        machine.remove(&object);
    }
    let local = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = local.as_raw_fd().to_string();
    machine.add("chardev-socket", "fd", &[&SERVER[..], &[("fd", fd.as_str())]].concat());

    // It is the user's to allow it.
    let permissive = Machine::with_policy(Policy::of(&[PolicyStatement::RequireSecure(false)]));
    let properties = [&SERVER[..], &[("host", "0.0.0.0"), ("port", "0")]].concat();
    let (_object, stream) = stream(&permissive, &properties);
    TcpStream::connect(("127.0.0.1", shown_port(&*stream))).unwrap();
}

#[test]
fn a_configuration_that_means_nothing_is_refused_with_the_property_named() {
    let machine = Machine::new();
    let long = "x".repeat(109);
    for (properties, problem) in [
        (&[][..], "Parameter 'path' is missing, or 'host' with 'port', or 'fd', instead of it"),
        (&[("path", "p"), ("fd", "3")], "Parameter 'fd' contradicts 'path': give one of them"),
        (
            &[("path", "p"), ("host", "::1"), ("port", "1")],
            "Parameter 'host' contradicts 'path': give one of them",
        ),
        (
            &[("fd", "3"), ("host", "::1"), ("port", "1")],
            "Parameter 'fd' contradicts 'host': give one of them",
        ),
        (&[("host", "::1")], "Parameter 'port' is missing"),
        (&[("path", "p"), ("port", "1")], "Parameter 'port' is only for a socket with 'host'"),
        (&[("path", "p"), ("ipv4", "on")], "Parameter 'ipv4' is only for a socket with 'host'"),
        (
            &[("fd", "3"), ("abstract", "on")],
            "Parameter 'abstract' is only for a socket with 'path'",
        ),
        (&[("path", "")], "Parameter 'path' expects a path or name, got none"),
        (&[("path", &long)], "Parameter 'path' expects a path of at most 108 bytes"),
        (&[("path", "a\0b")], "Parameter 'path' expects a path of at most 108 bytes, none of them"),
        (
            &[("path", &long), ("abstract", "on")],
            "Parameter 'path' expects an abstract name of at most 107 bytes",
        ),
        (&[("path", "p"), ("wait", "on")], "Parameter 'wait' is only for a server"),
        (
            &[("path", "p"), ("server", "on"), ("reconnect-ms", "1")],
            "Parameter 'reconnect-ms' is only for a client",
        ),
        (
            &[("path", "p"), ("reconnect", "1"), ("reconnect-ms", "1")],
            "Parameter 'reconnect' contradicts 'reconnect-ms': give one of them",
        ),
        (
            &[("host", "::1"), ("port", "0")],
            "Parameter 'port' expects a port to connect to, got '0'",
        ),
        (
            &[("host", "::1"), ("port", "9"), ("to", "8"), ("server", "on")],
            "Parameter 'to' expects a port from 9 on, got '8'",
        ),
        (
            &[("host", "::1"), ("port", "9"), ("to", "10")],
            "Parameter 'to' is only for a server with 'host'",
        ),
        (
            &[("host", "::1"), ("port", "9"), ("ipv4", "off"), ("ipv6", "off")],
            "Parameter 'ipv6' excludes what 'ipv4' leaves",
        ),
        (
            &[("host", "a b"), ("port", "9")],
            "Parameter 'host' expects the name or address of a host",
        ),
    ] {
        let error = refusal(&machine, properties);
        assert!(error.contains(problem), "{properties:?}: {error}");
    }
}

/// Device that reads on a loop of its own
#[qom_type(secure, parent = IsaDevice)]
struct Listener {
    /// What it reads from
    #[property(link = dyn Chardev)]
    chardev: Link<dyn Chardev>,
    reader: Reader,
}

impl Device for Listener {
    fn realize(&self, _: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl IsaDevice for Listener {}

impl ChardevFrontend for Listener {
    fn can_receive(&self) -> usize {
        self.reader.can_receive()
    }

    fn receive(&self, bytes: &[u8]) {
        self.reader.receive(bytes);
    }

    fn host_changed(&self, presence: Presence) {
        self.reader.host_changed(presence);
    }
}

#[test]
fn a_device_with_a_loop_of_its_own_is_called_there_while_it_is_connected() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let (_object, stream) = server(&machine, &path);
    let running = machine.run_events();
    let object = machine.add("listener", "listener", &[("chardev", "/stream")]);
    let listener = object.cast::<Listener>().unwrap();

    let own = Arc::new(EventLoop::new().unwrap());
    let thread = {
        let own = Arc::clone(&own);
        thread::spawn(move || own.run().unwrap())
    };
    let id = thread.thread().id();
    let weak = Arc::downgrade(&listener);
    let events = Some(Arc::clone(&own));
    machine.platform.connect(&object, &listener.chardev, weak, events).unwrap();
    for _ in 0..20 {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"here").unwrap();
        assert_eq!(listener.reader.wait_for(4), b"here");
    }
    listener.reader.wait_for_presences(40);
    let threads = listener.reader.take_threads();
    assert!(threads.len() >= 60 && threads.iter().all(|thread| *thread == id));

    // Back at home, the machine's loop does it.
    machine.platform.release(&object);
    own.stop();
    thread.join().unwrap();
    let reader = Reader::of(&*stream);
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"there").unwrap();
    assert_eq!(reader.wait_for(5), b"there");
    assert!(!reader.take_threads().contains(&id));
    drop(running);
}
