//! Tests of the tables, read back as a guest reads them.

use vm_memory::{Bytes, GuestAddress};

use device_model::acpi::{AcpiEvent, EventRegister};

use super::*;
use crate::boot::crafted::memory;
use crate::boot::little_endian::{bytes_at, u16_at, u32_at, u64_at};

/// A device of a PC at its ports and interrupt.
fn legacy(name: &str, hardware_id: &str, ports: &[(u16, u8)], interrupt: u32) -> AcpiDevice {
    let ports = ports.iter().map(|&(start, count)| Resource::Ports { start, count });
    AcpiDevice {
        name: name.into(),
        hardware_id: hardware_id.into(),
        unique_id: 0,
        coherent: None,
        events: None,
        resources: ports.chain([Resource::isa_interrupt(interrupt)]).collect(),
    }
}

fn com1() -> AcpiDevice {
    legacy("COM1", "PNP0501", &[(0x3f8, 8)], 4)
}

/// The microvm board with a virtio-mmio transport below 4 GiB and one above.
pub(crate) fn board(cpus: u16) -> AcpiPlatform {
    let virtio = |index: u32, start: u64| AcpiDevice {
        name: format!("VR{index:02}"),
        hardware_id: "LNRO0005".into(),
        unique_id: index,
        coherent: Some(true),
        events: None,
        resources: vec![
            Resource::Memory(start..start + layout::VIRTIO_MMIO_STRIDE),
            Resource::Interrupt {
                gsi: 16 + index,
                trigger: Trigger::Edge,
                polarity: Polarity::ActiveHigh,
            },
        ],
    };
    AcpiPlatform {
        local_apics: (0..cpus.into()).collect(),
        local_apic: layout::LAPIC,
        io_apics: vec![IoApic { id: 0, address: layout::IOAPIC, gsi_base: 0 }],
        interrupt_overrides: vec![InterruptOverride {
            isa: 0,
            gsi: 2,
            trigger: Trigger::Edge,
            polarity: Polarity::ActiveHigh,
        }],
        legacy_pic: false,
        sleep: Some(SleepRegisters {
            control: layout::GED_SLEEP_CONTROL,
            status: layout::GED_SLEEP_STATUS,
            s5_type: 5,
        }),
        reset: Some(Register { address: layout::GED_RESET, value: 0x42 }),
        devices: vec![
            com1(),
            legacy("RTC_", "PNP0B00", &[(0x70, 2)], 8),
            legacy("KBD_", "PNP0303", &[(0x60, 1), (0x64, 1)], 1),
            virtio(0, layout::virtio_mmio(0)),
            virtio(1, 1 << 40),
        ],
    }
}

/// The tables in guest memory, found from the root pointer.
struct Seen {
    xsdt: Vec<u8>,
    fadt: Vec<u8>,
    madt: Vec<u8>,
    dsdt: Vec<u8>,
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn read(memory: &GuestMemoryMmap, address: u64, signature: &[u8; 4]) -> Vec<u8> {
    let length: u32 = memory.read_obj(GuestAddress(address + 4)).unwrap();
    let mut table = vec![0; length as usize];
    memory.read_slice(&mut table, GuestAddress(address)).unwrap();
    assert_eq!(&table[..4], signature);
    assert_eq!(sum(&table), 0, "checksum of {signature:?}");
    assert!(address + u64::from(length) <= layout::ACPI_TABLES_END);
    table
}

fn follow(platform: &AcpiPlatform) -> Seen {
    let memory = memory(0x10_0000);
    let rsdp = write_tables(platform, &memory).unwrap();
    assert_eq!(rsdp % 16, 0);
    let mut root = [0; 36];
    memory.read_slice(&mut root, GuestAddress(rsdp)).unwrap();
    assert_eq!(&root[..8], b"RSD PTR ");
    assert_eq!(sum(&root[..20]), 0);
    assert_eq!(sum(&root), 0);
    let xsdt = read(&memory, u64_at(&root, 24).unwrap(), b"XSDT");
    assert_eq!(xsdt.len(), 36 + 2 * 8);
    let fadt = read(&memory, u64_at(&xsdt, 36).unwrap(), b"FACP");
    let madt = read(&memory, u64_at(&xsdt, 44).unwrap(), b"APIC");
    let dsdt = read(&memory, u64_at(&fadt, 140).unwrap(), b"DSDT");
    Seen { xsdt, fadt, madt, dsdt }
}

fn holds(table: &[u8], bytes: &[u8]) -> bool {
    table.windows(bytes.len()).any(|window| window == bytes)
}

#[test]
fn every_table_is_reached_from_the_root_pointer() {
    let seen = follow(&board(1));
    for table in [&seen.xsdt, &seen.fadt, &seen.madt, &seen.dsdt] {
        assert_eq!(&table[10..16], b"PALISD");
    }
}

#[test]
fn the_fixed_table_names_the_sleep_and_reset_registers() {
    let fadt = follow(&board(1)).fadt;
    let flags = u32_at(&fadt, 112).unwrap();
    assert_ne!(flags & 1 << 20, 0, "hardware-reduced");
    assert_ne!(flags & 1 << 10, 0, "reset register supported");
    let register = |offset| {
        assert_eq!(bytes_at(&fadt, offset), Some([0, 8, 0, 1]));
        u64_at(&fadt, offset + 4).unwrap()
    };
    assert_eq!(register(116), 0xfea0_0002, "reset");
    assert_eq!(fadt[128], 0x42, "reset value");
    assert_eq!(register(244), 0xfea0_0000, "sleep control");
    assert_eq!(register(256), 0xfea0_0001, "sleep status");
    assert_eq!(u16_at(&fadt, 109), Some(0b111), "legacy, 8042, no VGA");
}

#[test]
fn what_a_platform_lacks_is_not_claimed() {
    let mut platform = board(1);
    platform.sleep = None;
    platform.reset = None;
    platform.devices.clear();
    let seen = follow(&platform);
    assert_eq!(u32_at(&seen.fadt, 112).unwrap() & 1 << 10, 0);
    assert!(seen.fadt[244..268].iter().all(|&byte| byte == 0));
    assert_eq!(u16_at(&seen.fadt, 109), Some(0b10_0100), "no VGA, no clock");
    assert!(!holds(&seen.dsdt, b"_S5_"));
    assert!(!holds(&seen.dsdt, b"COM1"));
}

#[test]
fn every_processor_has_a_local_apic_and_a_device() {
    for cpus in [1, 2, 255] {
        let seen = follow(&board(cpus));
        assert_eq!(u32_at(&seen.madt, 36), Some(0xfee0_0000));
        assert_eq!(u32_at(&seen.madt, 40), Some(0), "no 8259");
        let mut at = 44;
        let mut apics = 0;
        let (mut io_apics, mut overrides, mut nmis) = (0, 0, 0);
        while at < seen.madt.len() {
            let structure = &seen.madt[at..at + usize::from(seen.madt[at + 1])];
            match structure[0] {
                0 => {
                    assert_eq!(structure[2], apics as u8);
                    assert_eq!(structure[3], apics as u8);
                    assert_eq!(u32_at(structure, 4), Some(1));
                    apics += 1;
                }
                1 => {
                    assert_eq!(u32_at(structure, 4), Some(0xfec0_0000));
                    io_apics += 1;
                }
                2 => {
                    assert_eq!(structure[2..], [0, 0, 2, 0, 0, 0, 0b0101, 0]);
                    overrides += 1;
                }
                4 => nmis += 1,
                other => panic!("structure {other}"),
            }
            at += structure.len();
        }
        assert_eq!((apics, io_apics, overrides, nmis), (cpus, 1, 1, 1));
        let last = AcpiPlatform::cpu_name(cpus - 1);
        assert!(holds(&seen.dsdt, last.as_bytes()));
        assert!(!holds(&seen.dsdt, AcpiPlatform::cpu_name(cpus).as_bytes()));
    }
}

#[test]
fn an_identifier_beyond_the_xapic_is_told_in_the_x2apics_form() {
    let mut platform = board(1);
    platform.local_apics = vec![0, 4, 254, 255, 0x1_0000];
    let madt = follow(&platform).madt;
    // Sections 5.2.12.2 and 5.2.12.12: type, length, UID, identifier; and the wider form.
    assert!(holds(&madt, &[0, 8, 1, 4, 1, 0, 0, 0]));
    assert!(holds(&madt, &[0, 8, 2, 254, 1, 0, 0, 0]));
    assert!(holds(&madt, &[9, 16, 0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0]));
    assert!(holds(&madt, &[9, 16, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 4, 0, 0, 0]));
}

#[test]
fn devices_carry_their_identifiers_and_resources() {
    let dsdt = follow(&board(1)).dsdt;
    // Name (_S5, Package (4) { 5, 0, 0, 0 }), section 20.2.
    assert!(holds(&dsdt, b"\x08_S5_\x12\x07\x04\x0a\x05\x00\x00\x00"));
    // PNP0501, compressed as section 19.3.4 says.
    assert!(holds(&dsdt, b"\x08_HID\x0c\x41\xd0\x05\x01"));
    assert!(holds(&dsdt, b"\x08_HID\x0dLNRO0005\0"));
    // Ports 0x3f8 to 0x3ff: section 6.4.2.5.
    assert!(holds(&dsdt, b"\x47\x01\xf8\x03\xf8\x03\x01\x08"));
    // Interrupt 4, edge, active high, exclusive: section 6.4.3.6.
    assert!(holds(&dsdt, b"\x89\x06\x00\x03\x01\x04\x00\x00\x00"));
    // The transport below 4 GiB: section 6.4.3.4.
    assert!(holds(&dsdt, b"\x86\x09\x00\x01\x00\x00\xb0\xfe\x00\x02\x00\x00"));
    // The one above, as minimum and maximum: section 6.4.3.5.1.
    let mut wide = vec![0x8a, 43, 0, 0];
    wide.extend([0x0d, 0x01]);
    for field in [0, 1_u64 << 40, (1 << 40) + 0x1ff, 0, 0x200] {
        wide.extend(field.to_le_bytes());
    }
    assert!(holds(&dsdt, &wide));
}

#[test]
fn processors_are_bounded() {
    for cpus in [0, 256, u16::MAX] {
        assert!(matches!(
            write_tables(&board(cpus), &memory(0x10_0000)),
            Err(AcpiError::Cpus { found }) if found == cpus
        ));
    }
}

/// What the tables say of a device list that has one more.
fn with_device(change: impl FnOnce(&mut AcpiDevice)) -> Result<u64, AcpiError> {
    let mut platform = board(1);
    let mut device = AcpiDevice {
        name: "DEV0".into(),
        hardware_id: "PNP0C02".into(),
        unique_id: 0,
        coherent: None,
        events: None,
        resources: Vec::new(),
    };
    change(&mut device);
    platform.devices.push(device);
    write_tables(&platform, &memory(0x10_0000))
}

#[test]
fn names_that_aml_lacks_are_refused() {
    for name in ["", "ABC", "ABCDE", "0ABC", "abcd", "AB D", "É12", "A.BC"] {
        assert!(
            matches!(with_device(|device| device.name = name.into()), Err(AcpiError::Name { .. })),
            "{name}"
        );
    }
    for name in ["COM1", "C000"] {
        assert!(
            matches!(
                with_device(|device| device.name = name.into()),
                Err(AcpiError::DuplicateName { .. })
            ),
            "{name}"
        );
    }
    with_device(|device| device.name = "_A9Z".into()).unwrap();
}

/// A device that tells of a power button.
fn event_device(name: &str) -> AcpiDevice {
    AcpiDevice {
        name: "GED_".into(),
        hardware_id: "ACPI0013".into(),
        resources: vec![Resource::isa_interrupt(9)],
        events: Some(EventRegister {
            address: layout::GED + 3,
            events: vec![AcpiEvent {
                mask: 2,
                name: name.into(),
                hardware_id: "PNP0C0C".into(),
                notification: 0x80,
            }],
        }),
        ..AcpiDevice::default()
    }
}

#[test]
fn an_event_device_reads_what_happened_once_and_notifies_of_each_event() {
    let mut platform = board(1);
    platform.devices = vec![event_device("PWRB")];
    let code = dsdt::dsdt(&platform).as_slice().to_vec();
    let has = |part: &[u8]| code.windows(part.len()).any(|window| window == part);
    // In the order of section 20.2.5: region (memory, address, length), its field of a byte.
    assert!(has(b"\x5b\x80EREG\x00\x0c\x03\x00\xa0\xfe\x01"));
    assert!(has(b"EREG\x41ESEL\x08"));
    // The button's device, with its compressed identifier.
    assert!(has(b"PWRB\x08_HID\x0c\x41\xd0\x0c\x0c"));
    // A serialized method of one argument: Local0 = ESEL; If ((Local0 & 2) == 2) { Notify … }.
    assert!(has(b"_EVT\x09\x70ESEL\x60\xa0"));
    assert!(has(b"\x93\x7b\x60\x0a\x02\x00\x0a\x02\x86PWRB\x0a\x80"));
}

#[test]
fn names_of_events_that_clash_or_that_aml_lacks_are_refused() {
    for name in ["EREG", "ESEL", "_EVT"] {
        assert!(matches!(
            with_device(|device| *device = event_device(name)),
            Err(AcpiError::DuplicateName { .. })
        ));
    }
    let misnamed = with_device(|device| *device = event_device("pwrb"));
    assert!(matches!(misnamed, Err(AcpiError::Name { .. })));
    with_device(|device| *device = event_device("PWRB")).unwrap();
}

#[test]
fn hardware_ids_of_another_form_are_refused() {
    for id in ["", "PNP05", "pnp0501", "PNP050G", "PNP05011", "LNRO000", "lnro0005", "PNPé01"] {
        let result = with_device(|device| device.hardware_id = id.into());
        // Four letters or digits and four digits are an ACPI identifier.
        if id == "PNP05011" {
            result.unwrap();
        } else {
            assert!(matches!(result, Err(AcpiError::HardwareId { .. })), "{id}");
        }
    }
}

#[test]
fn resources_that_are_empty_or_wrap_are_refused() {
    let bad = [
        Resource::Memory(5..5),
        #[allow(clippy::reversed_empty_ranges)]
        Resource::Memory(6..5),
        Resource::Ports { start: 1, count: 0 },
        Resource::Ports { start: 0xffff, count: 2 },
    ];
    for resource in bad {
        assert!(
            matches!(
                with_device(|device| device.resources.push(resource.clone())),
                Err(AcpiError::Resource { .. })
            ),
            "{resource:?}"
        );
    }
    // The last port and the whole address space are neither.
    for resource in [
        Resource::Ports { start: 0xffff, count: 1 },
        Resource::Memory(1..u64::MAX),
        Resource::Memory(0xffff_f000..0x1_0000_0000),
    ] {
        with_device(|device| device.resources.push(resource)).unwrap();
    }
}

#[test]
fn sleep_types_and_overrides_are_checked() {
    let mut platform = board(1);
    platform.interrupt_overrides[0].isa = 16;
    assert!(matches!(
        write_tables(&platform, &memory(0x10_0000)),
        Err(AcpiError::IsaInterrupt { found: 16 })
    ));
    let mut platform = board(1);
    platform.sleep.as_mut().unwrap().s5_type = 8;
    assert!(matches!(
        write_tables(&platform, &memory(0x10_0000)),
        Err(AcpiError::SleepType { found: 8 })
    ));
}

#[test]
fn more_tables_than_fit_are_refused() {
    let mut platform = board(1);
    platform.devices =
        (0..4000).map(|index| AcpiDevice { name: format!("D{index:03X}"), ..com1() }).collect();
    assert!(matches!(
        write_tables(&platform, &memory(0x10_0000)),
        Err(AcpiError::TooLarge { room: 0x2_0000, .. })
    ));
}

#[test]
fn memory_without_room_for_tables_is_an_error() {
    assert!(matches!(write_tables(&board(1), &memory(0xe_0010)), Err(AcpiError::Write(_))));
}
