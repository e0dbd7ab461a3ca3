//! From a file to the state in which the guest is entered: kernel, RAM disk, command line, tables.

use std::io::Cursor;

use vmm::boot::{
    BootInformation, Entry,
    acpi::{AcpiDevice, AcpiPlatform, IoApic, Register, Resource},
    cmdline::Cmdline,
    finish_boot, layout, load_initrd, load_kernel,
};

use super::memory;
use crate::{Target, input::Input};

inventory::submit!(Target { name: "boot", covers: &[], run });

/// Number of processors; lengths of command line and RAM disk in 16 bits each; the command line;
/// the kernel.
fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let cpus = u16::from_le_bytes([input.byte(), input.byte()]);
    let words_length = u16::from_le_bytes([input.byte(), input.byte()]);
    let disk_length = u16::from_le_bytes([input.byte(), input.byte()]);
    let words = String::from_utf8_lossy(input.take(words_length.into()));
    let memory = memory::memory();
    let Ok(kernel) = load_kernel(&mut Cursor::new(input.rest()), memory) else { return };
    let disk = vec![0; disk_length.into()];
    let initrd = load_initrd(&mut Cursor::new(disk), memory, &kernel).ok();
    let mut cmdline = Cmdline::new();
    if cmdline.append(&words).is_err() {
        return;
    }
    let acpi = AcpiPlatform {
        local_apics: (0..cpus.into()).collect(),
        local_apic: layout::LAPIC,
        io_apics: vec![IoApic { id: 0, address: layout::IOAPIC, gsi_base: 0 }],
        interrupt_overrides: Vec::new(),
        legacy_pic: false,
        sleep: None,
        reset: Some(Register { address: layout::GED_RESET, value: 1 }),
        devices: vec![AcpiDevice {
            name: "COM1".to_owned(),
            hardware_id: "PNP0501".to_owned(),
            unique_id: 1,
            coherent: None,
            events: None,
            resources: vec![Resource::Ports { start: 0x3f8, count: 8 }, Resource::isa_interrupt(4)],
        }],
    };
    let information =
        BootInformation { ram_size: memory::SIZE, cmdline: &cmdline, initrd, acpi: Some(&acpi) };
    if let Ok(entry) = finish_boot(&kernel, memory, &information) {
        let first = match entry {
            Entry::Pvh { eip, .. } => u64::from(eip),
            Entry::Linux64 { rip, .. } => rip,
            Entry::Reset => panic!("a kernel is not entered at the reset vector"),
        };
        assert!(kernel.range.contains(&first), "{first:#x} {:#x?}", kernel.range);
        assert!(cmdline.as_str().len() <= kernel.cmdline_max());
    }
}
