//! `chardev-null` as a device and a user meet it.

use device_model::{chardev::Chardev, qom_core::SecurityStatus, testing::Machine};
use devices::serial::spec::{DEFAULT_IOBASE, LSR, LSR_DATA_READY, THR};

#[test]
fn it_is_declared_secure() {
    let null = Machine::new().add("chardev-null", "null", &[]);
    assert_eq!(null.class().status(), SecurityStatus::Secure);
}

#[test]
fn it_takes_what_a_serial_port_transmits_and_sends_nothing() {
    let (machine, _) = Machine::with_controller();
    machine.add("chardev-null", "null", &[]);
    machine.add("isa-serial", "com1", &[("chardev", "/null")]);
    for _ in 0..1000 {
        machine.outb(DEFAULT_IOBASE + u16::try_from(THR).unwrap(), b'x');
    }
    assert_eq!(machine.inb(DEFAULT_IOBASE + u16::try_from(LSR).unwrap()) & LSR_DATA_READY, 0);
}

#[test]
fn one_device_at_a_time_reads_from_it() {
    let (machine, _) = Machine::with_controller();
    machine.add("chardev-null", "null", &[]);
    let com1 = machine.add("isa-serial", "com1", &[("chardev", "/null")]);
    let com2 = [("chardev", "/null"), ("iobase", "0x2f8"), ("irq", "3")];
    let error = machine.create("isa-serial", "com2", &com2).unwrap_err();
    assert_eq!(error.to_string(), "'/null' is in use by another device");
    machine.remove(&com1);
    machine.add("isa-serial", "com2", &com2);
}

#[test]
fn it_is_found_by_its_class() {
    assert!(Machine::new().add("chardev-null", "null", &[]).is::<dyn Chardev>());
}
