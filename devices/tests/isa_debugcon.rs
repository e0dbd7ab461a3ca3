//! `isa-debugcon` as firmware and a user meet it.

use std::sync::Arc;

use device_model::{
    qom_core::SecurityStatus,
    testing::{Machine, TestChardev},
};
// Registers its types.
use devices as _;
use proptest::prelude::*;
use serde_json::json;

const PORT: u16 = 0xe9;

fn machine(properties: &[(&str, &str)]) -> (Machine, Arc<TestChardev>) {
    let machine = Machine::new();
    let host = machine.add("test-chardev", "host", &[]).cast().unwrap();
    machine.add("isa-debugcon", "log", properties);
    (machine, host)
}

#[test]
fn it_is_declared_secure() {
    let device = Machine::new().add("isa-debugcon", "log", &[]);
    assert_eq!(device.class().status(), SecurityStatus::Secure);
    assert_eq!(device.get("iobase"), Some(json!(0xe9)));
    assert_eq!(device.get("readback"), Some(json!(0xe9)));
    assert_eq!(device.get("chardev"), Some(json!(null)));
}

#[test]
fn what_firmware_logs_comes_out_of_the_character_device() {
    let (machine, host) = machine(&[("chardev", "/host")]);
    for byte in b"SeaBIOS" {
        machine.outb(PORT, *byte);
    }
    assert_eq!(host.take_output(), b"SeaBIOS");
}

#[test]
fn firmware_finds_it_where_and_as_it_is_configured() {
    let (machine, _) = machine(&[("iobase", "0x402"), ("readback", "0x55")]);
    assert_eq!((machine.inb(0x402), machine.inb(PORT)), (0x55, 0xff));
}

#[test]
fn it_leaves_the_input_of_its_character_device_to_another() {
    let (_machine, host) = machine(&[("chardev", "/host")]);
    assert!(!host.is_connected());
}

#[test]
fn without_a_character_device_the_log_is_lost() {
    let machine = Machine::new();
    machine.add("isa-debugcon", "log", &[]);
    machine.outb(PORT, b'x');
    assert_eq!(machine.inb(PORT), 0xe9);
}

#[test]
fn a_second_one_is_refused_and_leaves_nothing() {
    let (machine, _) = machine(&[]);
    let error = machine.create("isa-debugcon", "other", &[]).unwrap_err();
    assert_eq!(error.to_string(), "ports 0xe9-0xe9 are taken by '/log' (type 'isa-debugcon')");
    assert_eq!(machine.paths(), ["/host", "/log"]);
    machine.remove(&machine.tree.resolve("/log").unwrap());
    assert_eq!(machine.inb(PORT), 0xff);
    machine.add("isa-debugcon", "other", &[]);
}

proptest! {
    #[test]
    fn exactly_the_bytes_for_its_port_come_out(
        writes in proptest::collection::vec(
            (PORT - 4..PORT + 3, proptest::collection::vec(any::<u8>(), 1..5)), 0..50,
        ),
    ) {
        let (machine, host) = machine(&[("chardev", "/host")]);
        let mut expected: Vec<u8> = Vec::new();
        for (at, data) in writes {
            let byte = PORT.checked_sub(at).and_then(|offset| data.get(usize::from(offset)));
            expected.extend(byte);
            machine.platform.ports().write(at.into(), &data);
        }
        prop_assert_eq!(host.take_output(), expected);
    }
}
