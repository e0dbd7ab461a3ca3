//! `chardev-socket` as a server with TLS: who gets in, who does not, and whom that disturbs.

mod certificates;
mod reader;
mod tls_peers;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use certificates::{Authority, Folder, Wanted};
use device_model::{
    prelude::*,
    testing::{Machine, wait_until},
};
use devices::tls::TlsCreds;
use reader::Reader;
use rustls::{Connection, StreamOwned};
use tls_peers::{Client, Served};

use Presence::{Came, Left};

#[test]
fn the_right_client_and_the_device_talk_both_ways() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    for _ in 0..3 {
        served.serves_fred(&reader);
    }
    // Under TLS 1.2, or of openssl, it is the same.
    let client = served.authority.client("fred");
    for version in ["-tls1_2", "-tls1_3"] {
        // Before the client is there, which may be faster than this thread.
        let seen = reader.presences().len();
        let mut openssl = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"])
            .args([version, "-connect", &format!("127.0.0.1:{}", served.port())])
            .arg("-CAfile")
            .arg(client.file("ca-cert.pem"))
            .arg("-cert")
            .arg(client.file("client-cert.pem"))
            .arg("-key")
            .arg(client.file("client-key.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tests' tools are there: cargo xtask fetch");
        openssl.stdin.as_mut().unwrap().write_all(b"from openssl\n").unwrap();
        assert_eq!(reader.wait_for(13), b"from openssl\n");
        served.stream.write(b"to openssl\n");
        let mut line = String::new();
        BufReader::new(openssl.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "to openssl\n");
        openssl.kill().unwrap();
        openssl.wait().unwrap();
        assert_eq!(reader.wait_for_presences(seen + 2)[seen..], [Came, Left]);
    }
}

#[test]
fn a_megabyte_each_way_arrives_as_it_was_sent() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let sent: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let client = Client::of(&served.authority.client("fred"), served.connect());
    let peer = {
        let (sent, mut client) = (sent.clone(), client);
        thread::spawn(move || {
            client.write_all(&sent).unwrap();
            let mut received = vec![0; sent.len()];
            client.read_exact(&mut received).unwrap();
            received
        })
    };
    assert_eq!(reader.wait_for(sent.len()), sent);
    served.stream.write(&sent);
    assert_eq!(peer.join().unwrap(), sent);
}

#[test]
fn input_waits_until_the_device_has_room_though_it_has_been_decrypted() {
    let served = Served::new();
    let reader = Reader::with_room(&*served.stream, 0);
    let mut client = Client::of(&served.authority.client("fred"), served.connect());
    client.write_all(b"0123456789").unwrap();
    reader.wait_for_presences(1);
    for (expected, room) in [(&b"012"[..], 3), (b"3", 1), (b"456789", 100)] {
        thread::sleep(Duration::from_millis(20));
        assert_eq!(reader.count(), 0);
        reader.make_room(&*served.stream, room);
        assert_eq!(reader.wait_for(expected.len()), expected);
    }
    // That the peer has left is told without any room too.
    reader.make_room(&*served.stream, 0);
    client.say_goodbye();
    drop(client);
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
}

#[test]
fn whoever_is_not_authorized_or_not_certified_finds_the_connection_closed() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let stranger = Authority::new("CA");
    let nobody = Folder::new(&served.authority);
    // They trust the server, so that it is the server who refuses.
    let foreign = stranger.client("fred");
    foreign.write("ca-cert.pem", &(stranger.pem().to_owned() + served.authority.pem()));
    for (what, folder) in [
        ("another name", served.authority.client("mallory")),
        ("another authority", foreign),
        ("no certificate", nobody),
    ] {
        let mut client = Client::of(&folder, served.connect());
        assert!(client.is_refused(), "{what}");
    }
    assert_eq!(reader.presences(), [], "none of them was there");
    assert_eq!(reader.count(), 0);
    served.serves_fred(&reader);
}

#[test]
fn whoever_is_revoked_or_expired_is_refused() {
    let authority = Authority::new("CA");
    let folder = authority.server();
    folder.write("ca-crl.pem", &authority.revoke(13));
    let served = Served::of(authority, folder, &[]);
    let reader = Reader::of(&*served.stream);
    let with = |wanted: &Wanted<'_>| {
        Folder::new(&served.authority).with("client", &served.authority.issue(wanted))
    };
    let mut revoked =
        Client::of(&with(&Wanted { serial: 13, ..Wanted::named("fred") }), served.connect());
    assert!(revoked.is_refused());
    served.serves_fred(&reader);

    // A client whose own check would keep it from trying.
    let folder = with(&Wanted { expired: true, ..Wanted::named("fred") });
    let machine = Machine::new();
    let properties = [("dir", folder.path()), ("sanity-check", "off")];
    let creds = machine.add("tls-creds-x509", "tls0", &properties).cast::<dyn TlsCreds>().unwrap();
    let Ok(Connection::Client(session)) = creds.session(Some("localhost")) else { panic!() };
    assert!(Client(StreamOwned::new(session, served.connect())).is_refused());
    assert_eq!(reader.presences(), [Came, Left]);
}

#[test]
fn whoever_does_not_speak_tls_is_sent_away() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    for greeting in
        [&b"{\"execute\": \"qmp_capabilities\"}\r\n"[..], &[0xff; 40_000], b"\x16\x03\x01"]
    {
        let mut client = served.connect();
        // It may be closed before all of it is written.
        let _ = client.write_all(greeting);
        let _ = client.shutdown(std::net::Shutdown::Write);
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut answer = Vec::new();
        if let Err(error) = client.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        assert!(answer.len() < 100, "an alert at most");
    }
    assert_eq!(reader.presences(), []);
    served.serves_fred(&reader);
}

#[test]
fn those_that_never_finish_hold_nobody_up_and_are_closed_in_the_end() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let start = Instant::now();
    let mut idle: Vec<_> = (0..3).map(|_| served.connect()).collect();
    idle[0].write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    served.serves_fred(&reader);
    assert!(start.elapsed() < Duration::from_secs(9));
    // Whoever got in has closed them to the others.
    for client in &mut idle {
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    }
    assert!(start.elapsed() < Duration::from_secs(9));

    // More than there may be at once: the first have to go.
    let start = Instant::now();
    let mut crowd: Vec<_> = (0..12).map(|_| served.connect()).collect();
    for (number, client) in crowd.iter_mut().enumerate() {
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
        let took = start.elapsed();
        match number {
            0..4 => assert!(took < Duration::from_secs(9), "{number}: {took:?}"),
            _ => assert!(took > Duration::from_secs(9), "{number}: {took:?}"),
        }
    }
    assert!(start.elapsed() < Duration::from_secs(18), "{:?}", start.elapsed());
    served.serves_fred(&reader);
}

#[test]
fn while_one_is_served_others_find_the_connection_closed() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let mut first = Client::of(&served.authority.client("fred"), served.connect());
    let port = served.port();
    first.write_all(b"1").unwrap();
    assert_eq!(reader.wait_for(1), b"1");
    let second = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(Client::of(&served.authority.client("fred"), second).is_refused());
    first.write_all(b"2").unwrap();
    assert_eq!(reader.wait_for(1), b"2");
}

#[test]
fn a_client_that_never_reads_holds_up_its_writer_alone_and_hanging_up_frees_it() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let mut client = Client::of(&served.authority.client("fred"), served.connect());
    client.write_all(b"1").unwrap();
    reader.wait_for(1);
    let writer = {
        let stream = Arc::clone(&served.stream);
        // More than the kernel takes for a peer that does not read.
        thread::spawn(move || stream.write(&vec![0; 64 << 20]))
    };
    thread::sleep(Duration::from_millis(300));
    assert!(!writer.is_finished());
    client.write_all(b"2").unwrap();
    assert_eq!(reader.wait_for(1), b"2");
    served.stream.hang_up();
    writer.join().unwrap();
    reader.wait_for_presences(2);
    served.serves_fred(&reader);
}

#[test]
fn what_a_writer_that_does_not_wait_leaves_half_sent_is_sent_later() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let mut client = Client::of(&served.authority.client("fred"), served.connect());
    client.write_all(b"1").unwrap();
    reader.wait_for(1);
    served.stream.set_nonblocking(true);
    served.stream.write(&vec![7; 64 << 20]);
    served.stream.set_nonblocking(false);
    // Whatever the peer gets are whole records, to the last byte that was taken.
    let peer = thread::spawn(move || {
        let mut count = 0_usize;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = client.read(&mut buffer).unwrap();
            let sevens = buffer[..length].iter().take_while(|byte| **byte == 7).count();
            count += sevens;
            if sevens != length {
                return (count, buffer[sevens..length].to_vec());
            }
        }
    });
    thread::sleep(Duration::from_millis(300));
    served.stream.write(b"end");
    let (count, end) = peer.join().unwrap();
    assert_eq!(end, b"end");
    assert!(count % (1 << 14) == 0 && count < 64 << 20, "{count}");
}

#[test]
fn a_server_that_waits_waits_for_the_right_client() {
    let authority = Authority::new("CA");
    let folder = authority.server();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let (fred, mallory) = (authority.client("fred"), authority.client("mallory"));
    let clients = thread::spawn(move || {
        let connect = || {
            let mut connection = None;
            wait_until("the server", || {
                connection = TcpStream::connect(("127.0.0.1", port)).ok();
                connection.is_some()
            });
            connection.unwrap()
        };
        let _ = connect().write_all(b"no TLS at all, and more than a record's header");
        assert!(Client::of(&mallory, connect()).is_refused());
        let mut client = Client::of(&fred, connect());
        client.write_all(b"it is me").unwrap();
        client
    });
    let port = port.to_string();
    let served = Served::of(authority, folder, &[("port", &port), ("wait", "on")]);
    let reader = Reader::of(&*served.stream);
    assert_eq!(reader.wait_for(8), b"it is me");
    clients.join().unwrap();
}

#[test]
fn a_server_that_is_cut_off_has_left() {
    let served = Served::new();
    let reader = Reader::of(&*served.stream);
    let mut client = Client::of(&served.authority.client("fred"), served.connect());
    client.write_all(b"1").unwrap();
    reader.wait_for(1);
    // Without a word of farewell.
    drop(client);
    assert_eq!(reader.wait_for_presences(2), [Came, Left]);
    served.stream.disconnect();
    served.machine.remove(&served.object);
}

#[test]
fn no_session_is_resumed() {
    let served = Served::new();
    let _reader = Reader::of(&*served.stream);
    let client = served.authority.client("fred");
    let output = Command::new("openssl")
        .args(["s_client", "-reconnect", "-no_ign_eof", "-tls1_2", "-connect"])
        .arg(format!("127.0.0.1:{}", served.port()))
        .arg("-cert")
        .arg(client.file("client-cert.pem"))
        .arg("-key")
        .arg(client.file("client-key.pem"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.contains("New, TLSv1.2") && !output.contains("Reused, TLSv1.2"), "{output}");
}
