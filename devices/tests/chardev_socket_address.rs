//! Where a `chardev-socket` is: paths, names, ports and descriptors.

mod reader;
mod socket;

use std::{
    fs,
    io::Write,
    net::{TcpListener, TcpStream},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::{UnixDatagram, UnixListener, UnixStream},
        },
    },
    path::Path,
};

use device_model::{prelude::*, testing::Machine};
use reader::Reader;
use socket::{SERVER, is_closed, place, refusal, server, shown_port, stream};

use Presence::{Came, Left};

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
fn sockets_that_the_process_was_started_with_serve_too() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let listener = UnixListener::bind(&path).unwrap();
    let [fd] = machine.hand_over([&listener]);
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
    let [fd] = machine.hand_over([&ours]);
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
fn a_descriptor_of_the_program_s_own_is_nobody_else_s() {
    let (_directory, path) = place();
    let machine = Machine::new();
    let own = UnixListener::bind(&path).unwrap();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let given = UnixStream::pair().unwrap().0;
    machine.hand_over([&given]);
    let refused = "the process was not started with that descriptor, and no client passed it";
    for (descriptor, server) in [(own.as_raw_fd(), &SERVER[..]), (ours.as_raw_fd(), &[])] {
        let fd = descriptor.to_string();
        let error = refusal(&machine, &[server, &[("fd", fd.as_str())]].concat());
        assert!(error.contains(refused), "{error}");
        assert_eq!(machine.paths(), [] as [&str; 0]);
    }
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
