//! Networks and the cards that are plugged into them: one card a network, its calls, its removal.

use std::sync::{Arc, Weak};

use device_model::{
    netdev::{Offloads, VnetHeader},
    platform::ConnectError,
    prelude::*,
    testing::{Machine, TestNetdev, TestNic},
};

fn network(machine: &Machine, name: &str) -> (Obj, Arc<TestNetdev>) {
    let object = machine.add("test-netdev", name, &[]);
    let network = object.cast::<TestNetdev>().unwrap();
    (object, network)
}

#[test]
fn a_card_sends_and_is_given_frames_for_as_long_as_it_is_there() {
    let machine = Machine::new();
    let (object, network) = network(&machine, "net");
    assert!(network.is_open() && !network.is_connected());
    let (card, nic) = TestNic::plugged(&machine, "nic", "/net");
    assert!(machine.platform.network_peer(&object).is_some_and(|peer| peer.same(&card)));
    assert_eq!(nic.send(b"out"), Sending::Taken);
    assert_eq!(network.take_sent(), [b"out"]);
    network.give(b"in");
    assert_eq!(nic.take_frames(), [b"in"]);
    nic.netdev().set_offloads(VnetHeader::Modern, Offloads::default()).unwrap();
    machine.remove(&card);
    assert!(!network.is_connected() && machine.platform.network_peer(&object).is_none());
    assert_eq!(network.header().0, VnetHeader::None, "the next one starts anew");
    machine.remove(&object);
    assert!(!network.is_open());
}

#[test]
fn a_network_has_one_card() {
    let machine = Machine::new();
    let (_, network) = network(&machine, "net");
    let (card, _) = TestNic::plugged(&machine, "nic", "/net");
    let error = machine.create("test-nic", "second", &[("netdev", "/net")]).unwrap_err();
    assert!(error.to_string().contains("'/net' is in use by another device"), "{error}");
    assert_eq!(machine.paths(), ["/net", "/nic"]);
    machine.remove(&card);
    let _ = TestNic::plugged(&machine, "second", "/net");
    assert!(network.is_connected());
}

#[test]
fn a_frame_without_room_waits_on_either_side() {
    let machine = Machine::new();
    let (_, network) = network(&machine, "net");
    let (_card, nic) = TestNic::plugged(&machine, "nic", "/net");
    nic.set_room(Some(1));
    network.give(b"first");
    network.give(b"second");
    assert_eq!((nic.take_frames(), network.waiting()), (vec![b"first".to_vec()], 1));
    nic.set_room(None);
    assert_eq!((nic.take_frames(), network.waiting()), (vec![b"second".to_vec()], 0));
    network.set_full(true);
    assert_eq!(nic.send(b"out"), Sending::Later);
    assert!(nic.take_ready().is_empty() && network.take_sent().is_empty());
    network.set_full(false);
    assert_eq!(nic.take_ready(), [0]);
}

#[test]
fn nobody_is_plugged_in_in_the_name_of_another_or_into_another_machine() {
    let (machine, other) = (Machine::new(), Machine::new());
    let (_, network) = network(&machine, "net");
    let object = machine.add("test-nic", "nic", &[]);
    let second = machine.add("test-nic", "second", &[("netdev", "/net")]);
    let nic = object.cast::<TestNic>().unwrap();
    machine.remove(&second);
    let link = second.cast::<TestNic>().unwrap();
    let this: Weak<TestNic> = Arc::downgrade(&link);
    let connect = |machine: &Machine, object: &Obj, this: Weak<TestNic>| {
        machine.platform.connect_network(object, link.link(), this, None)
    };
    let error = connect(&machine, &object, this.clone()).unwrap_err();
    assert!(matches!(error, ConnectError::NotThis { .. }), "{error}");
    let error = connect(&other, &object, Arc::downgrade(&nic)).unwrap_err();
    assert!(matches!(error, ConnectError::Foreign { .. }), "{error}");
    let error = connect(&machine, &second, this).unwrap_err();
    assert!(matches!(error, ConnectError::Detached { .. }), "{error}");
    assert!(!network.is_connected());
    connect(&machine, &object, Arc::downgrade(&nic)).unwrap();
    assert!(network.is_connected());
}
