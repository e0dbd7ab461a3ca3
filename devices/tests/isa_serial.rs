//! `isa-serial` as a guest, a board and a user meet it.

use std::sync::Arc;

use device_model::{
    acpi::{AcpiDevice, AcpiNode, Resource},
    qom_core::{Obj, SecurityStatus},
    testing::{Machine, TestChardev, TestController},
};
use devices::serial::spec::*;
use proptest::prelude::*;
use serde_json::json;

const COM1: u16 = DEFAULT_IOBASE;

fn port(register: u64) -> u16 {
    COM1 + u16::try_from(register).unwrap()
}

/// A machine with one serial port, `/com1`, on a character device.
fn machine() -> (Machine, Arc<TestController>, Arc<TestChardev>, Obj) {
    let (machine, controller) = Machine::with_controller();
    let host = machine.add("test-chardev", "host", &[]).cast().unwrap();
    let com1 = machine.add("isa-serial", "com1", &[("chardev", "/host")]);
    (machine, controller, host, com1)
}

#[test]
fn it_is_declared_secure() {
    let (_machine, _, _, com1) = machine();
    assert_eq!(com1.class().status(), SecurityStatus::Secure);
}

#[test]
fn what_the_guest_transmits_comes_out_of_the_character_device() {
    let (machine, _, host, _) = machine();
    for byte in b"login: " {
        machine.outb(port(THR), *byte);
    }
    assert_eq!(host.take_output(), b"login: ");
}

#[test]
fn what_the_host_sends_interrupts_the_guest_until_it_is_read() {
    let (machine, controller, host, com1) = machine();
    machine.outb(port(IER), IER_RECEIVED_DATA);
    host.send(b"x");
    assert_eq!(controller.take_changes(), [(4, true)]);
    assert_eq!(com1.get("interrupt"), Some(json!(true)));
    assert_eq!(com1.get("received"), Some(json!(1)));
    assert_eq!(machine.inb(port(RBR)), b'x');
    assert_eq!(controller.take_changes(), [(4, false)]);
    assert_eq!(com1.get("received"), Some(json!(0)));
}

#[test]
fn nothing_that_the_host_sends_is_lost_however_slowly_the_guest_reads() {
    let (machine, _, host, _) = machine();
    machine.outb(port(FCR), FCR_ENABLE);
    let sent: Vec<u8> = (0..=255).collect();
    host.send(&sent);
    assert_eq!(host.waiting(), 256 - FIFO_SIZE);
    let mut read = Vec::new();
    while machine.inb(port(LSR)) & LSR_DATA_READY != 0 {
        read.push(machine.inb(port(RBR)));
    }
    assert_eq!(read, sent);
}

#[test]
fn input_waits_while_the_guest_tests_the_port_in_loopback() {
    let (machine, _, host, _) = machine();
    machine.outb(port(MCR), MCR_LOOPBACK);
    host.send(b"x");
    assert_eq!(host.waiting(), 1);
    machine.outb(port(MCR), 0);
    assert_eq!(host.waiting(), 0);
    assert_eq!(machine.inb(port(RBR)), b'x');
}

#[test]
fn without_a_character_device_no_peer_is_there() {
    let (machine, _) = Machine::with_controller();
    machine.add("isa-serial", "com1", &[]);
    assert_eq!(machine.inb(port(MSR)), 0);
    machine.outb(port(THR), b'x');
    let (machine, ..) = self::machine();
    assert_eq!(machine.inb(port(MSR)), MSR_CTS | MSR_DSR | MSR_DCD);
}

#[test]
fn a_reset_lowers_the_line_and_forgets_what_the_guest_set() {
    let (machine, controller, host, com1) = machine();
    machine.outb(port(SCR), 0x55);
    machine.outb(port(IER), IER_RECEIVED_DATA);
    host.send(b"xy");
    assert!(controller.level(4));
    com1.cast::<dyn device_model::device::Device>().unwrap().reset();
    assert!(!controller.level(4));
    assert_eq!((machine.inb(port(SCR)), machine.inb(port(IER))), (0, 0));
    // What waited at the host comes in, now that there is room.
    assert_eq!(machine.inb(port(RBR)), b'y');
}

#[test]
fn properties_say_where_it_is() {
    let (machine, _, _, com1) = machine();
    assert_eq!(com1.get("iobase"), Some(json!(0x3f8)));
    assert_eq!(com1.get("irq"), Some(json!(4)));
    assert_eq!(com1.get("chardev"), Some(json!("/host")));
    let com2 = machine.add("isa-serial", "com2", &[("iobase", "0x2f8"), ("irq", "3")]);
    assert_eq!(com2.get("chardev"), Some(json!(null)));
    let places: Vec<_> =
        machine.platform.ports().regions().iter().map(|(first, last, _)| (*first, *last)).collect();
    assert_eq!(places, [(0x2f8, 0x2ff), (0x3f8, 0x3ff)]);
}

#[test]
fn acpi_tells_of_it_by_its_usual_name_where_it_really_is() {
    let (machine, _) = Machine::with_controller();
    let acpi = |name: &str, iobase: &str, irq: &str| {
        let device = machine.add("isa-serial", name, &[("iobase", iobase), ("irq", irq)]);
        device.cast::<dyn AcpiNode>().unwrap().acpi()
    };
    let com2 = acpi("a", "0x2f8", "3");
    assert_eq!(
        com2,
        [AcpiDevice {
            name: "COM2".to_owned(),
            hardware_id: "PNP0501".to_owned(),
            unique_id: 2,
            coherent: None,
            events: None,
            resources: vec![Resource::Ports { start: 0x2f8, count: 8 }, Resource::isa_interrupt(3),],
        }]
    );
    let others = [
        acpi("b", "0x3f8", "4"),
        acpi("c", "0x3e8", "5"),
        acpi("d", "0x2e8", "6"),
        acpi("e", "0x400", "7"),
    ];
    let others = others.map(|devices| (devices[0].name.clone(), devices[0].unique_id));
    let expected = [("COM1", 1), ("COM3", 3), ("COM4", 4), ("COM5", 5)];
    assert_eq!(others, expected.map(|(name, id)| (name.to_owned(), id)));
}

#[test]
fn two_at_one_address_is_an_error_that_names_the_first_and_leaves_nothing() {
    let (machine, _, _, _com1) = machine();
    let before = machine.paths();
    let error = machine.create("isa-serial", "com2", &[("iobase", "0x3fc"), ("irq", "3")]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "ports 0x3fc-0x403 are taken by '/com1' (type 'isa-serial')"
    );
    assert_eq!(machine.paths(), before);
    assert_eq!(machine.platform.ports().regions().len(), 1);
    // Its interrupt line is free too.
    machine.add("isa-serial", "com2", &[("iobase", "0x2f8"), ("irq", "3")]);
}

#[test]
fn two_on_one_interrupt_line_is_an_error_that_leaves_nothing() {
    let (machine, ..) = machine();
    let error = machine.create("isa-serial", "com2", &[("iobase", "0x2f8")]).unwrap_err();
    assert_eq!(error.to_string(), "interrupt 4 is taken by '/com1' (type 'isa-serial')");
    assert_eq!(machine.platform.ports().regions().len(), 1);
    assert_eq!(machine.inb(0x2fd), 0xff);
}

#[test]
fn two_on_one_character_device_is_an_error_that_leaves_nothing() {
    let (machine, _, host, _) = machine();
    let properties = [("iobase", "0x2f8"), ("irq", "3"), ("chardev", "/host")];
    let error = machine.create("isa-serial", "com2", &properties).unwrap_err();
    assert_eq!(error.to_string(), "'/host' is in use by another device");
    assert_eq!(machine.platform.ports().regions().len(), 1);
    assert!(host.is_connected(), "the first keeps it");
    machine.outb(port(FCR), FCR_ENABLE);
    host.send(b"x");
    assert_eq!(machine.inb(port(RBR)), b'x');
}

#[test]
fn ports_past_the_last_one_are_refused() {
    let (machine, _) = Machine::with_controller();
    let error = machine.create("isa-serial", "com1", &[("iobase", "0xfffc")]).unwrap_err();
    assert_eq!(error.to_string(), "0x8 ports from 0xfffc do not end at or below 0xffff");
    assert_eq!(machine.paths(), ["/pic"]);
}

#[test]
fn a_machine_without_interrupts_has_no_place_for_it() {
    let machine = Machine::new();
    let error = machine.create("isa-serial", "com1", &[]).unwrap_err();
    assert_eq!(error.to_string(), "the machine has no interrupt controller");
    assert!(machine.platform.ports().regions().is_empty());
}

#[test]
fn removed_it_gives_everything_back() {
    let (machine, controller, host, com1) = machine();
    machine.outb(port(IER), IER_RECEIVED_DATA);
    host.send(b"x");
    machine.remove(&com1);
    assert!(!controller.level(4), "its line is low");
    assert!(!host.is_connected());
    assert_eq!(machine.inb(port(LSR)), 0xff);
    assert_eq!(machine.paths(), ["/host", "/pic"]);
    // All of it can be had again, with a device in its first state.
    machine.add("isa-serial", "com1", &[("chardev", "/host")]);
    assert_eq!(machine.inb(port(IER)), 0);
}

#[test]
fn vcpus_that_access_it_at_once_leave_the_line_at_the_level_of_the_uart() {
    let (machine, controller, host, com1) = machine();
    machine.outb(port(IER), IER_RECEIVED_DATA | IER_THR_EMPTY);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for byte in 0..500_u16 {
                    machine.outb(port(THR), byte.to_le_bytes()[0]);
                    machine.inb(port(IIR));
                    machine.inb(port(RBR));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..500 {
                host.send(b"x");
            }
        });
    });
    assert_eq!(host.take_output().len(), 1500);
    assert_eq!(com1.get("interrupt"), Some(json!(controller.level(4))));
    let changes = controller.take_changes();
    assert!(changes.is_sorted_by(|a, b| a.1 != b.1), "each call changes the level");
}

#[derive(Clone, Debug)]
enum Step {
    Read(u16, usize),
    Write(u16, Vec<u8>),
    Host(Vec<u8>),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    // Accesses that begin before the ports and that end after them too.
    let address = COM1 - 4..COM1 + 10;
    let bytes = |most| proptest::collection::vec(any::<u8>(), 1..most);
    prop_oneof![
        4 => (address.clone(), 1_usize..5).prop_map(|(at, length)| Step::Read(at, length)),
        6 => (address, bytes(5)).prop_map(|(at, data)| Step::Write(at, data)),
        2 => bytes(40).prop_map(Step::Host),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #[test]
    fn whatever_a_guest_does_the_line_has_the_level_of_the_uart(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let (machine, controller, host, com1) = machine();
        let device = com1.cast::<dyn device_model::device::Device>().unwrap();
        let mut written = 0;
        for step in steps {
            match step {
                Step::Read(at, length) => {
                    machine.platform.ports().read(at.into(), &mut vec![0; length]);
                }
                Step::Write(at, data) => {
                    let covers_thr = at <= COM1 && usize::from(COM1 - at) < data.len();
                    written += usize::from(covers_thr);
                    machine.platform.ports().write(at.into(), &data);
                }
                Step::Host(bytes) => host.send(&bytes),
                Step::Reset => device.reset(),
            }
            prop_assert_eq!(com1.get("interrupt"), Some(json!(controller.level(4))));
        }
        prop_assert!(host.take_output().len() <= written);
        // The port works afterwards.
        device.reset();
        machine.outb(port(THR), b'!');
        prop_assert_eq!(host.take_output(), b"!");
    }
}
