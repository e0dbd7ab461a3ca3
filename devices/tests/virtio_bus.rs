//! Places of virtio devices in a machine, and doorbells, as devices and transports meet them.

use std::{io, os::fd::OwnedFd, sync::Arc};

use device_model::platform::GuestMemory as Memory;
use device_model::{
    device::Device, doorbell::Doorbells, prelude::*, qom_core::SecurityStatus, testing::Machine,
};
use devices::virtio::mmio::spec::*;
use rustix::event::{EventfdFlags, eventfd};
use vm_memory::GuestAddress;

/// Doorbells that a test rings
#[qom_type(secure, parent = SysBusDevice, interfaces(Doorbells))]
struct TestBells {
    attached: Mutex<Vec<(u64, u32)>>,
}

impl Device for TestBells {
    fn realize(&self, cx: &mut RealizeContext<'_>) -> Result<(), DeviceError> {
        Ok(cx.platform().set_doorbells(cx.object())?)
    }
}

impl SysBusDevice for TestBells {}

impl Doorbells for TestBells {
    fn attach(&self, address: u64, value: u32) -> io::Result<OwnedFd> {
        self.attached.lock().push((address, value));
        Ok(eventfd(0, EventfdFlags::NONBLOCK)?)
    }

    fn detach(&self, address: u64, value: u32) {
        self.attached.lock().retain(|there| *there != (address, value));
    }
}

/// A machine with memory, an interrupt controller and a transport.
fn machine() -> Machine {
    let machine = Machine::with_controller().0;
    let memory = Memory::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap();
    assert!(machine.platform.set_memory(Arc::new(memory)));
    machine
}

fn write(machine: &Machine, register: u64, value: u32) {
    machine.write_memory(DEFAULT_BASE + register, &value.to_le_bytes());
}

fn read(machine: &Machine, register: u64) -> u32 {
    u32::from_le_bytes(machine.read_memory(DEFAULT_BASE + register))
}

/// Sets the device to work.
fn drive(machine: &Machine) {
    for (register, value) in [
        (STATUS, 3),
        (DRIVER_FEATURES_SEL, 1),
        (DRIVER_FEATURES, 1),
        (STATUS, 11),
        (QUEUE_NUM, 8),
        (QUEUE_DESC_LOW, 0x1000),
        (QUEUE_DRIVER_LOW, 0x2000),
        (QUEUE_DEVICE_LOW, 0x3000),
        (QUEUE_READY, 1),
        (STATUS, 15),
    ] {
        write(machine, register, value);
    }
    assert_eq!(read(machine, STATUS), 15);
}

#[test]
fn transport_and_device_are_declared_secure() {
    let machine = machine();
    for (type_name, name) in [("virtio-mmio", "transport"), ("virtio-rng-device", "rng")] {
        assert_eq!(machine.add(type_name, name, &[]).class().status(), SecurityStatus::Secure);
    }
}

#[test]
fn a_bus_takes_one_device_and_another_once_that_has_gone() {
    let machine = machine();
    machine.add("virtio-mmio", "transport", &[]);
    let first = machine.add("virtio-rng-device", "first", &[]);
    assert_eq!(read(&machine, DEVICE_ID), 4);
    let error = machine.create("virtio-rng-device", "second", &[]).unwrap_err().to_string();
    assert!(error.contains("No 'virtio-bus' bus found for device 'virtio-rng-device'"), "{error}");
    assert!(!machine.paths().contains(&"/second".to_owned()));
    drive(&machine);
    machine.remove(&first);
    assert_eq!((read(&machine, DEVICE_ID), read(&machine, STATUS)), (0, 0));
    machine.add("virtio-rng-device", "second", &[("bus", "virtio-mmio-bus.0")]);
    assert_eq!(read(&machine, DEVICE_ID), 4);
    drive(&machine);
}

#[test]
fn a_transport_that_goes_takes_its_bus_and_stops_the_device() {
    let machine = machine();
    let transport = machine.add("virtio-mmio", "transport", &[]);
    machine.add("virtio-rng-device", "rng", &[]);
    drive(&machine);
    machine.remove(&transport);
    assert!(machine.platform.virtio_buses().is_empty());
    assert_eq!(read(&machine, MAGIC_VALUE), u32::MAX);
}

#[test]
fn two_buses_do_not_have_one_name() {
    let machine = machine();
    machine.add("virtio-mmio", "transport", &[]);
    let again = [("base", "0xfeb00200"), ("gsi", "17")];
    let error = machine.create("virtio-mmio", "again", &again).unwrap_err().to_string();
    assert!(error.contains("there is a bus 'virtio-mmio-bus.0' already"), "{error}");
    let other = [("base", "0xfeb00200"), ("gsi", "17"), ("index", "1")];
    machine.add("virtio-mmio", "other", &other);
}

#[test]
fn doorbells_are_attached_while_a_driver_drives_the_device_and_not_before() {
    let machine = machine();
    let bells: Arc<TestBells> = machine.add("test-bells", "bells", &[]).cast().unwrap();
    let transport = machine.add("virtio-mmio", "transport", &[]);
    machine.add("virtio-rng-device", "rng", &[]);
    let attached = || bells.attached.lock().clone();
    assert_eq!(attached(), []);
    drive(&machine);
    assert_eq!(attached(), [(DEFAULT_BASE + QUEUE_NOTIFY, 0)]);
    write(&machine, STATUS, 0);
    assert_eq!(attached(), []);
    drive(&machine);
    assert_eq!(attached().len(), 1);
    transport.cast::<dyn Device>().unwrap().reset();
    assert_eq!(attached(), []);
    drive(&machine);
    machine.remove(&transport);
    assert_eq!(attached(), []);
}

#[test]
fn a_device_is_in_the_acpi_tables_and_an_empty_transport_is_not() {
    let machine = machine();
    let transport = machine.add("virtio-mmio", "transport", &[]);
    let node: Arc<dyn AcpiNode> = transport.cast().unwrap();
    assert_eq!(node.acpi(), []);
    let rng = machine.add("virtio-rng-device", "rng", &[]);
    let entry = node.acpi().remove(0);
    assert_eq!((&*entry.name, &*entry.hardware_id, entry.unique_id), ("VR00", "LNRO0005", 0));
    assert!(entry.resources.contains(&Resource::Memory(DEFAULT_BASE..DEFAULT_BASE + 0x200)));
    machine.remove(&rng);
    assert_eq!(node.acpi(), []);
}
