//! `fw_cfg_io` as firmware and a board meet it.

use std::sync::Arc;

use device_model::{
    acpi::AcpiNode,
    device::Device,
    firmware_config::{FirmwareConfig, FirmwareFile, FirmwareItems, key},
    platform::GuestMemory,
    qom_core::{Obj, SecurityStatus},
    testing::Machine,
};
use devices::fw_cfg::spec::*;
use serde_json::json;
use vm_memory::{Bytes, GuestAddress};

/// Keys of the files, in the order of their names.
const MAP: u16 = 0x20;
const NOTES: u16 = 0x21;

fn items() -> FirmwareItems {
    let mut items = FirmwareItems::default();
    items.add_number(key::CPUS, [3, 0]).unwrap();
    items.add_file("etc/e820", vec![0x20; 20]).unwrap();
    items.add("etc/notes", FirmwareFile { bytes: vec![0; 4], is_writable: true }).unwrap();
    items
}

/// A machine with 64 KiB of memory and the device, which the board has filled.
fn machine(properties: &[(&str, &str)]) -> (Machine, Obj) {
    let machine = Machine::new();
    let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 0x1_0000)]).unwrap();
    assert!(machine.platform.set_memory(Arc::new(memory)));
    let device = machine.add("fw_cfg_io", "fw_cfg", properties);
    device.cast::<dyn FirmwareConfig>().unwrap().set_items(&items());
    (machine, device)
}

fn select(machine: &Machine, port: u16, key: u16) {
    machine.platform.ports().write(port.into(), &key.to_le_bytes());
}

fn read<const N: usize>(machine: &Machine, port: u16, key: u16) -> [u8; N] {
    select(machine, port, key);
    std::array::from_fn(|_| machine.inb(port + 1))
}

/// Has a transfer done by a descriptor at 0x100. What its control is then.
fn transfer(machine: &Machine, control: u32, length: u32, address: u64) -> u32 {
    let bytes = [&control.to_be_bytes()[..], &length.to_be_bytes(), &address.to_be_bytes()];
    let memory = machine.platform.memory().unwrap();
    memory.write_slice(&bytes.concat(), GuestAddress(0x100)).unwrap();
    let ports = machine.platform.ports();
    ports.write(0x514, &0_u32.to_be_bytes());
    ports.write(0x518, &0x100_u32.to_be_bytes());
    let control: [u8; 4] = memory.read_obj(GuestAddress(0x100)).unwrap();
    u32::from_be_bytes(control)
}

#[test]
fn it_is_declared_secure() {
    let (_machine, device) = machine(&[]);
    assert_eq!(device.class().status(), SecurityStatus::Secure);
    assert_eq!(device.get("iobase"), Some(json!(0x510)));
    assert_eq!(device.get("dma-enabled"), Some(json!(true)));
}

#[test]
fn firmware_reads_items_by_its_ports() {
    let (machine, _) = machine(&[]);
    assert_eq!(read(&machine, 0x510, key::SIGNATURE), *b"QEMU");
    assert_eq!(read(&machine, 0x510, key::CPUS), [3, 0, 0]);
    assert_eq!(read(&machine, 0x510, MAP), [0x20; 20]);
    let directory: [u8; 20] = read(&machine, 0x510, key::DIRECTORY);
    assert_eq!(directory[..12], [0, 0, 0, 2, 0, 0, 0, 20, 0, 0x20, 0, 0]);
    assert_eq!(&directory[12..], b"etc/e820");
}

#[test]
fn firmware_has_items_copied_to_its_memory_and_back() {
    let (machine, _) = machine(&[]);
    let memory = machine.platform.memory().unwrap();
    let of = |key: u16, bits| u32::from(key) << CONTROL_KEY_SHIFT | CONTROL_SELECT | bits;
    assert_eq!(transfer(&machine, of(MAP, CONTROL_READ), 20, 0x1000), 0);
    assert_eq!(memory.read_obj::<[u8; 21]>(GuestAddress(0x1000)).unwrap()[18..], [0x20, 0x20, 0]);
    assert_eq!(transfer(&machine, of(NOTES, CONTROL_WRITE), 4, 0x1000), 0);
    assert_eq!(read(&machine, 0x510, NOTES), [0x20; 4]);
    assert_eq!(transfer(&machine, of(MAP, CONTROL_WRITE), 4, 0x1000), CONTROL_ERROR);
    assert_eq!(transfer(&machine, of(MAP, CONTROL_READ), 20, 0xffff), CONTROL_ERROR);
}

#[test]
fn a_board_fills_it_anew_and_a_reset_chooses_the_signature() {
    let (machine, device) = machine(&[]);
    let notes = u32::from(NOTES) << CONTROL_KEY_SHIFT | CONTROL_SELECT | CONTROL_WRITE;
    machine.platform.memory().unwrap().write_slice(b"mine", GuestAddress(0x1000)).unwrap();
    assert_eq!(transfer(&machine, notes, 4, 0x1000), 0);
    device.cast::<dyn Device>().unwrap().reset();
    assert_eq!(machine.inb(0x511), b'Q');
    device.cast::<dyn FirmwareConfig>().unwrap().set_items(&items());
    assert_eq!(read(&machine, 0x510, NOTES), [0; 4]);
}

#[test]
fn without_dma_there_are_only_selector_and_data_and_no_memory_is_needed() {
    let machine = Machine::new();
    let device =
        machine.add("fw_cfg_io", "fw_cfg", &[("dma-enabled", "off"), ("iobase", "0xfffe")]);
    assert_eq!(read(&machine, 0xfffe, key::REVISION), [1, 0, 0, 0]);
    let ports = |device: &Obj| device.cast::<dyn AcpiNode>().unwrap().acpi()[0].resources.clone();
    assert_eq!(format!("{:?}", ports(&device)), "[Ports { start: 65534, count: 2 }]");
    let (_machine, device) = self::machine(&[]);
    assert_eq!(format!("{:?}", ports(&device)), "[Ports { start: 1296, count: 12 }]");
}

#[test]
fn a_place_that_it_can_t_have_is_refused() {
    let machine = Machine::new();
    let error = machine.create("fw_cfg_io", "fw_cfg", &[]).unwrap_err();
    assert_eq!(error.to_string(), "the machine has no memory");
    let error = machine.create("fw_cfg_io", "fw_cfg", &[("iobase", "0xfffc")]).unwrap_err();
    assert_eq!(error.to_string(), "iobase: the DMA address's ports are past the last");
    assert_eq!(machine.paths(), [""; 0]);
}
