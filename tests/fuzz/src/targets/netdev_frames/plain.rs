//! Networks that pass frames on as they are.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::{UnixDatagram, UnixStream},
    sync::Arc,
};

use device_model::{
    netdev::{LONGEST_FRAME, Offloads, VnetHeader},
    prelude::*,
    testing::TestNic,
};

use super::{Scene, TURNS, room};
use crate::input::Input;

/// Connections to one stream, at most.
const MOST_CONNECTIONS: usize = 8;
/// Datagrams that are sent at most, so that none is waited for.
const MOST_DATAGRAMS: usize = 100;

/// The frames of a stream, and whether whoever sends it is sent away.
fn frames(mut stream: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut frames = Vec::new();
    while let Some((length, rest)) = stream.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > LONGEST_FRAME {
            return (frames, true);
        }
        let Some((frame, rest)) = rest.split_at_checked(length) else { break };
        if !frame.is_empty() {
            frames.push(frame.to_vec());
        }
        stream = rest;
    }
    (frames, false)
}

/// Sends a frame, or what is none, with a length of two bytes: how long it is.
fn send(nic: &TestNic, input: &mut Input<'_>) -> (Vec<u8>, Sending) {
    let length = usize::from(u16::from_le_bytes([input.byte(), input.byte()])) * 2;
    let frame = vec![input.byte(); length];
    let outcome = nic.send(&frame);
    (frame, outcome)
}

pub(super) fn stream(input: &mut Input<'_>) {
    let scene = Scene::new();
    let folder = tempfile::tempdir().expect("there is a place for it");
    let path = folder.path().join("s");
    let text = path.to_str().expect("it is text");
    let properties = [("addr.type", "unix"), ("addr.path", text), ("server", "on")];
    let nic = scene.network("net", "netdev-stream", &properties);
    for _ in 0..MOST_CONNECTIONS {
        let mut other = UnixStream::connect(&path).expect("somebody listens");
        other.set_nonblocking(true).expect("it can be");
        scene.turn(TURNS);
        assert!(nic.netdev().is_link_up());
        let (mut sent, mut given, mut taken, mut received) =
            <(Vec<u8>, Vec<_>, Vec<u8>, Vec<u8>)>::default();
        let over = loop {
            match input.next().map(|op| op % 6) {
                Some(0) => {
                    let length = input.byte().into();
                    // What does not go has not been sent.
                    let bytes = input.take(length);
                    sent.extend(&bytes[..other.write(bytes).unwrap_or(0)]);
                }
                Some(1) => {
                    let length = u16::from_le_bytes([input.byte(), input.byte()]);
                    let bytes = [&u32::from(length).to_be_bytes()[..], &vec![7; length.into()]];
                    let bytes = bytes.concat();
                    sent.extend(&bytes[..other.write(&bytes).unwrap_or(0)]);
                }
                Some(2) => {
                    let (frame, outcome) = send(&nic, input);
                    let is_frame = (1..=LONGEST_FRAME).contains(&frame.len());
                    if outcome == Sending::Taken && is_frame && nic.netdev().is_link_up() {
                        let length = u32::try_from(frame.len()).expect("it is short");
                        taken.extend([&length.to_be_bytes()[..], &frame].concat());
                    }
                }
                Some(3) => nic.set_room(room(input.byte())),
                Some(4) => {
                    let _ = std::io::copy(&mut other, &mut received);
                }
                Some(_) => break false,
                None => break true,
            }
            scene.turn(input.byte().into());
            given.extend(nic.take_frames());
        };
        nic.set_room(None);
        let (expected, is_sent_away) = frames(&sent);
        for _ in 0..TURNS {
            scene.turn(TURNS);
            given.extend(nic.take_frames());
            let _ = std::io::copy(&mut other, &mut received);
        }
        assert!(given == expected, "{} frames of {}", given.len(), expected.len());
        // Whoever was sent away may have been before all was sent.
        let is_same = if is_sent_away { taken.starts_with(&received) } else { received == taken };
        assert!(is_same || is_sent_away, "{} bytes of {}", received.len(), taken.len());
        if is_sent_away {
            let end = other.read(&mut [0]);
            assert!(end.map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |end| end == 0));
        }
        drop(other);
        scene.turn(TURNS);
        assert!(!nic.netdev().is_link_up());
        if over {
            break;
        }
    }
}

pub(super) fn dgram(input: &mut Input<'_>) {
    let scene = Scene::new();
    let (own, other) = UnixDatagram::pair().expect("there are descriptors");
    other.set_nonblocking(true).expect("it can be");
    let [number] = scene.machine.hand_over([&own]);
    let properties = [("local.type", "fd"), ("local.str", &*number)];
    let nic = scene.network("net", "netdev-dgram", &properties);
    let (mut sent, mut given, mut taken, mut received) = <[Vec<Vec<u8>>; 4]>::default().into();
    let mut buffer = vec![0; 0x4_0000];
    let mut receive = |received: &mut Vec<Vec<u8>>| {
        while let Ok(length) = other.recv(&mut buffer) {
            received.push(buffer[..length].to_vec());
        }
    };
    while let Some(op) = input.next() {
        match op % 4 {
            0 if sent.len() < MOST_DATAGRAMS => {
                let length = usize::from(u16::from_le_bytes([input.byte(), input.byte()])) * 2;
                let frame = vec![input.byte(); length];
                let is_frame = (1..=LONGEST_FRAME).contains(&length);
                if other.send(&frame).is_ok() && is_frame {
                    sent.push(frame);
                }
            }
            1 if taken.len() < MOST_DATAGRAMS => {
                let (frame, outcome) = send(&nic, input);
                let is_frame = (1..=LONGEST_FRAME).contains(&frame.len());
                if outcome == Sending::Taken && is_frame {
                    taken.push(frame);
                }
            }
            2 => nic.set_room(room(input.byte())),
            _ => receive(&mut received),
        }
        scene.turn(input.byte().into());
        given.extend(nic.take_frames());
    }
    nic.set_room(None);
    scene.turn(TURNS);
    given.extend(nic.take_frames());
    receive(&mut received);
    assert!(given == sent && received == taken);
}

pub(super) fn hub(input: &mut Input<'_>) {
    let scene = Scene::new();
    let nics: Vec<Arc<TestNic>> = ["a", "b", "c"]
        .iter()
        .map(|name| scene.network(name, "netdev-hubport", &[("hubid", "1")]))
        .collect();
    let mut expected = [0_u64; 3];
    while let Some(op) = input.next() {
        let number = usize::from(op / 4) % nics.len();
        match op % 4 {
            0 | 1 => {
                let (frame, outcome) = send(&nics[number], input);
                assert_eq!(outcome, Sending::Taken, "a hub takes all");
                if (1..=LONGEST_FRAME).contains(&frame.len()) {
                    let others = (0..nics.len()).filter(|other| *other != number);
                    others.for_each(|other| expected[other] += 1);
                }
            }
            2 => nics[number].set_room(room(input.byte())),
            _ => scene.turn(input.byte().into()),
        }
    }
    nics.iter().for_each(|nic| nic.set_room(None));
    scene.turn(TURNS * TURNS);
    for (nic, expected) in nics.iter().zip(expected) {
        let counters = nic.netdev().counters();
        assert_eq!(counters.received + counters.receive_dropped, expected);
        let length: usize = nic.take_frames().iter().map(Vec::len).sum();
        assert_eq!(counters.received_bytes, u64::try_from(length).expect("it is short"));
    }
}

/// An interface that is down, so that no frame leaves it; where there is none to be had, only its
/// properties are fuzzed, as those of the others.
pub(super) fn tap(input: &mut Input<'_>) {
    let scene = Scene::new();
    let properties = [("vnet_hdr", if input.byte() & 1 == 0 { "on" } else { "off" })];
    if scene.machine.create("netdev-tap", "net", &properties).is_err() {
        return;
    }
    let (_, nic) = TestNic::plugged(&scene.machine, "nic", "/net");
    while let Some(op) = input.next() {
        match op % 4 {
            0 => {
                let length = input.byte().into();
                assert_eq!(nic.send(input.take(length)), Sending::Taken);
            }
            1 => assert_eq!(send(&nic, input).1, Sending::Taken),
            2 => {
                let header = [VnetHeader::None, VnetHeader::Legacy, VnetHeader::Modern];
                let bits = input.byte();
                let on = |bit: u8| bits & (1 << bit) != 0;
                let accepted =
                    Offloads { checksum: on(0), tso4: on(1), tso6: on(2), ecn: on(3), uso: on(4) };
                // The kernel refuses what makes no sense, such as all without the first.
                let _ = nic.netdev().set_offloads(header[usize::from(bits >> 5) % 3], accepted);
            }
            _ => scene.turn(input.byte().into()),
        }
    }
    let counters = nic.netdev().counters();
    assert_eq!((counters.sent, counters.received), (0, 0));
}
