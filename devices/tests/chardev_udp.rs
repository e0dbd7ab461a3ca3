//! `chardev-udp` as devices, users and whoever it talks to meet it.

mod reader;

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::Duration,
};

use device_model::{prelude::*, qom_core::SecurityStatus, testing::Machine};
// For its types, which the linker would leave out otherwise.
use devices as _;
use reader::Reader;

fn stream(machine: &Machine) -> (Obj, Arc<dyn Chardev>, UdpSocket, SocketAddr) {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let object = machine.add("chardev-udp", "stream", &[("host", "127.0.0.1"), ("port", &port)]);
    assert_eq!(object.class().status(), SecurityStatus::Secure);
    let stream = object.cast::<dyn Chardev>().unwrap();
    assert_eq!(stream.filename(), format!("udp:127.0.0.1:{port}"));
    stream.write(b"first");
    let (length, own) = other.recv_from(&mut [0; 9]).unwrap();
    assert_eq!(length, 5);
    (object, stream, other, own)
}

#[test]
fn datagrams_go_both_ways() {
    let machine = Machine::new();
    let (_object, stream, other, own) = stream(&machine);
    assert!(own.ip().is_loopback(), "nobody else reaches it: {own}");
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    assert_eq!(reader.presences(), [Presence::Came]);
    // An empty one is no end.
    for text in [&b"to the device"[..], b"", b"and again"] {
        other.send_to(text, own).unwrap();
        assert_eq!(reader.wait_for(text.len()), text);
    }
}

#[test]
fn a_datagram_larger_than_the_device_s_room_arrives_bit_by_bit() {
    let machine = Machine::new();
    let (_object, stream, other, own) = stream(&machine);
    let _running = machine.run_events();
    let reader = Reader::with_room(&*stream, 3);
    let sent: Vec<u8> = (0..60_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    other.send_to(&sent, own).unwrap();
    other.send_to(b"!", own).unwrap();
    assert_eq!(reader.wait_for(3), sent[..3]);
    reader.make_room(&*stream, 4);
    assert_eq!(reader.wait_for(4), sent[3..7]);
    reader.make_room(&*stream, usize::MAX);
    let rest = reader.wait_for(sent.len() - 6);
    assert!(rest[..rest.len() - 1] == sent[7..] && rest.ends_with(b"!"));
}

#[test]
fn what_others_send_is_not_for_the_device() {
    let machine = Machine::new();
    let (_object, stream, other, own) = stream(&machine);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"forged", own).unwrap();
    other.send_to(b"true", own).unwrap();
    assert_eq!(reader.wait_for(4), b"true");
}

#[test]
fn nobody_at_the_other_end_is_no_end() {
    let machine = Machine::new();
    let (_object, stream, other, own) = stream(&machine);
    let at = other.local_addr().unwrap();
    drop(other);
    let _running = machine.run_events();
    let reader = Reader::of(&*stream);
    for _ in 0..3 {
        stream.write(b"lost");
        thread::sleep(Duration::from_millis(20));
    }
    let other = UdpSocket::bind(at).unwrap();
    stream.write(b"found");
    let mut found = [0; 9];
    assert_eq!(other.recv_from(&mut found).unwrap(), (5, own));
    other.send_to(b"answer", own).unwrap();
    assert_eq!(reader.wait_for(6), b"answer");
    assert_eq!(reader.presences(), [Presence::Came]);
}

#[test]
fn what_others_than_this_host_can_reach_is_insecure() {
    let machine = Machine::new();
    for (property, properties) in [
        ("host", &[("host", "10.1.2.3"), ("port", "9")][..]),
        ("host", &[("host", "example.invalid"), ("port", "9")]),
        ("localaddr", &[("localaddr", "0.0.0.0"), ("port", "9")]),
        ("localaddr", &[("localaddr", ""), ("port", "9")]),
    ] {
        let error = machine.create("chardev-udp", "refused", properties).unwrap_err().to_string();
        let verdict = format!("'chardev-udp.{property}' with value");
        assert!(error.contains(&verdict) && error.contains("declared as insecure"), "{error}");
    }
}

#[test]
fn a_configuration_that_means_nothing_is_refused_with_the_property_named() {
    let machine = Machine::new();
    for (properties, problem) in [
        (&[][..], "Parameter 'port' is missing"),
        (&[("port", "0")], "Parameter 'port' expects a value from 1 to 65535"),
        (&[("port", "9"), ("host", "")], "Parameter 'host' expects the name or address"),
        (&[("port", "9"), ("localaddr", "a b")], "Parameter 'localaddr' expects the name"),
        (
            &[("port", "9"), ("ipv4", "off"), ("ipv6", "off")],
            "Parameter 'ipv6' excludes what 'ipv4' leaves",
        ),
    ] {
        let error = machine.create("chardev-udp", "refused", properties).unwrap_err().to_string();
        assert!(error.contains(problem), "{properties:?}: {error}");
    }
}
