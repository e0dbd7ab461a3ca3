//! `netdev-hubport` as cards and users meet it.

use std::sync::Arc;

use device_model::{
    prelude::*,
    qom_core::SecurityStatus,
    testing::{Machine, TestNetdev, TestNic, wait_until},
};
// For its types, which the linker would leave out otherwise.
use devices as _;

fn port(machine: &Machine, name: &str, hub: &str) -> (Obj, Obj, Arc<TestNic>) {
    let object = machine.add("netdev-hubport", name, &[("hubid", hub)]);
    let (card, nic) = TestNic::plugged(machine, &format!("nic-{name}"), &format!("/{name}"));
    (object, card, nic)
}

#[test]
fn a_frame_comes_out_of_all_other_ports_of_the_same_hub() {
    let machine = Machine::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| port(&machine, name, "0"));
    let (_, _, stranger) = port(&machine, "d", "1");
    assert_eq!(a.0.class().status(), SecurityStatus::Secure);
    let _running = machine.run_events();
    let pieces = [&b"head"[..], b"er and body"].map(std::io::IoSlice::new);
    assert_eq!(a.2.netdev().send(0, &pieces), Sending::Taken);
    for nic in [&b.2, &c.2] {
        assert_eq!(nic.wait_for_frame(), b"header and body");
    }
    assert_eq!(c.2.send(b"back"), Sending::Taken);
    for nic in [&a.2, &b.2] {
        assert_eq!(nic.wait_for_frame(), b"back");
    }
    for (nic, name) in [(&a.2, "a"), (&b.2, "b"), (&c.2, "c"), (&stranger, "d")] {
        assert!(nic.take_frames().is_empty(), "{name}");
    }
    let counters = b.2.netdev().counters();
    assert_eq!((counters.received, counters.received_bytes, counters.sent), (2, 19, 0));
    assert_eq!((a.2.netdev().info(), stranger.netdev().info()), ("hub 0".into(), "hub 1".into()));
    assert_eq!(a.2.links(), [true]);
}

#[test]
fn a_card_without_room_holds_up_nobody_and_loses_what_is_too_much() {
    let machine = Machine::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| port(&machine, name, "0"));
    b.2.set_room(Some(1));
    let _running = machine.run_events();
    for number in 0..1000_u32 {
        assert_eq!(a.2.send(&number.to_le_bytes()), Sending::Taken);
        assert_eq!(c.2.wait_for_frame(), number.to_le_bytes());
    }
    wait_until("it has a frame", || b.2.netdev().counters().received == 1);
    b.2.set_room(None);
    wait_until("it has all that waited", || b.2.netdev().counters().received >= 257);
    let frames = b.2.take_frames();
    assert!(frames.iter().zip(0_u32..).all(|(frame, number)| *frame == number.to_le_bytes()));
    let counters = b.2.netdev().counters();
    assert_eq!(counters.received + counters.receive_dropped, 1000);
}

#[test]
fn a_frame_that_is_none_is_lost() {
    let machine = Machine::new();
    let [a, b] = ["a", "b"].map(|name| port(&machine, name, "-7"));
    let _running = machine.run_events();
    assert_eq!(a.2.send(b""), Sending::Taken);
    assert_eq!(a.2.send(&vec![0; 0x1_1001]), Sending::Taken);
    assert_eq!(a.2.send(b"!"), Sending::Taken);
    assert_eq!(b.2.wait_for_frame(), b"!");
    assert_eq!(a.2.netdev().counters().send_dropped, 2);
}

#[test]
fn cards_that_answer_from_within_do_not_hold_each_other_up() {
    let machine = Machine::new();
    let [a, b] = ["a", "b"].map(|name| port(&machine, name, "0"));
    b.2.echo();
    let _running = machine.run_events();
    for number in 0..200_u8 {
        assert_eq!(a.2.send(&[number]), Sending::Taken);
        assert_eq!(a.2.wait_for_frame(), [number]);
    }
}

#[test]
fn a_network_may_be_plugged_in_instead_of_a_card() {
    let machine = Machine::new();
    let network = machine.add("test-netdev", "net", &[]);
    let outside = network.cast::<TestNetdev>().unwrap();
    let link = machine.add("netdev-hubport", "up", &[("hubid", "0"), ("netdev", "/net")]);
    let (_, _, nic) = port(&machine, "a", "0");
    let _running = machine.run_events();
    assert!(outside.is_connected());
    assert!(machine.platform.network_peer(&network).is_some_and(|peer| peer.same(&link)));
    outside.give(b"in");
    assert_eq!(nic.wait_for_frame(), b"in");
    outside.set_full(true);
    assert_eq!(nic.send(b"out"), Sending::Taken);
    std::thread::sleep(std::time::Duration::from_millis(10));
    assert!(outside.take_sent().is_empty());
    outside.set_full(false);
    wait_until("it has gone out", || outside.take_sent() == [b"out"]);
    let error = machine.create("test-nic", "no", &[("netdev", "/up")]).unwrap_err().to_string();
    assert!(error.contains("'/up' is in use by another device"), "{error}");
    let another = machine.create("netdev-hubport", "no", &[("hubid", "0"), ("netdev", "/net")]);
    let error = another.unwrap_err().to_string();
    assert!(error.contains("'/net' is in use by another device"), "{error}");
    assert!(outside.is_connected(), "the first one stays");
    machine.remove(&link);
    assert!(!outside.is_connected());
    outside.give(b"nowhere");
    assert!(nic.take_frames().is_empty());
}

#[test]
fn a_port_that_goes_leaves_the_others_their_hub() {
    let machine = Machine::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| port(&machine, name, "0"));
    let _running = machine.run_events();
    machine.remove(&a.1);
    machine.remove(&a.0);
    let (_, _, again) = port(&machine, "again", "0");
    assert_eq!(b.2.send(b"still"), Sending::Taken);
    assert_eq!((c.2.wait_for_frame(), again.wait_for_frame()), (b"still".into(), b"still".into()));
    let looped = machine.create("netdev-hubport", "no", &[("hubid", "0"), ("netdev", "/b")]);
    let error = looped.unwrap_err().to_string();
    assert!(error.contains("'netdev' expects a network that is no port of a hub"), "{error}");
    let error = machine.create("netdev-hubport", "no", &[]).unwrap_err().to_string();
    assert!(error.contains("Parameter 'hubid' is missing"), "{error}");
}
