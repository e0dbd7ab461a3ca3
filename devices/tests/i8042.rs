//! `i8042` as a guest and a board meet it.

use device_model::{
    device::Device, qom_core::SecurityStatus, request::VmRequest, testing::Machine,
};
use devices::i8042::spec::*;
use proptest::prelude::*;
use serde_json::json;

const DATA_PORT: u16 = DEFAULT_IOBASE;
const COMMAND_PORT: u16 = STATUS_COMMAND_PORT;
const PULSE_RESET: u8 = 0xfe;

#[test]
fn it_is_declared_secure() {
    let device = Machine::new().add("i8042", "kbc", &[]);
    assert_eq!(device.class().status(), SecurityStatus::Secure);
}

#[test]
fn a_pulse_of_the_reset_line_resets_the_machine() {
    let machine = Machine::new();
    machine.add("i8042", "kbc", &[]);
    machine.outb(COMMAND_PORT, PULSE_RESET);
    assert_eq!(machine.requests(), [VmRequest::Reset]);
    machine.outb(COMMAND_PORT, CMD_WRITE_OUTPUT_PORT);
    assert_eq!(machine.requests(), []);
    machine.outb(DATA_PORT, 0);
    assert_eq!(machine.requests(), [VmRequest::Reset]);
}

#[test]
fn a_driver_finds_a_controller_and_no_keyboard() {
    let machine = Machine::new();
    machine.add("i8042", "kbc", &[]);
    machine.outb(COMMAND_PORT, CMD_SELF_TEST);
    assert_eq!(machine.inb(COMMAND_PORT) & STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL);
    assert_eq!(machine.inb(DATA_PORT), SELF_TEST_PASSED);
    machine.outb(DATA_PORT, 0xf2);
    assert_eq!(machine.inb(COMMAND_PORT) & STATUS_TIMEOUT, STATUS_TIMEOUT);
    assert_eq!(machine.inb(DATA_PORT), NO_ANSWER);
}

#[test]
fn the_ports_between_are_others() {
    let machine = Machine::new();
    machine.add("i8042", "kbc", &[]);
    let places: Vec<_> =
        machine.platform.ports().regions().iter().map(|(first, last, _)| (*first, *last)).collect();
    assert_eq!(places, [(0x60, 0x60), (0x64, 0x64)]);
    let mut data = [0; 4];
    machine.platform.ports().read(0x60, &mut data);
    assert_eq!(data, [0, 0xff, 0xff, 0xff]);
    machine.outb(0x61, PULSE_RESET);
    assert_eq!(machine.requests(), []);
}

#[test]
fn its_state_can_be_read_and_a_reset_clears_it() {
    let machine = Machine::new();
    let device = machine.add("i8042", "kbc", &[]);
    assert_eq!(device.get("command-byte"), Some(json!(CTR_DEFAULT)));
    assert_eq!(device.get("output-port"), Some(json!(OUTPUT_DEFAULT)));
    machine.outb(COMMAND_PORT, CMD_WRITE_COMMAND_BYTE);
    machine.outb(DATA_PORT, 0x47);
    assert_eq!(device.get("command-byte"), Some(json!(0x47)));
    device.cast::<dyn Device>().unwrap().reset();
    assert_eq!(device.get("command-byte"), Some(json!(CTR_DEFAULT)));
}

#[test]
fn a_second_one_is_refused_and_leaves_nothing() {
    let machine = Machine::new();
    // Something at the second of its ports: the first, which it got, is free again afterwards.
    let there = machine.add("isa-debugcon", "log", &[("iobase", "0x64")]);
    let error = machine.create("i8042", "kbc", &[]).unwrap_err();
    assert_eq!(error.to_string(), "ports 0x64-0x64 are taken by '/log' (type 'isa-debugcon')");
    assert_eq!(machine.paths(), ["/log"]);
    assert_eq!(machine.platform.ports().regions().len(), 1);
    machine.remove(&there);
    let device = machine.add("i8042", "kbc", &[]);
    machine.remove(&device);
    assert!(machine.platform.ports().regions().is_empty());
    assert_eq!(machine.inb(COMMAND_PORT), 0xff);
}

proptest! {
    #[test]
    fn whatever_a_guest_does_the_controller_keeps_working(
        accesses in proptest::collection::vec(
            (
                any::<bool>(),
                DATA_PORT - 3..COMMAND_PORT + 2,
                proptest::collection::vec(any::<u8>(), 1..5),
            ),
            0..80,
        ),
    ) {
        let machine = Machine::new();
        machine.add("i8042", "kbc", &[]);
        for (is_write, at, mut data) in accesses {
            if is_write {
                machine.platform.ports().write(at.into(), &data);
            } else {
                machine.platform.ports().read(at.into(), &mut data);
            }
        }
        prop_assert!(machine.requests().iter().all(|request| *request == VmRequest::Reset));
        machine.outb(COMMAND_PORT, CMD_SELF_TEST);
        prop_assert_eq!(machine.inb(DATA_PORT), SELF_TEST_PASSED);
        machine.outb(COMMAND_PORT, PULSE_RESET);
        prop_assert_eq!(machine.requests(), [VmRequest::Reset]);
    }
}
