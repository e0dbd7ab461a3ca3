//! `chardev-socket` as a client, and whoever it connects to.

mod reader;
mod socket;

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::{UnixListener, UnixStream},
    thread,
    time::Duration,
};

use device_model::{prelude::*, testing::Machine};
use reader::Reader;
use socket::{hold_up, place, refusal, server, stream};

use Presence::{Came, Left};

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
